"""Cache of a long job's results, keyed by everything they depend on, and a clock of its steps."""

from __future__ import annotations

import logging
import shutil
import time
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

from eval.protocol.benchmark_table import EvaluatedSystem
from features.storage.digests import digest, of_json
from recsys.compute.job import FOLDER

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    import numpy as np

    from eval.protocol.runner import Recommend
    from features.data.histories import Histories
    from retrieval.candidates import Candidates

_log = logging.getLogger(__name__)
T = TypeVar("T")


@dataclass(frozen=True)
class CachedResult:
    """A system's evaluation on disk.

    Attributes
    ----------
    facts : everything that the evaluation depends on, ready for JSON.
    """

    folder: Path
    name: str
    facts: Mapping[str, Any]

    @cached_property
    def path(self) -> Path:
        """Folder of the result, named by a digest of the facts."""
        key = of_json(self.facts)[:16]
        return self.folder / f"{self.name}-{key}"

    @property
    def exists(self) -> bool:
        """Whether the result is stored."""
        return self.path.is_dir()

    def load(self) -> EvaluatedSystem:
        """Read the result."""
        _log.info("%s was evaluated before: %s", self.name, self.path)
        return EvaluatedSystem.from_files(read_files(self.path))

    def store(self, result: EvaluatedSystem) -> EvaluatedSystem:
        """Write the result and return it."""
        write_files(self.path, result.to_files())
        return result


@dataclass
class Clock:
    """Adds up the wall-clock seconds of a job's steps by name."""

    seconds: dict[str, float] = field(default_factory=dict)

    def timed(self, name: str, work: Callable[[], T]) -> T:
        """Run `work`, add its time to `name`, and return its result."""
        begun = time.perf_counter()
        result = work()
        self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - begun
        return result

    def answering(self, recommend: Recommend) -> Recommend:
        """Wrap `recommend` so that its time is added to "answer"."""

        def timed(users: Histories, k: int, allowed: np.ndarray | None) -> Candidates:
            return self.timed("answer", lambda: recommend(users, k, allowed))

        return timed


def write_files(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write a folder of files, whose names may lie in folders of it; it appears under its name only when it is complete."""
    temporary = folder.with_name(f"{folder.name}.tmp")
    for path in (temporary, folder):
        shutil.rmtree(path, ignore_errors=True)
    temporary.mkdir(parents=True)
    for name, content in files.items():
        path = temporary / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    temporary.rename(folder)


def job_files(files: Mapping[str, bytes], cache: Path) -> Path:
    """Return the folder of the cache, named by its contents, in which the workers of a job read files."""
    return cache.absolute() / FOLDER / f"files-{digest(files)}"


def store_job_files(files: Mapping[str, bytes], cache: Path) -> Path:
    """Write the folder of `job_files`, unless it is there, and return it."""
    folder = job_files(files, cache)
    if not folder.is_dir():
        folder.parent.mkdir(parents=True, exist_ok=True, mode=0o700)  # what customers did may be among them
        write_files(folder, files)
    return folder


def read_files(folder: Path) -> dict[str, bytes]:
    """Read the files that `write_files` wrote."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
