"""What changed between the data of two snapshots, by external ids: their rows may differ though nothing has changed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
import polars as pl

from features.names import BRAND, CATEGORY, DESCRIPTION, ITEM_ID, TITLE

if TYPE_CHECKING:
    from features.data.catalog import Catalog
    from features.data.interactions import Interactions
    from retrieval.collaborative.review_words import ReviewWords

_TEXT = [ITEM_ID, TITLE, BRAND, CATEGORY, DESCRIPTION]


class ShopData(Protocol):
    """What models are fitted on: items, what users did with them, and what they wrote of them. A `Snapshot` has it."""

    @property
    def catalog(self) -> Catalog: ...

    @property
    def log(self) -> Interactions: ...

    @property
    def review_words(self) -> ReviewWords | None: ...


@dataclass(frozen=True)
class Tables:
    """The tables of a shop before a snapshot of them is taken; `ShopData`."""

    catalog: Catalog
    log: Interactions
    review_words: ReviewWords | None


@dataclass(frozen=True)
class Changes:
    """What a catalogue and a log have that earlier ones lack, and the other way round.

    Attributes
    ----------
    rows : the earlier row of each item, int64 (n_items,); -1 for a new item.
    events : number of events, dislikes and reviews that one of the two has and the other lacks. A changed event counts twice.
    items : number of items that are new, gone, or have another title, brand, category or description.
    """

    rows: np.ndarray
    events: int
    items: int

    @classmethod
    def between(cls, before: ShopData, after: ShopData) -> Changes:
        """Compare what a shop has with what it had."""
        rows = before.catalog.rows(after.catalog.ids.tolist())
        place = np.full(len(before.catalog), -1, dtype=np.int64)
        place[rows[rows >= 0]] = np.flatnonzero(rows >= 0)
        events = changed_events(before.log, after.log, place) + _changed_reviews(before.review_words, after.review_words, place)
        return cls(rows, events, _changed_items(before.catalog.frame, after.catalog.frame))


def changed_events(before: Interactions, after: Interactions, place: np.ndarray) -> int:
    """Return how many events and dislikes one of two logs has and the other lacks, each as often as it occurs.

    Parameters
    ----------
    place : the item row in `after` of each item of `before`, int64 (n,); -1 where it is gone.
    """
    if _equal(before, after) and np.array_equal(place, np.arange(before.n_items)):
        return 0
    users = np.union1d(before.user_ids, after.user_ids)
    signed = []
    for log, items, sign in ((before, place, -1), (after, None, 1)):
        user = np.searchsorted(users, log.user_ids)
        for of, dislike in ((log, False), (log.dislikes, True)):
            if of is not None:
                item = of.item.astype(np.int64) if items is None else items[of.item]
                columns = {"user": user[of.user], "item": item, "time": of.time, "event": of.event, "weight": of.weight, "price": of.price}
                signed.append(pl.DataFrame(columns).with_columns(dislike=pl.lit(dislike), sign=pl.lit(sign, pl.Int32)))
    # The item row -1 of events whose item is gone occurs in one log alone, so that these find no equal one.
    return _unmatched(pl.concat(signed))


def _equal(before: Interactions, after: Interactions) -> bool:
    one, other = before.columns(), after.columns()
    if len(before.user_ids) != len(after.user_ids) or one.keys() != other.keys() or before.n_items != after.n_items:
        return False
    same = all(np.array_equal(one[name], other[name], equal_nan=one[name].dtype.kind == "f") for name in one)
    return same and np.array_equal(before.user_ids, after.user_ids)


def _changed_reviews(before: ReviewWords | None, after: ReviewWords | None, place: np.ndarray) -> int:
    """Return how many reviews one of the two has and the other lacks, by item and time."""
    signed = [
        pl.DataFrame({"item": item, "time": words.time}).with_columns(sign=pl.lit(sign, pl.Int32))
        for words, sign in ((before, -1), (after, 1))
        if words is not None
        for item in [words.item.astype(np.int64) if sign > 0 else place[words.item]]
    ]
    return _unmatched(pl.concat(signed)) if signed else 0


def _unmatched(signed: pl.DataFrame) -> int:
    """Return how many rows find no equal one of the other sign."""
    # By a hash of 64 bits: grouping by all columns takes four times as long, and two of ten million rows share one once in 400,000 logs.
    keys = pl.DataFrame({"key": signed.drop("sign").hash_rows(), "sign": signed["sign"]})
    return int(keys.group_by("key").agg(pl.col("sign").sum().abs())["sign"].sum())


def _changed_items(before: pl.DataFrame, after: pl.DataFrame) -> int:
    one, other = before.select(_TEXT), after.select(_TEXT)
    if one.equals(other):
        return 0
    new = other.join(one, on=_TEXT, how="anti", nulls_equal=True)[ITEM_ID]
    gone = one.join(other, on=_TEXT, how="anti", nulls_equal=True)[ITEM_ID]
    return pl.concat([new, gone]).n_unique()
