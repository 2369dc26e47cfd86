"""The k best of many scores, the same way everywhere: ties go to the lower row, whatever the batch."""

from __future__ import annotations

import numpy as np

_LOW = np.int64(0xFFFFFFFF)
_FLIP = np.int32(0x7FFFFFFF)


def top_k(scores: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """The k best columns of each row of `scores` (b, n), best first.

    A score of -inf or nan is never an answer. Equal scores come in order of their column.

    Returns
    -------
    rows int64 (b, k) padded with -1, scores float32 (b, k) padded with -inf.
    """
    b, n = scores.shape
    if np.isnan(scores.min(initial=np.inf)):  # nan spreads to the least; sorted by its bits it would come first
        scores = np.where(np.isnan(scores), -np.inf, scores)
    if k < n and b == 1:
        # All that may be among the k best, equals of the last one included: their order is settled below, among few.
        least = np.partition(scores[0], n - k)[n - k]
        near = np.flatnonzero(~(scores[0] < least))
        rows, best = _sorted_keys(scores[:, near], k)
        return np.where(rows >= 0, near[rows], -1), best
    return _sorted_keys(scores, k)


def _sorted_keys(scores: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """`top_k` of few rows or columns."""
    b, n = scores.shape
    # Floats, made into integers of the same order, above the column: one distinct key a place, so that partition has no ties to break.
    bits = (scores.astype(np.float32, copy=False) + np.float32(0)).view(np.int32)  # + 0 turns -0 into 0
    keys = (bits ^ ((bits >> 31) & _FLIP)).astype(np.int64) << 32
    keys |= _LOW - np.arange(n)
    taken = min(k, n)
    if taken < n:
        keys = np.partition(keys, n - taken, axis=1)[:, n - taken :]
    keys = np.sort(keys, axis=1)[:, ::-1]
    bits = (keys >> 32).astype(np.int32)
    rows = np.full((b, k), -1, dtype=np.int64)
    best = np.full((b, k), -np.inf, dtype=np.float32)
    best[:, :taken] = (bits ^ ((bits >> 31) & _FLIP)).view(np.float32)
    rows[:, :taken] = np.where(best[:, :taken] > -np.inf, _LOW - (keys & _LOW), -1)
    return rows, best
