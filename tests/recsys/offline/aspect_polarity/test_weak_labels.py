"""Polarities of mentions from stars and from the sentiment of sentences."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from recsys.offline.aspect_polarity.weak_labels import FEWEST, weak_labels

SENTENCES = pl.Series(
    ["the price is bad", "good price", "price and size", "price is low but it broke", "the price", "Preis gut, aber klein"]
)
MENTIONS = pl.DataFrame({"sentence": [0, 1, 2, 2, 3, 4, 5], "aspect": ["price", "price", "price", "size", "price", "price", "price"]})


def test_a_sentence_with_one_aspect_inherits_the_stars() -> None:
    labels, weights = weak_labels(SENTENCES, MENTIONS, np.array([1, 5, 5, 5, 3, 5]))
    assert labels[[0, 1, 5]].tolist() == [0, 2, 1]
    assert (weights > 0).tolist() == [True, True, False, False, False, True, False]  # two aspects; "but"; "aber"


@pytest.mark.parametrize(("stars", "label"), [(1, 0), (2, 0), (2.4, 0), (3, 1), (3.5, 2), (4, 2), (5, 2)])
def test_stars_become_polarities(stars: float, label: int) -> None:
    labels, weights = weak_labels(SENTENCES[:1], MENTIONS[:1], np.array([stars]))
    assert labels.tolist() == [label]
    assert weights[0] > 0


def test_without_stars_nothing_is_known_unless_the_sentiment_is() -> None:
    labels, weights = weak_labels(SENTENCES, MENTIONS, None)
    assert not weights.any()
    labels, weights = weak_labels(SENTENCES, MENTIONS, np.full(6, np.nan), np.tile([0.9, 0.05, 0.05], (6, 1)))
    assert (labels == 0).all()
    assert (weights > 0).all()


def test_stars_and_sentiment_must_agree() -> None:
    sentiment = np.array([[0.9, 0.1, 0], [0.8, 0.1, 0.1], [0, 0, 1], [0, 0, 1], [0.4, 0.3, 0.3], [0, 0, 1]])
    labels, weights = weak_labels(SENTENCES, MENTIONS, np.array([1, 5, 5, 5, 5, 5]), sentiment)
    assert labels[0] == 0
    assert weights[0] > 0
    assert weights[1] == 0  # a bad sentence of a good review
    assert labels[5] == 1  # a sentence that judges nothing
    assert weights[5] > 0


def test_polarities_weigh_the_same_and_frequent_ones_are_thinned() -> None:
    n = 5 * FEWEST
    mentions = pl.DataFrame({"sentence": range(n), "aspect": ["price"] * n})
    stars = np.where(np.arange(n) % 5 == 0, 1, 5)
    labels, weights = weak_labels(pl.Series(["the price"] * n), mentions, stars)
    assert (weights > 0).sum() == 2 * FEWEST
    totals = np.bincount(labels, weights)
    assert totals[0] == pytest.approx(totals[2])
    kept = np.flatnonzero((weights > 0) & (labels == 2))
    assert np.diff(kept).max() <= 10  # evenly over the reviews
    again = weak_labels(pl.Series(["the price"] * n), mentions, stars)
    np.testing.assert_array_equal(weights, again[1])


def test_no_mentions_need_no_labels() -> None:
    labels, weights = weak_labels(SENTENCES, MENTIONS[:0], np.full(6, 5.0))
    assert len(labels) == len(weights) == 0
