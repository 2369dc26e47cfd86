"""The three classes of sentiment, and the class of a rating."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

NEGATIVE, NEUTRAL, POSITIVE = 0, 1, 2
CLASSES = ("negative", "neutral", "positive")
NO_LABEL = -1


def label_of_rating(ratings: Sequence[float | None] | np.ndarray) -> np.ndarray:
    """Return the class of each rating, int64 (n,): 1 and 2 stars are negative, 3 neutral, 4 and 5 positive.

    Half stars belong to the class that they round away from: 2.5 and 3.5 are neutral. A missing rating, and one outside of 1 to 5, has the
    class `NO_LABEL`.
    """
    stars = np.array([np.nan if value is None else value for value in ratings], dtype=np.float64)
    known = (stars >= 1) & (stars <= 5)
    return np.select([~known, stars < 2.5, stars > 3.5], [NO_LABEL, NEGATIVE, POSITIVE], NEUTRAL).astype(np.int64)
