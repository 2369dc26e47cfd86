"""Atomic writes: after a power failure a file has its old or its new content, never a mixture.

Data is written and synced before the name changes, and the folder after it.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from filelock import FileLock

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_SECONDS = 30.0  # longest wait for another process


def write_durably(path: Path, content: bytes) -> None:
    """Write a file and sync its bytes to disk; its name is durable only after `sync` of the folder."""
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def replace_durably(path: Path, content: bytes) -> None:
    """Replace a file atomically and durably; readers see the old or the new content."""
    temporary = path.with_name(f".tmp-{path.name}")
    write_durably(temporary, content)
    os.replace(temporary, path)
    sync(path.parent)


def write_whole(path: Path, text: str) -> None:
    """Replace a report atomically, but not durably: it can be rebuilt after a power failure."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".tmp-{path.name}")
    temporary.write_text(text, encoding="utf-8")
    os.replace(temporary, path)


def sync(path: Path) -> None:
    """Sync a file's bytes, or a folder's names, to disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def exclusive(path: Path) -> Iterator[None]:
    """Lock `path` against other processes; create its folder.

    Raises
    ------
    OSError
        If the disk fails, or the lock is not free within 30 seconds.
    """
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with FileLock(path.with_name(f".{path.name}.lock"), timeout=_SECONDS):
        yield
