"""Reviews are read once, and what was read before is reused only from the same model and aspects."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from features.names import ASPECT, SENTENCE, SENTIMENT
from features.reviews.aspects import Aspect, AspectList
from features.reviews.mentions import Term
from features.reviews.scored import ScoredReviews
from recsys.snapshot.reviews import read_reviews
from tests.features.reviews.made_up import ByWords, catalog, log_of, reviews_of

ROWS = [("u1", "a", 1, 5, "Good quality. I like it."), ("u2", "b", 2, 1, "Bad. Never again."), ("u3", "b", 3, 4, "🙂")]


def read(rows: list, previous: ScoredReviews, aspects: AspectList | None = None) -> tuple[ScoredReviews, list[str], tuple[str, ...]]:
    items = catalog()
    log = log_of(items, ["u1"])
    model: Any = ByWords()
    scored, notes = read_reviews(reviews_of(rows, items, log), log, model, aspects or AspectList.packaged(), previous)
    return scored, model.seen, notes


def test_a_review_that_mentions_no_aspect_has_its_first_sentence() -> None:
    scored, _, notes = read(ROWS, ScoredReviews.empty())
    told = scored.mentions.select(ASPECT, SENTENCE).rows()
    assert ("quality", "Good quality.") in told
    assert (None, "Bad.") in told
    assert all(sentence != "Never again." for _, sentence in told)
    assert scored.reviews[SENTIMENT].to_list() == ["positive", "negative", None]
    assert "1 of 3" in notes[0]


def test_a_second_reading_is_the_same_and_reads_only_what_is_new() -> None:
    first, _, _ = read(ROWS, ScoredReviews.empty())
    more = [*ROWS, ("u4", "c", 4, 5, "A good price")]
    again, seen, _ = read(more, first)
    assert set(seen) == {"A good price"}
    whole, _, _ = read(more, ScoredReviews.empty())
    assert again.reviews.equals(whole.reviews)
    assert again.mentions.sort(*again.mentions.columns).equals(whole.mentions.sort(*whole.mentions.columns))


def test_other_aspects_or_another_model_read_everything_again() -> None:
    first, _, _ = read(ROWS, ScoredReviews.empty())
    own = AspectList((Aspect("feeling", (Term("like", "english"),)),))
    again, seen, _ = read(ROWS, first, own)
    assert len(seen) >= 3
    assert set(again.mentions[ASPECT].drop_nulls()) == {"feeling"}
    assert len(read(ROWS, replace(first, model="another"))[1]) >= 3
