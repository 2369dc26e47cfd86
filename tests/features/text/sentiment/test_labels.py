"""Classes of ratings."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.text.sentiment.labels import NEGATIVE, NEUTRAL, NO_LABEL, POSITIVE, label_of_rating


@pytest.mark.parametrize(
    ("ratings", "label"),
    [([1, 2, 1.5], NEGATIVE), ([3, 2.5, 3.5], NEUTRAL), ([4, 5, 4.5], POSITIVE), ([None, float("nan"), 0, 6, 100], NO_LABEL)],
)
def test_stars_have_a_class(ratings: list[float | None], label: int) -> None:
    assert label_of_rating(ratings).tolist() == [label] * len(ratings)


@given(st.lists(st.floats(1, 5), min_size=1))
def test_more_stars_are_never_a_worse_class(ratings: list[float]) -> None:
    labels = label_of_rating(np.sort(np.array(ratings)))
    assert labels.dtype == np.int64
    assert (np.diff(labels) >= 0).all()
