"""Reviews whose sentiment and aspects are known, as `recsys.snapshot.reviews` would read them."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import polars as pl

from eval.simulation.reviewed_shop import COMPLAINTS, PRAISE, ReviewedShop
from features.names import NEGATIVE, NEUTRAL, POSITIVE, SENTENCE, SENTIMENTS, TEXT
from features.reviews.aspects import AspectList
from features.reviews.scored import MENTION_SCHEMA, REVIEW_SCHEMA, ScoredReviews
from features.reviews.sentences import split_sentences

if TYPE_CHECKING:
    from collections.abc import Sequence

Told = tuple[str | None, str, str]  # aspect, sentence, sentiment


def scored(*reviews: tuple[int, Sequence[Told]], left_out: Sequence[int] = ()) -> ScoredReviews:
    """Reviews of items, each with its sentences; those at the places of `left_out` do not count."""
    rows = [
        (
            place,
            item,
            f"u{place}",
            datetime(2026, 1, 1),
            5.0,
            place,
            str(place),
            *_sure(told[0][2]),
            "left out" if place in left_out else None,
        )
        for place, (item, told) in enumerate(reviews)
    ]
    mentions = [
        (place, aspect, sentence, *_sure(sentiment)) for place, (_, told) in enumerate(reviews) for aspect, sentence, sentiment in told
    ]
    return ScoredReviews(
        pl.DataFrame(rows, schema=REVIEW_SCHEMA, orient="row"), pl.DataFrame(mentions, schema=MENTION_SCHEMA, orient="row"), "made up"
    )


def scored_shop(shop: ReviewedShop) -> ScoredReviews:
    """The reviews of the made-up shop; which of its sentences praise is known from its lists."""
    row_of = {item: row for row, item in enumerate(shop.items["item_id"])}
    texts = shop.reviews[TEXT]
    sentences = split_sentences(texts)
    found = AspectList.packaged().mentions(sentences[SENTENCE]).select("sentence", "aspect").unique(maintain_order=True)
    told: dict[int, list[Told]] = {}
    for at, aspect in found.iter_rows():
        sentence = sentences[SENTENCE][at]
        told.setdefault(int(sentences["review"][at]), []).append((aspect, sentence, _sentiment(sentence)))
    reviews = [(row_of[item], told.get(place) or [(None, texts[place], NEUTRAL)]) for place, item in enumerate(shop.reviews["item_id"])]
    return scored(*reviews)


def _sentiment(sentence: str) -> str:
    return POSITIVE if sentence in PRAISE else NEGATIVE if sentence in COMPLAINTS else NEUTRAL


def _sure(sentiment: str) -> tuple[float | str, ...]:
    return (*(0.9 if name == sentiment else 0.05 for name in SENTIMENTS), sentiment)
