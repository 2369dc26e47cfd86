"""Writing so that a power failure leaves the old or the new, never a half: data first, then names, each made sure of on disk."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from filelock import FileLock

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_SECONDS = 30.0  # to wait for another process


def write_durably(path: Path, content: bytes) -> None:
    """A file whose bytes are on the disk; its name is, once its folder was synced."""
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def replace_durably(path: Path, content: bytes) -> None:
    """Put a file in the place of `path`, whole or not at all; readers see one of the two at any time."""
    temporary = path.with_name(f".tmp-{path.name}")
    write_durably(temporary, content)
    os.replace(temporary, path)
    sync(path.parent)


def write_whole(path: Path, text: str) -> None:
    """A report in the place of `path`, whole or not at all; a power failure may cost it, as it can be made again."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".tmp-{path.name}")
    temporary.write_text(text, encoding="utf-8")
    os.replace(temporary, path)


def sync(path: Path) -> None:
    """Make sure of a file's bytes, or of a folder's names."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def alone_with(path: Path) -> Iterator[None]:
    """The only one who reads, changes and writes `path` again; its folder is made. Raises OSError, of the disk or after a long wait."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with FileLock(path.with_name(f".{path.name}.lock"), timeout=_SECONDS):
        yield
