"""Distinct rows of a matrix that may lie in a memory-mapped file: neither sorted nor copied as a whole."""

from __future__ import annotations

import numpy as np

CHUNK = 1 << 16  # rows that are read together


def distinct_rows(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Find the distinct rows, bit for bit, in order of first occurrence.

    A row is sorted by a key of 64 bits, and rows of one key are compared, so that two rows with the same key by chance
    stay apart.

    Parameters
    ----------
    rows : float32 (n, dim), contiguous

    Returns
    -------
    first : int64 (m,)
        The first row of each distinct one, ascending.
    place : int32 (n,)
        The distinct row that each row is.
    """
    if not rows.size:
        return np.arange(len(rows), dtype=np.int64)[:1], np.zeros(len(rows), dtype=np.int32)
    words = rows.view(np.uint32)
    first, place = _in_order(_keys(words))
    differing = _differing(words, first, place)
    if len(differing):
        by_bytes = words[differing].view(f"V{words.shape[1] * words.itemsize}").ravel()
        labels = place.astype(np.int64)
        labels[differing] = len(first) + np.unique(by_bytes, return_inverse=True)[1]
        first, place = _in_order(labels)
    return first, place


def _keys(words: np.ndarray) -> np.ndarray:
    """Return a key of each row of words, uint32 (n, dim): their sum with random odd weights, uint64 (n,)."""
    weights = np.random.default_rng(0).integers(0, 1 << 63, words.shape[1], dtype=np.uint64) * np.uint64(2) + np.uint64(1)
    keys = np.empty(len(words), dtype=np.uint64)
    for begin in range(0, len(words), CHUNK):
        part = words[begin : begin + CHUNK]
        # Floats of few digits differ only in their high bits, which the sum would lose.
        keys[begin : begin + CHUNK] = (part ^ (part >> np.uint32(16))).astype(np.uint64) @ weights
    return keys


def _differing(words: np.ndarray, first: np.ndarray, place: np.ndarray) -> np.ndarray:
    """Return the rows that differ from the first row of their key, int64."""
    repeats = np.ones(len(words), dtype=bool)
    repeats[first] = False
    others = np.flatnonzero(repeats)
    found = [np.zeros(0, dtype=np.int64)]
    for begin in range(0, len(others), CHUNK):
        part = others[begin : begin + CHUNK]
        found.append(part[(words[part] != words[first[place[part]]]).any(axis=1)])
    return np.concatenate(found)


def _in_order(labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the first row of each label in order of occurrence, int64 (m,), and the position of each row's label, int32 (n,)."""
    _, first, inverse = np.unique(labels, return_index=True, return_inverse=True)
    rank = np.empty(len(first), dtype=np.int32)
    rank[np.argsort(first)] = np.arange(len(first), dtype=np.int32)
    return np.sort(first), rank[inverse]
