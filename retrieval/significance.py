"""When a part that was trained has earned its place."""

from __future__ import annotations

import numpy as np


def significant_gain(gain: np.ndarray) -> bool:
    """Return whether the mean of gains, float (n,), exceeds 0 by more than 1.64 standard errors (one-sided, 95%)."""
    return len(gain) > 1 and bool(gain.mean() > 1.64 * gain.std(ddof=1) / np.sqrt(len(gain)))
