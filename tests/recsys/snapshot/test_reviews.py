"""Reviews are read once, and what was read before is reused only from the same model and aspects."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl

from features.names import ASPECT, SENTENCE, SENTIMENT
from features.reviews.aspects import Aspect, AspectList
from features.reviews.mentions import Term
from features.reviews.scored import ScoredReviews
from recsys.snapshot.reviews import read_reviews
from tests.features.reviews.made_up import ByWords, catalog, log_of, reviews_of

ROWS = [("u1", "a", 1, 5, "Good quality. I like it."), ("u2", "b", 2, 1, "Bad. Never again."), ("u3", "b", 3, 4, "🙂")]


def read(
    rows: list, previous: ScoredReviews, aspects: AspectList | None = None, polarity: Any = None
) -> tuple[ScoredReviews, list[str], tuple[str, ...]]:
    items = catalog()
    log = log_of(items, ["u1"])
    model: Any = ByWords()
    scored, notes = read_reviews(reviews_of(rows, items, log), log, model, aspects or AspectList.packaged(), previous, polarity)
    return scored, model.seen, notes


def test_a_review_that_mentions_no_aspect_has_its_first_sentence() -> None:
    scored, _, notes = read(ROWS, ScoredReviews.empty())
    told = scored.mentions.select(ASPECT, SENTENCE).rows()
    assert ("quality", "Good quality.") in told
    assert (None, "Bad.") in told
    assert all(sentence != "Never again." for _, sentence in told)
    assert scored.others[SENTENCE].to_list() == ["I like it.", "Never again."]
    assert scored.counted_sentences.select("item", SENTENCE, SENTIMENT).rows() == [
        (0, "Good quality.", "positive"),
        (0, "I like it.", None),
        (1, "Bad.", "negative"),
        (1, "Never again.", None),
        (1, "🙂", None),
    ]
    assert scored.reviews[SENTIMENT].to_list() == ["positive", "negative", None]
    assert "1 of 3" in notes[0]


def test_a_second_reading_is_the_same_and_reads_only_what_is_new() -> None:
    first, _, _ = read(ROWS, ScoredReviews.empty())
    more = [*ROWS, ("u4", "c", 4, 5, "A good price")]
    again, seen, _ = read(more, first)
    assert set(seen) == {"A good price"}
    whole, _, _ = read(more, ScoredReviews.empty())
    assert again.reviews.equals(whole.reviews)
    assert again.others.equals(whole.others)
    assert again.mentions.sort(*again.mentions.columns).equals(whole.mentions.sort(*whole.mentions.columns))


def test_other_aspects_or_another_model_read_everything_again() -> None:
    first, _, _ = read(ROWS, ScoredReviews.empty())
    own = AspectList((Aspect("feeling", (Term("like", "english"),)),))
    again, seen, _ = read(ROWS, first, own)
    assert len(seen) >= 3
    assert set(again.mentions[ASPECT].drop_nulls()) == {"feeling"}
    assert len(read(ROWS, replace(first, model="another"))[1]) >= 3


@dataclass
class ByWordBefore:
    """The polarity of a mention is that of the word before it."""

    digest: str = "p1"

    def probabilities(self, sentences: pl.Series, mentions: pl.DataFrame) -> np.ndarray:
        found = [sentences[row][:begin].lower().split()[-1] for row, begin in mentions.select("sentence", "begin").rows()]
        return np.array([[0.8, 0.1, 0.1] if word == "bad" else [0.1, 0.2, 0.7] for word in found], dtype=np.float32).reshape(-1, 3)


TWO = [
    ("u1", "a", 1, 5, "It has good quality, bad price."),
    ("u2", "b", 2, 1, "What a bad quality, but a good quality box."),
    ("u3", "b", 3, 4, "Some quality. Bad!"),
    ("u4", "c", 4, 2, "Bad. Never."),
]


def test_each_aspect_of_a_sentence_has_its_own_polarity() -> None:
    plain, by_term = (read(TWO, ScoredReviews.empty(), polarity=polarity)[0] for polarity in (None, ByWordBefore()))
    told = by_term.mentions.select("review", ASPECT, SENTIMENT).rows()
    assert (0, "quality", "positive") in told
    assert (0, "price", "negative") in told
    assert (1, "quality", "negative") in told  # the first mention of the sentence
    assert (2, "quality", None) in told  # the sentence is not read
    assert (3, None, "negative") in told  # no aspect: the sentence's own
    assert len({label for review, _, label in plain.mentions.select("review", ASPECT, SENTIMENT).rows() if review == 0}) == 1
    assert plain.mentions.select("review", ASPECT, SENTENCE).equals(by_term.mentions.select("review", ASPECT, SENTENCE))
    assert plain.reviews.equals(by_term.reviews)
    assert by_term.mentions.filter(pl.col(ASPECT) == "price")["negative"].to_list() == [np.float32(0.8)]


def test_another_polarity_reads_everything_again() -> None:
    first, _, _ = read(TWO, ScoredReviews.empty(), polarity=ByWordBefore())
    assert read(TWO, first, polarity=ByWordBefore())[1] == []
    assert len(read(TWO, first, polarity=ByWordBefore("p2"))[1]) >= len(TWO)
    assert len(read(TWO, first)[1]) >= len(TWO)


def test_sentences_are_stored_and_go_with_their_author() -> None:
    scored, _, _ = read(ROWS, ScoredReviews.empty())
    back = ScoredReviews.from_files(scored.to_files())
    assert back.others.equals(scored.others)
    assert back.without_users(["u1"]).others[SENTENCE].to_list() == ["Never again."]
    files = scored.to_files()
    del files["sentences.parquet"]
    assert ScoredReviews.from_files(files).counted_sentences[SENTENCE].to_list() == ["Good quality.", "Bad.", "🙂"]
