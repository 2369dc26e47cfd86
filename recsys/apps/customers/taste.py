"""What a customer's purchases say of the taste, and what has changed lately."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from features.behavior.purchase_days import calendar_of, end_of
from features.behavior.rhythm import MONTH
from features.data.interactions import DAY
from features.data.split import LABEL_EVENTS
from features.names import CATEGORY, TITLE
from recsys.apps.customers.answers import Example, TasteCategory

if TYPE_CHECKING:
    from features.data.catalog import Catalog
    from features.data.interactions import Interactions

HALF_LIFE = 91.0  # days after which a purchase counts half
SHOWN = 5  # categories, and examples
REGULAR_DAYS = 3  # purchase days of a category from which on its absence is a change
ABSENCE = 56  # days, at least, without a category that was bought regularly
ABSENT_GAPS = 3  # of the customer's usual gaps, at least


@dataclass(frozen=True)
class Tastes:
    """Reads tastes from the purchases of a log, beside what the shop's customers buy on average."""

    catalog: Catalog
    log: Interactions

    def categories(self, row: int) -> tuple[TasteCategory, ...]:
        """Return the categories that a user buys most beyond the shop's average; purchases count half after `HALF_LIFE` days."""
        own = self._weights(*self._of(row))
        total = own.sum()
        if not total:
            return ()
        share, usual = own / total, self._shop
        with np.errstate(divide="ignore", invalid="ignore"):
            beyond = np.where(share > usual, share * np.log(share / usual), 0)
        best = [code for code in np.argsort(-beyond, kind="stable")[:SHOWN].tolist() if beyond[code] > 0]
        return tuple(
            TasteCategory(self._names[code], round(float(share[code]), 4), round(float(share[code] / usual[code]), 2)) for code in best
        )

    def examples(self, row: int) -> tuple[Example, ...]:
        """Return the items that a user buys most, one of each title; older purchases count less, as in `categories`."""
        item, age = self._of(row)
        items, place, times = np.unique(item, return_inverse=True, return_counts=True)
        weight = np.bincount(place, 0.5 ** (age / HALF_LIFE), minlength=len(items))
        titles = self.catalog.frame[TITLE].gather(items)
        found = pl.DataFrame({"item": items, TITLE: titles, "times": times, "weight": weight})
        # Sizes and flavours often share a title, and would fill the list.
        best = found.sort("weight", "item", descending=[True, False]).unique(TITLE, keep="first", maintain_order=True).head(SHOWN)
        return tuple(Example(str(self.catalog.ids[row["item"]]), row[TITLE], row["times"]) for row in best.iter_rows(named=True))

    def changes(self, row: int, usual_gap: float) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Return categories that a user has bought in the last 28 days and never before, and those bought regularly and not lately.

        The former need a purchase before these days: to somebody who is new, all is new.
        """
        item, age = self._of(row)
        code = self._codes[item]
        code, age = code[code >= 0], age[code >= 0]
        recent, before = code[age < MONTH], code[age >= MONTH]
        fresh = np.setdiff1d(recent, before) if len(before) else np.zeros(0, dtype=np.int64)
        absence = max(ABSENCE, ABSENT_GAPS * usual_gap)
        days = pl.DataFrame({"code": code, "age": age, "day": np.floor(age)})
        gone = (
            days.group_by("code")
            .agg(pl.col("age").min(), pl.col("day").n_unique())
            .filter(pl.col("age") > absence, pl.col("day") >= REGULAR_DAYS)
        )
        counts = pl.DataFrame({"code": fresh}, schema={"code": pl.Int64}).join(
            pl.DataFrame({"code": recent.astype(np.int64)}).group_by("code").len(), on="code"
        )
        listed = (counts.sort("len", "code", descending=[True, False]), gone.sort("day", "code", descending=[True, False]))
        new, abandoned = (tuple(self._names[one] for one in table["code"].head(SHOWN)) for table in listed)
        return new, abandoned

    def _of(self, row: int) -> tuple[np.ndarray, np.ndarray]:
        """Return items and ages in days of a user's purchases."""
        start, end = self.log.offsets[row], self.log.offsets[row + 1]
        bought = np.isin(self.log.event[start:end], LABEL_EVENTS)
        return self.log.item[start:end][bought].astype(np.int64), (end_of(self.log) - calendar_of(self.log)[start:end][bought]) / DAY

    def _weights(self, item: np.ndarray, age: np.ndarray) -> np.ndarray:
        code = self._codes[item]
        known = code >= 0
        return np.bincount(code[known], 0.5 ** (age[known] / HALF_LIFE), minlength=len(self._names)).astype(np.float64)

    @cached_property
    def _codes(self) -> np.ndarray:
        return self.catalog.codes(CATEGORY).astype(np.int64)

    @cached_property
    def _names(self) -> list[str]:
        return self.catalog.frame[CATEGORY].drop_nulls().unique().sort().to_list()

    @cached_property
    def _shop(self) -> np.ndarray:
        """The shop's share of each category, with the same weights."""
        bought = np.isin(self.log.event, LABEL_EVENTS)
        weights = self._weights(self.log.item[bought].astype(np.int64), (end_of(self.log) - calendar_of(self.log)[bought]) / DAY)
        return weights / max(weights.sum(), 1e-9)
