"""Statistics of each item over the log: buyers by window, prices, repurchase, share among items of the same text."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import safetensors.numpy

from features.data.interactions import DAY
from features.data.prices import exact
from features.data.split import LABEL_EVENTS
from features.names import (
    BEGINNERS,
    BRAND,
    BUYERS_7,
    BUYERS_28,
    BUYERS_91,
    BUYERS_EVER,
    CATEGORY,
    FIRST_SALE,
    PRICE,
    PRICE_CHANGE,
    REPEAT_GAP,
    REPEAT_SHARE,
    SHARE_OF_TEXT,
    TEXT,
    TREND,
)
from features.storage.arrays import arrays_of
from features.storage.sorted_unique import sorted_unique
from features.text.template import item_texts

if TYPE_CHECKING:
    from collections.abc import Mapping

    from features.data.catalog import Catalog
    from features.data.interactions import Interactions


FEW_BUYERS = 5  # the log says little of an item with fewer
CODES = (CATEGORY, BRAND, TEXT)
BUYER_DAYS = {BUYERS_7: 7.0, BUYERS_28: 28.0, BUYERS_91: 91.0, BUYERS_EVER: math.inf}


@dataclass(frozen=True)
class ItemStats:
    """Statistics of each item at one time.

    Attributes
    ----------
    columns : dict of str to float32 (n_items,)
        The statistics, by their names in `features.names`. Prices are float64, and exact.
    category, brand, text : int32 (n_items,)
        Codes. Many items can share a text: sizes and colours of one product, or the short names of a till.
    """

    columns: dict[str, np.ndarray]
    category: np.ndarray
    brand: np.ndarray
    text: np.ndarray

    @classmethod
    def fit(cls, log: Interactions, catalog: Catalog, now: int) -> ItemStats:
        """Compute the statistics from the purchases before `now`, in seconds since the epoch.

        An item's price is the median paid before `now`, else the catalogue's, because that may be later than `now`.
        """
        log = log.between(None, now)
        log = log.where(np.isin(log.event, LABEL_EVENTS))
        n, age = log.n_items, (now - log.time) / DAY
        pairs = BuyerPairs.of(log, age)
        columns = {name: pairs.buyers(days) for name, days in BUYER_DAYS.items()}
        columns[TREND] = np.log((columns[BUYERS_28] + 1) / (columns[BUYERS_91] * (28 / 91) + 1))
        columns |= pairs.repurchase()
        first = np.full(n, -np.inf)
        np.maximum.at(first, log.item, age)
        columns[FIRST_SALE] = np.where(np.isfinite(first), first, np.nan)
        listed = catalog.frame[PRICE].cast(float).fill_null(float("nan")).to_numpy()
        paid = median_paid(log)
        price = exact(np.where(np.isnan(paid), listed, paid))
        columns |= {PRICE_CHANGE.format(days): price_change(log, age <= days) for days in (7, 28)}
        columns[BEGINNERS] = pairs.beginners(28)
        text = text_codes(catalog)
        columns[SHARE_OF_TEXT] = share_of_group(columns[BUYERS_28] + columns[BUYERS_91] / 10 + columns[BUYERS_EVER] / 100, text)
        return cls(
            {name: column.astype(np.float32) for name, column in columns.items()} | {PRICE: price},
            narrow_codes(catalog, CATEGORY),
            narrow_codes(catalog, BRAND),
            text,
        )

    def current_prices(self, catalog: Catalog) -> np.ndarray:
        """Return the price of each item, an exact decimal, float64 (n_items,): the catalogue's, else the median paid, else nan."""
        listed = catalog.frame[PRICE].fill_null(float("nan")).to_numpy()
        return exact(np.where(np.isnan(listed), self.columns[PRICE], listed))

    def to_files(self) -> dict[str, bytes]:
        """Return all columns and codes as safetensors."""
        return {"item_stats.safetensors": safetensors.numpy.save(self.columns | {f"_{name}": getattr(self, name) for name in CODES})}

    @classmethod
    def from_files(cls, files: Mapping[str, bytes]) -> ItemStats:
        """Read the files of `to_files`. Earlier versions stored prices as float32."""
        arrays = dict(arrays_of(files, "item_stats.safetensors"))
        arrays[PRICE] = exact(arrays[PRICE])
        codes = {name: arrays.pop(f"_{name}") for name in CODES}
        return cls(arrays, **codes)


def narrow_codes(catalog: Catalog, column: str) -> np.ndarray:
    """Return the codes of a text column, int32 (n,); items without a value share the code 0."""
    return (catalog.codes(column) + 1).astype(np.int32)


def text_codes(catalog: Catalog) -> np.ndarray:
    """Return the codes of the items' whole texts, int32 (n,)."""
    return item_texts(catalog).rank("dense").to_numpy().astype(np.int32) - 1


def share_of_group(amount: np.ndarray, code: np.ndarray) -> np.ndarray:
    """Return each item's share of the total amount of its code, float (n,); 0 where the total is 0."""
    total = np.bincount(code, weights=amount)[code] if len(code) else amount
    return np.where(total > 0, amount / np.maximum(total, 1e-9), 0.0)


def distinct_buyers(log: Interactions, mask: np.ndarray) -> np.ndarray:
    """Count the distinct users of each item among the masked events, float (n_items,)."""
    key = sorted_unique(log.item[mask].astype(np.int64) * max(log.n_users, 1) + log.user[mask])
    return np.bincount(key // max(log.n_users, 1), minlength=log.n_items).astype(np.float64)


@dataclass(frozen=True)
class BuyerPairs:
    """The purchases of a log by user and item, which are sorted once for several statistics.

    Attributes
    ----------
    item : int64 (n,)
        Item row of each purchase, sorted by user, item and time.
    age : float64 (n,)
        Days since each purchase.
    first : int64 (pairs,)
        Place of the first purchase of each pair of a user and an item.
    n_items : int
        Items in the catalogue.
    """

    item: np.ndarray
    age: np.ndarray
    first: np.ndarray
    n_items: int

    @classmethod
    def of(cls, log: Interactions, age: np.ndarray) -> BuyerPairs:
        """Sort the purchases of a log; `age` is days since each, float (n,)."""
        key = log.user.astype(np.int64) * log.n_items + log.item
        order = np.argsort(key, kind="stable")  # the log is sorted by user and time, so each pair's purchases keep their order
        key = key[order]
        return cls(key % log.n_items, age[order], np.flatnonzero(np.diff(key, prepend=-1)), log.n_items)

    @property
    def _newest(self) -> np.ndarray:
        """Days since the last purchase of each pair, float64 (pairs,)."""
        return self.age[np.append(self.first[1:], len(self.age))[: len(self.first)] - 1]

    def buyers(self, days: float) -> np.ndarray:
        """Count the distinct users who bought each item in the last days, float64 (n_items,)."""
        return self._count(self.first[self._newest <= days]).astype(np.float64)

    def beginners(self, days: float) -> np.ndarray:
        """Return the share of first-time buyers among the buyers of the last days, float64 (n_items,); nan without any."""
        buyers, fresh = self.buyers(days), self._count(self.first[self.age[self.first] <= days])
        return np.where(buyers > 0, fresh / np.maximum(buyers, 1), np.nan)

    def repurchase(self) -> dict[str, np.ndarray]:
        """Return the share of buyers that bought the item again, and their mean gap in days, both float64 (n_items,).

        Both are shrunk towards the shop's mean.
        """
        gap = -np.diff(self.age, prepend=0.0)
        gap[self.first] = 0.0
        again = np.flatnonzero(gap > 0.5)  # a second purchase on the same trip does not count
        gaps, total = self._count(again), np.bincount(self.item[again], weights=gap[again], minlength=self.n_items)
        pair = sorted_unique(np.searchsorted(self.first, again, side="right") - 1)  # those who came back
        buyers, backs = self._count(self.first), self._count(self.first[pair])
        share = backs.sum() / max(buyers.sum(), 1)
        mean = total.sum() / max(gaps.sum(), 1)
        return {REPEAT_SHARE: (backs + 5 * share) / (buyers + 5), REPEAT_GAP: (total + 5 * mean) / (gaps + 5)}

    def _count(self, places: np.ndarray) -> np.ndarray:
        return np.bincount(self.item[places], minlength=self.n_items)


def median_paid(log: Interactions) -> np.ndarray:
    """Return the median unit price paid for each item, of two in the middle the lower, float64 (n_items,); nan where no price is known."""
    known = ~np.isnan(log.price)
    paid = pl.DataFrame({"item": log.item[known], "price": log.price[known]})
    medians = paid.group_by("item").agg(pl.col("price").quantile(0.5, "lower"))
    out = np.full(log.n_items, np.nan)
    out[medians["item"].to_numpy()] = medians["price"].to_numpy()
    return out


def price_change(log: Interactions, recent: np.ndarray) -> np.ndarray:
    """Return the log ratio of an item's recent mean price and its mean price, float (n_items,); below 0 is a discount.

    Parameters
    ----------
    log : Interactions
        The purchases, with the prices paid. Means are geometric.
    recent : bool (n_events,)
        The events to count as recent; the result is nan for items without any.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        paid = np.log(log.price)
        means = []
        for mask in (recent & np.isfinite(paid), np.isfinite(paid)):
            total = np.bincount(log.item[mask], weights=paid[mask], minlength=log.n_items)
            means.append(total / np.bincount(log.item[mask], minlength=log.n_items))
    return means[0] - means[1]
