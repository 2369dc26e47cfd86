"""The words of reviews: only those before the moment, and EASE beside them relates items that no buyer does."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.data.catalog import Catalog
from features.data.histories import Histories
from features.data.interactions import Interactions
from features.data.reviews import Reviews
from retrieval.collaborative.config import RetrievalConfig
from retrieval.collaborative.ease import EASE, EASEConfig
from retrieval.collaborative.models import Collaborative
from retrieval.collaborative.review_words import ReviewWords

if TYPE_CHECKING:
    from collections.abc import Sequence

START = datetime(2024, 1, 1)
CATALOG = Catalog.from_frame(pl.DataFrame({"item_id": list("abcdef"), "title": list("abcdef")}))
STRINGS, DRUMS = ("bright strings for guitars", "strings with a warm tone"), ("loud drums and sticks", "sticks that last on drums")
TEXTS = {"a": STRINGS, "b": STRINGS, "c": DRUMS, "d": DRUMS, "e": (), "f": ("strings", "guitars", *(f"rest{i}" for i in range(15)))}
TOLD = [(item, f"{text} {item}{number}", number % 3) for item, texts in TEXTS.items() for number, text in enumerate(texts)]


def reviews_of(rows: Sequence[tuple[str, str, int | None]]) -> Reviews:
    """Reviews of (item, text, day)."""
    times = [None if day is None else START + timedelta(days=day) for _, _, day in rows]
    frame = {"item_id": [item for item, _, _ in rows], "text": [text for _, text, _ in rows], "timestamp": times}
    return Reviews.of(pl.DataFrame(frame, schema_overrides={"timestamp": pl.Datetime("us")}), CATALOG)


def seconds(day: int) -> int:
    return int((START + timedelta(days=day) - datetime(1970, 1, 1)).total_seconds())


@pytest.fixture
def words() -> ReviewWords:
    """Four items with reviews on the first days, in two groups of like words; each text has a word of its own."""
    return ReviewWords.of(reviews_of(TOLD))


def similarities(words: ReviewWords, day: int) -> np.ndarray:
    found = words.before(seconds(day))
    assert found is not None
    return (found @ found.T).toarray()


def test_items_that_are_written_of_alike_are_similar(words: ReviewWords) -> None:
    alike = similarities(words, 9)
    assert alike[0, 1] > 0.8
    assert alike[2, 3] > 0.8
    assert alike[0, 2] < 0.1
    np.testing.assert_allclose(np.diagonal(alike), [1, 1, 1, 1, 0, 1])


def test_a_word_in_fewer_reviews_than_three_counts_for_nothing() -> None:
    assert ReviewWords.of(reviews_of([("a", "lute", 0), ("b", "lute", 1)])).before(seconds(9)) is None
    assert ReviewWords.of(reviews_of([(item, f"lute {item}", 0) for item in "abc"])).before(seconds(9)) is not None


@pytest.mark.parametrize(
    ("item", "text", "day"),
    [
        ("e", "warm strings for guitars", 20),
        ("e", "warm strings for guitars", None),
        ("e", "", 0),
        ("e", "bright strings for guitars a0", 20),
    ],
    ids=["later", "without a time", "without a text", "a copy"],
)
def test_what_must_not_count_does_not(item: str, text: str, day: int | None, words: ReviewWords) -> None:
    more = ReviewWords.of(reviews_of([*TOLD, (item, text, day)]))
    np.testing.assert_allclose(similarities(more, 9), similarities(words, 9))


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.text("xyz ", max_size=9), st.integers(0, 9)), max_size=20), st.integers(0, 9))
def test_reviews_from_a_moment_on_change_nothing_before_it(rows: list[tuple[str, str, int]], day: int) -> None:
    whole, cut = (ReviewWords.of(reviews_of(some)) for some in (rows, [row for row in rows if row[2] < day]))
    one, other = whole.before(seconds(day)), cut.before(seconds(day))
    assert (one is None) == (other is None)
    if one is not None and other is not None:
        np.testing.assert_allclose((one @ one.T).toarray(), (other @ other.T).toarray(), atol=1e-12)


def test_files(words: ReviewWords) -> None:
    back = ReviewWords.from_files(words.to_files())
    assert back is not None
    assert back.to_files() == words.to_files()
    np.testing.assert_array_equal(similarities(back, 9), similarities(words, 9))
    assert ReviewWords.from_files({}) is None


def test_some_reviews_can_be_taken_out(words: ReviewWords) -> None:
    of_a = words.review[words.item == 0]
    left = words.of_reviews(np.setdiff1d(words.review, of_a))
    assert len(left) == len(words) - len(of_a)
    assert not similarities(left, 9)[0].any()
    np.testing.assert_array_equal(left.counts.toarray(), words.counts.toarray()[words.item != 0])


@pytest.fixture
def log() -> Interactions:
    """Three users bought a and c together; nobody bought b."""
    rows = [(f"u{user}", item) for user in range(3) for item in ("a", "c")]
    frame = pl.DataFrame({"user_id": [user for user, _ in rows], "item_id": [item for _, item in rows], "timestamp": [START] * len(rows)})
    return Interactions.from_frame(frame, CATALOG)


def test_an_item_that_nobody_bought_is_found_by_the_words_about_it(log: Interactions, words: ReviewWords) -> None:
    config = EASEConfig(l2=1)
    beside = EASE.fit(log, config, words.before(seconds(9)))
    user = Histories.of_baskets([[0]], log.end)
    (scores,) = beside.scores(user)
    assert scores[1] > 10 * abs(scores[4]), "b is written of like a; of e there is nothing"
    assert not EASE.fit(log, config).scores(user)[0, 1]


def test_a_model_is_fitted_only_where_there_are_words(log: Interactions, words: ReviewWords) -> None:
    config = RetrievalConfig()
    now = seconds(9)
    fitted = Collaborative.fit(log, now, config, words)
    back = Collaborative.from_files(fitted.to_files())
    assert fitted.review_ease is not None
    assert back.review_ease is not None
    assert (back.review_ease.weights != fitted.review_ease.weights).nnz == 0
    without = Collaborative.fit(log, now, config)
    for other in (
        Collaborative.fit(log, now, RetrievalConfig(reviews=0), words),
        Collaborative.fit(log, now, config, words.of_reviews(np.empty(0))),
    ):
        assert other.review_ease is None
        assert other.to_files() == without.to_files()
    assert {name for name in fitted.to_files() if not name.startswith("review_ease/")} == set(without.to_files())


def test_in_step_time_no_review_is_known_to_be_earlier(log: Interactions, words: ReviewWords) -> None:
    steps = replace(log, ordinal=True)
    assert Collaborative.fit(steps, seconds(9), RetrievalConfig(), words).review_ease is None
