"""Reviews that were read survive their files, and lose erased authors with all they said."""

from __future__ import annotations

from features.names import ASPECT, REVIEW, SENTENCE
from features.reviews.scored import MENTION_SCHEMA, REVIEW_SCHEMA, ScoredReviews
from tests.features.reviews.made_up import scored_of

ROWS = [
    ("u1", "a", 1, 5, "Good quality. Delivery was bad."),
    ("u2", "a", 2, 1, "It was bad."),
    (None, "b", 3, None, "Good price"),
]


def test_files_keep_everything() -> None:
    scored = scored_of(ROWS)
    again = ScoredReviews.from_files(scored.to_files())
    assert again.reviews.equals(scored.reviews)
    assert again.mentions.equals(scored.mentions)
    assert again.model == scored.model != ""
    assert dict(again.reviews.schema) == REVIEW_SCHEMA
    assert dict(again.mentions.schema) == MENTION_SCHEMA


def test_a_shop_without_reviews_has_no_files() -> None:
    assert ScoredReviews.empty().to_files() == {}
    assert len(ScoredReviews.from_files({})) == 0


def test_an_authors_reviews_and_mentions_go_together() -> None:
    scored = scored_of(ROWS)
    left = scored.without_users(["u1"])
    assert len(left) == 2
    assert set(left.mentions[REVIEW]) <= set(left.reviews[REVIEW])
    assert "Delivery was bad." not in left.mentions[SENTENCE].to_list()
    assert len(scored.without_users(["nobody"])) == 3


def test_what_a_left_out_review_mentions_does_not_count() -> None:
    text = "The quality of it is good and I like it"
    scored = scored_of([("u1", "a", 1, 5, text), ("u2", "b", 2, 5, text)])
    assert len(scored.counted) == 1
    assert scored.counted_mentions[ASPECT].to_list() == ["quality"]
    assert len(scored.mentions) == 2
