"""Stamps of files: size, times and inode, by which a change is noticed without reading."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def stamp(path: Path | str) -> list[int] | None:
    """Return size, time of modification, time of change and inode of a file or folder, itself and not what it links to; None without one.

    Times are nanoseconds since the epoch. No program sets the time of change, so a file with an old one has its old content.
    """
    try:
        status = os.lstat(path)
    except OSError:
        return None
    return [status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino]


def files_below(folder: Path | str) -> Iterator[str]:
    """Yield the paths of all files below a folder, sorted by folder; none where it does not exist."""
    for root, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if name != "__pycache__")
        yield from (os.path.join(root, name) for name in sorted(names))
