"""Top-k selection with one tie rule everywhere: equal scores come in order of their column, whatever the batch."""

from __future__ import annotations

import numpy as np

_LOW = np.int64(0xFFFFFFFF)
_FLIP = np.int32(0x7FFFFFFF)


def top_k(scores: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the k best columns of each row, best first; a score of -inf or nan is never returned.

    Parameters
    ----------
    scores : float (b, n)

    Returns
    -------
    columns : int64 (b, k), padded with -1
    best : float32 (b, k), padded with -inf
    """
    b, n = scores.shape
    if np.isnan(scores.min(initial=np.inf)):  # the minimum is nan if any score is; sorted by its bits, nan would come first
        scores = np.where(np.isnan(scores), -np.inf, scores)
    if k < n and b == 1:
        # Sort only the scores that may be among the k best, ties with the k-th included.
        threshold = np.partition(scores[0], n - k)[n - k]
        columns = np.flatnonzero(~(scores[0] < threshold))
        rows, best = _sorted_keys(scores[:, columns], k)
        return np.where(rows >= 0, columns[rows], -1), best
    return _sorted_keys(scores, k)


def _sorted_keys(scores: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Return `top_k` of all columns by one sort of integer keys."""
    b, n = scores.shape
    # Key: the float as an integer of the same order, then the column. All keys differ, so partition has no ties.
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
