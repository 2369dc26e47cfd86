"""Facts of a product that a campaign may state: the catalogue's, and what its reviews praise."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

import polars as pl

from features.names import ASPECT, ATTRIBUTES, BRAND, CATEGORY, PRICE, TITLE
from features.reviews.summary import PRAISED, PRAISED_MENTIONS
from recsys.wording.facts import Fact, FactKind

if TYPE_CHECKING:
    from collections.abc import Mapping

    from recsys.recommend.pipeline import Recommender

CATALOGUE, REVIEWS, SHOP = "catalogue", "reviews", "shop"


def facts_of_item(recommender: Recommender, item_id: str, aspects: Mapping[str, str], currency: str | None) -> list[Fact]:
    """Return the facts of an item; those that the shop does not give are left out.

    Parameters
    ----------
    aspects : name of an aspect -> the language's words for it; other aspects are not spoken of.
    currency : ISO 4217 code of the catalogue's prices.

    Raises
    ------
    DataError
        If the item is unknown.
    """
    snapshot = recommender.snapshot
    row = int(snapshot.catalog.rows_or_raise([item_id])[0])
    frame = snapshot.catalog.frame
    facts = [Fact("title", frame[TITLE][row], FactKind.NAME, CATALOGUE, item_id)]
    if brand := frame[BRAND][row]:
        facts.append(Fact("brand", brand, FactKind.NAME, CATALOGUE, item_id))
    # The catalogue's own price: what customers paid is no price that a letter may name.
    if (price := frame[PRICE][row]) is not None:
        facts.append(Fact("price", Decimal(str(price)), FactKind.MONEY, CATALOGUE, item_id, currency))
    if category := frame[CATEGORY][row]:
        facts.append(Fact("category", category.rsplit("|", 1)[-1].strip(), FactKind.TEXT, CATALOGUE, item_id))
    name, _, value = (frame[ATTRIBUTES][row] or "").split(";")[0].partition(":")
    if name.strip() and value.strip():
        facts += [
            Fact("attribute", name.strip(), FactKind.TEXT, CATALOGUE, item_id),
            Fact("value", value.strip(), FactKind.TEXT, CATALOGUE, item_id),
        ]
    return facts + _praise(recommender, row, item_id, aspects)


def _praise(recommender: Recommender, row: int, item_id: str, aspects: Mapping[str, str]) -> list[Fact]:
    """Return the aspect that most reviews of the item speak of and nearly all of them praise, rounded down."""
    reviews = recommender.snapshot.reviews
    if not len(reviews):
        return []
    best = (
        reviews.praise_of_items.filter(
            (pl.col("item") == row)
            & (pl.col("mentions") >= PRAISED_MENTIONS)
            & (pl.col("positive") >= PRAISED)
            & pl.col(ASPECT).is_in(list(aspects))
        )
        .sort("mentions", "positive", ASPECT, descending=[True, True, False])
        .head(1)
    )
    if not best.height:
        return []
    aspect, mentions, positive = best.select(ASPECT, "mentions", "positive").row(0)
    return [
        Fact("aspect", aspects[aspect], FactKind.TEXT, REVIEWS, item_id),
        Fact("mentions", int(mentions), FactKind.NUMBER, REVIEWS, item_id),
        Fact("share", int(100 * positive), FactKind.NUMBER, REVIEWS, item_id),
    ]
