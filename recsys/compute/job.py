"""A job: one pure function over many shards, from files to files, which goes on where it was interrupted.

The result of a shard is a file named by a digest of everything that it depends on. A file that is there is not made again, and two workers
that make the same file make the same bytes: whoever is killed, each shard counts once.
"""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import time
import uuid
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, Protocol

from filelock import FileLock, Timeout

from features.errors import disk_errors
from features.storage.atomic import sync
from features.storage.digests import of_code, of_json
from recsys.environment import LAYERS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from features.progress import Progress

    Shard = Sequence[Any]
    Function = Callable[[Shard, Path], None]

_log = logging.getLogger(__name__)
FOLDER = "compute"  # of a workspace's cache
KEPT_SECONDS = 30 * 86_400


@dataclass(frozen=True)
class Job:
    """What is done with each shard.

    Attributes
    ----------
    label : what a progress bar calls it.
    open : a function at the top of a module; called once in each worker, it reads what all shards need, such as a model, and returns the
        function of a shard, which writes its result to a path.
    arguments : of `open`, ready for JSON; large inputs are paths of files whose names change with their contents.
    cache : the workspace's cache, which all workers reach under this path.
    suffix : of the results' names.
    """

    label: str
    open: Callable[..., Function]
    arguments: Mapping[str, Any]
    cache: Path
    suffix: str = ".safetensors"

    @cached_property
    def folder(self) -> Path:
        """Where the results lie."""
        name = f"{self.open.__module__}.{self.open.__qualname__}"
        return self.cache / FOLDER / of_json([name, dict(self.arguments), of_code(*LAYERS)])[:24]

    def result_of(self, shard: Shard) -> Path:
        """Return the file of a shard's result."""
        return self.folder / f"{of_json(list(shard))[:32]}{self.suffix}"

    def opened(self) -> Callable[[Shard], None]:
        """Call `open`; return a function that makes a shard's result, whole and durable, unless it is there."""
        run = self.open(**self.arguments)

        def make(shard: Shard) -> None:
            path = self.result_of(shard)
            if path.exists():
                return
            temporary = path.with_name(f".{uuid.uuid4().hex}-{path.name}")  # machines that share a cache have the same process ids
            with disk_errors(self.folder, "written"):
                self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
                try:
                    run(shard, temporary)
                    sync(temporary)
                    os.replace(temporary, path)
                finally:
                    temporary.unlink(missing_ok=True)  # a part of a file, which a full disk has no room for
                sync(self.folder)

        return make

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Hold the job until the context ends; another process with the same job waits, because `remove` removes the results of both.

        Results that nothing has touched for `KEPT_SECONDS` go: their commands were killed, and nobody went on.
        """
        root = self.cache / FOLDER
        with disk_errors(root, "written"):
            root.mkdir(parents=True, exist_ok=True, mode=0o700)
            lock = FileLock(self.folder.with_suffix(".lock"))
            try:
                lock.acquire(timeout=0)
            except Timeout:
                _log.warning("%s: another command does the same: this one begins when that is done", self.label)
                lock.acquire()
        try:
            _remove_abandoned(root)
            yield
        finally:
            lock.release()

    def remove(self) -> None:
        """Remove the results, once they are of no more use."""
        shutil.rmtree(self.folder, ignore_errors=True)


def _remove_abandoned(root: Path) -> None:
    oldest = time.time() - KEPT_SECONDS
    for path in root.iterdir():
        with contextlib.suppress(FileNotFoundError):  # another command removes it
            if path.stat().st_mtime < oldest:
                _log.info("%s is removed: nothing has used it for %d days", path, KEPT_SECONDS // 86_400)
                shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink()


@dataclass(frozen=True)
class Training:
    """A training that several processes do together, with torch's process group.

    Attributes
    ----------
    label : what messages call it.
    work : a function at the top of a module; called in each process with the group and the arguments. It goes on from its own checkpoints
        when it is called again after the death of a process.
    arguments : of `work`.
    folder : for the files of the cluster, which all processes reach under this path.
    """

    label: str
    work: Callable[..., None]
    arguments: Mapping[str, Any]
    folder: Path


class Cluster(Protocol):
    """Where jobs and trainings run."""

    @property
    def workers(self) -> int:
        """How many shards are worked on at a time."""
        ...

    @property
    def trainers(self) -> int:
        """How many processes a training gets; 0 if this cluster takes none."""
        ...

    @property
    def device(self) -> Literal["cpu", "cuda"]:
        """Where a worker trains, as torch names the type of a device."""
        ...

    def train(self, training: Training) -> None:
        """Do a training in `trainers` processes; return when it is done."""
        ...

    def run(self, job: Job, shards: Sequence[Shard]) -> Iterator[Shard]:
        """Make the results of shards; yield each shard when its result is there, in any order."""
        ...


def results(cluster: Cluster, job: Job, shards: Sequence[Shard], progress: Progress) -> list[Path]:
    """Run a job and return the files of its results, in the order of the shards."""
    missing = [shard for shard in shards if not job.result_of(shard).exists()]
    if len(missing) < len(shards):
        _log.info("%s: %s of %s shards are there from before", job.label, f"{len(shards) - len(missing):,}", f"{len(shards):,}")
    if missing:
        with progress(job.label, sum(map(len, missing))) as step:
            for shard in cluster.run(job, missing):
                step(len(shard))
    return [job.result_of(shard) for shard in shards]


def cut(values: Sequence[Any], size: int) -> list[Shard]:
    """Cut values into shards of `size`; the last may be smaller."""
    return [values[start : start + size] for start in range(0, len(values), size)]
