"""Arrays that lie in a file instead of memory: the system keeps of them in memory what it has room for."""

from __future__ import annotations

import mmap
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from features.errors import disk_errors

if TYPE_CHECKING:
    from numpy.typing import DTypeLike

BLOCK = 1 << 22  # elements that are selected at once
SMALL = 1 << 24  # bytes, below which an array lies in memory


def mapped(n: int, dtype: DTypeLike) -> np.ndarray[Any, np.dtype[Any]]:
    """Return an array (n,) of zeros in a temporary file without a name, which ends with the array; a small one lies in memory.

    Raises
    ------
    DataError
        If the disk has no room.
    """
    size = n * np.dtype(dtype).itemsize
    if size < SMALL or not n:
        return np.zeros(n, dtype=dtype)
    with disk_errors(Path(tempfile.gettempdir()), "written"), tempfile.TemporaryFile() as file:
        # A write to a mapped file for which the disk has no room would end the process.
        os.posix_fallocate(file.fileno(), 0, size)
        return np.ndarray(n, dtype=dtype, buffer=mmap.mmap(file.fileno(), size))


def is_mapped(array: np.ndarray) -> bool:
    """Return whether an array is one of `mapped` that lies in a file."""
    return isinstance(array.base, mmap.mmap)


def release(array: np.ndarray) -> None:
    """Let go of the memory in which the system keeps an array of `mapped`; its values stay in the file."""
    if isinstance(array.base, mmap.mmap):
        array.base.madvise(mmap.MADV_DONTNEED)


def selected(array: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Return the elements where `mask`, bool (n,), is true; those of a mapped array as one of `mapped`."""
    if not is_mapped(array):
        return array[mask]
    out, done = mapped(int(np.count_nonzero(mask)), array.dtype), 0
    for begin in range(0, len(array), BLOCK):
        found = array[begin : begin + BLOCK][mask[begin : begin + BLOCK]]
        out[done : done + len(found)] = found
        done += len(found)
    release(array)
    release(out)
    return out
