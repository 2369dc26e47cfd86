"""What a long job has done, kept on disk by all that it depends on; and what it took."""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
import time
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

from eval.protocol.benchmark_table import EvaluatedSystem

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
    """A system's figures on disk, by all that they depend on."""

    folder: Path
    name: str
    facts: Mapping[str, Any]

    @cached_property
    def path(self) -> Path:
        key = hashlib.sha256(json.dumps(self.facts, sort_keys=True).encode()).hexdigest()[:16]
        return self.folder / f"{self.name}-{key}"

    @property
    def there(self) -> bool:
        return self.path.is_dir()

    def load(self) -> EvaluatedSystem:
        _log.info("%s was judged before: %s", self.name, self.path)
        return EvaluatedSystem.from_files(read_files(self.path))

    def store(self, found: EvaluatedSystem) -> EvaluatedSystem:
        write_files(self.path, found.to_files())
        return found


@dataclass
class Clock:
    """Adds up what the steps of a job take, in seconds, by name."""

    seconds: dict[str, float] = field(default_factory=dict)

    def timed(self, name: str, work: Callable[[], T]) -> T:
        """Do it, and count it."""
        begun = time.perf_counter()
        done = work()
        self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - begun
        return done

    def answering(self, recommend: Recommend) -> Recommend:
        """The same, counted as "answer"."""

        def counted(users: Histories, k: int, allowed: np.ndarray | None) -> Candidates:
            return self.timed("answer", lambda: recommend(users, k, allowed))

        return counted


def write_files(folder: Path, files: Mapping[str, bytes]) -> None:
    """A folder of files, whole or not at all."""
    temporary = folder.with_name(f"{folder.name}.tmp")
    for path in (temporary, folder):
        shutil.rmtree(path, ignore_errors=True)
    temporary.mkdir(parents=True)
    for name, content in files.items():
        (temporary / name).write_bytes(content)
    temporary.rename(folder)


def read_files(folder: Path) -> dict[str, bytes]:
    """What `write_files` wrote."""
    return {path.name: path.read_bytes() for path in folder.iterdir()}
