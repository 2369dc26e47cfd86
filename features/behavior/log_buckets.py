"""Logarithmic buckets for ages and counts, as inputs of the user tower and the cross-encoder."""

from __future__ import annotations

import numpy as np

BUCKETS = 16


def bucket_codes(values: np.ndarray) -> np.ndarray:
    """Assign ages in days, or counts, to buckets that double in width: 0, <1, <2, <4 ...; int64, below `BUCKETS`."""
    codes = np.where(values <= 0, 0, np.floor(np.log2(np.maximum(values, 0.5))) + 2)
    return np.clip(codes, 0, BUCKETS - 1).astype(np.int64)
