"""Assigning units to the variants of an experiment by a stable hash."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


def in_b(user_ids: Iterable[str], salt: str, share: float = 0.5) -> np.ndarray:
    """Return whether each user is in variant b.

    The first 8 bytes of SHA-256 of salt and id, as a number in [0, 1), are compared with `share`. The assignment of a
    user never changes under one salt, whatever other users there are, and is independent between salts.

    Returns
    -------
    bool (n,)
    """
    return hash_positions(user_ids, salt) < np.uint64(min(int(share * 2**64), 2**64 - 1))


def arms_of(unit_ids: Iterable[str], salt: str, shares: Sequence[float]) -> np.ndarray:
    """Return the arm of each unit, int64 (n,): places of `shares`, which sum to 1. As stable as `in_b`."""
    ends = [min(int(end * 2**64), 2**64 - 1) for end in np.cumsum(shares[:-1])]
    return np.searchsorted(np.array(ends, dtype=np.uint64), hash_positions(unit_ids, salt), side="right")


def hash_positions(unit_ids: Iterable[str], salt: str) -> np.ndarray:
    """Return the first 8 bytes of SHA-256 of salt and each id as a number, uint64 (n,): evenly spread, and independent between salts."""
    prefix = hashlib.sha256(salt.encode() + b"\0")

    def position(unit_id: str) -> int:
        digest = prefix.copy()
        digest.update(unit_id.encode())
        return int.from_bytes(digest.digest()[:8], "big")

    return np.fromiter((position(unit) for unit in unit_ids), dtype=np.uint64)
