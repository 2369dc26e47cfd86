"""Stamps of files: size, times and inode, by which a change is noticed without reading."""

from __future__ import annotations

import contextlib
import os
import stat
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path


def file_stamp(path: Path | str) -> list[int] | None:
    """Return size, time of modification, time of change and inode of a file or folder; None without one.

    Times are nanoseconds since the epoch. No program sets the time of change, so a file with an old one has its old content.
    Of a symbolic link these four are followed by those of what it leads to, or by nothing if that does not exist.
    """
    try:
        status = os.lstat(path)
    except OSError:
        return None
    found = _facts(status)
    if stat.S_ISLNK(status.st_mode):
        with contextlib.suppress(OSError):
            found += _facts(os.stat(path))
    return found


def newest(stamps: Iterable[list[int] | None]) -> int:
    """Return the newest time among stamps, nanoseconds since the epoch; 0 without one."""
    return max((max(*one[1::4], *one[2::4]) for one in stamps if one), default=0)


def _facts(status: os.stat_result) -> list[int]:
    return [status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino]


def files_below(folder: Path | str) -> Iterator[str]:
    """Yield the paths of all files below a folder, sorted by folder; none where it does not exist."""
    for root, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if name != "__pycache__")
        yield from (os.path.join(root, name) for name in sorted(names))
