"""Runs of bytes that two versions of a file have in common: the COPY instructions of a delta (RFC 3284), found in one pass.

Rows that are inserted, removed or overwritten leave the rows around them as they are, but move them. After a difference, a few bytes from
further on in the new version are looked up in the old one, at growing distances.
"""

from __future__ import annotations

import numpy as np

LEAST = 256  # bytes of the shortest run: a shorter one costs more to name than to store
_ANCHOR = 64  # bytes that are looked up
_FACTOR = 32  # an anchor is looked for within so many times its distance: much more may have been removed than was inserted
_BLOCK = 1 << 20


def common_runs(old: bytes, new: bytes) -> np.ndarray:
    """Return the runs that two versions of a file have in common.

    Runs that changed their order are not found.

    Returns
    -------
    int64 (m, 3)
        Begin in `new`, begin in `old`, and length of each run in bytes, ascending in both.
    """
    before, after = np.frombuffer(old, dtype=np.uint8), np.frombuffer(new, dtype=np.uint8)
    runs: list[tuple[int, int, int]] = []
    i = j = 0
    while j < len(new):
        length = _equal(before[i:], after[j:])
        if length >= LEAST:
            runs.append((j, i, length))
        i, j = _together_again(old, new, i + length, j + length)
    return np.array(runs, dtype=np.int64).reshape(-1, 3)


def _equal(a: np.ndarray, b: np.ndarray) -> int:
    """Return the length of the common beginning of two arrays."""
    most, at, size = min(len(a), len(b)), 0, 4 * LEAST
    while at < most:
        stop = min(most, at + size)
        if not np.array_equal(a[at:stop], b[at:stop]):
            return at + int(np.argmax(a[at:stop] != b[at:stop]))
        at, size = stop, min(4 * size, _BLOCK)
    return most


def _together_again(old: bytes, new: bytes, i: int, j: int) -> tuple[int, int]:
    """Return where the versions agree again, after a difference at old[i] and new[j]."""
    ahead = _ANCHOR
    while j + ahead + _ANCHOR <= len(new):
        at = old.find(new[j + ahead : j + ahead + _ANCHOR], i, i + _FACTOR * ahead)
        if at >= 0:
            back = min(ahead, at - i)
            mine, theirs = (np.frombuffer(text, dtype=np.uint8)[::-1] for text in (new[j + ahead - back : j + ahead], old[at - back : at]))
            same = _equal(mine, theirs)
            return at - same, j + ahead - same
        ahead += ahead // 2
    return len(old), len(new)
