"""Counts of each item over the log: buyers by window, prices, repurchase, shares within brand and category."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import safetensors.numpy

from features.data.interactions import DAY
from features.data.split import LABEL_EVENTS
from features.storage.arrays import arrays_of
from features.storage.sorted_unique import sorted_unique
from features.text.template import item_texts

if TYPE_CHECKING:
    from collections.abc import Mapping

    from features.data.catalog import Catalog
    from features.data.interactions import Interactions


CODES = ("category", "brand", "text")


@dataclass(frozen=True)
class ItemStats:
    """What the log says of each item at `now`: float32 (n_items,) columns, and the item's category, brand and text, int32 (n_items,) codes.

    Many items can share a text: sizes and colours of one thing, or a till's short names.
    """

    columns: dict[str, np.ndarray]
    category: np.ndarray
    brand: np.ndarray
    text: np.ndarray

    @classmethod
    def fit(cls, log: Interactions, catalog: Catalog, now: int) -> ItemStats:
        """Count a log; events at or after `now` are left out. Prices: the median paid, else the catalogue's.

        What was paid before `now` comes first, because a catalogue's price may be of a later day than `now`.
        """
        log = log.between(None, now)
        log = log.where(np.isin(log.event, LABEL_EVENTS))
        n, age = log.n_items, (now - log.time) / DAY
        columns = {f"buyers_{days}": distinct_buyers(log, age <= days) for days in (7, 28, 91)}
        columns["buyers_ever"] = distinct_buyers(log, np.ones(len(log), dtype=bool))
        columns["trend"] = np.log((columns["buyers_28"] + 1) / (columns["buyers_91"] * (28 / 91) + 1))
        columns |= repurchase(log, age)
        first = np.full(n, -np.inf)
        np.maximum.at(first, log.item, age)
        columns["first_sale"] = np.where(np.isfinite(first), first, np.nan)
        listed = catalog.frame["price"].cast(float).fill_null(float("nan")).to_numpy()
        paid = median_paid(log)
        columns["price"] = np.where(np.isnan(paid), listed, paid)
        columns |= {f"price_{days}": against_usual(log, age <= days) for days in (7, 28)}
        columns["beginners"] = beginners(log, age)
        text = text_codes(catalog)
        columns["of_text"] = share_of_group(columns["buyers_28"] + columns["buyers_91"] / 10 + columns["buyers_ever"] / 100, text)
        return cls(
            {name: column.astype(np.float32) for name, column in columns.items()},
            narrow_codes(catalog, "category"),
            narrow_codes(catalog, "brand"),
            text,
        )

    def to_files(self) -> dict[str, bytes]:
        return {"item_stats.safetensors": safetensors.numpy.save(self.columns | {f"_{name}": getattr(self, name) for name in CODES})}

    @classmethod
    def from_files(cls, files: Mapping[str, bytes]) -> ItemStats:
        arrays = arrays_of(files, "item_stats.safetensors")
        codes = {name: arrays.pop(f"_{name}") for name in CODES}
        return cls(arrays, **codes)


def narrow_codes(catalog: Catalog, column: str) -> np.ndarray:
    """Codes of a text column, int32 (n,); items where it is missing share a code of their own."""
    return (catalog.codes(column) + 1).astype(np.int32)


def text_codes(catalog: Catalog) -> np.ndarray:
    """Codes of the items' whole texts, int32 (n,)."""
    return item_texts(catalog).rank("dense").to_numpy().astype(np.int32) - 1


def share_of_group(amount: np.ndarray, code: np.ndarray) -> np.ndarray:
    """Each item's part of what all items of its code have together, float (n,); 0 where they have nothing."""
    total = np.bincount(code, weights=amount)[code] if len(code) else amount
    return np.where(total > 0, amount / np.maximum(total, 1e-9), 0.0)


def beginners(log: Interactions, age: np.ndarray) -> np.ndarray:
    """Share of each item's buyers of the last 28 days who had never bought it before them, float (n_items,); nan without such buyers."""
    key = log.item.astype(np.int64) * max(log.n_users, 1) + log.user
    lately, before = sorted_unique(key[age <= 28]), sorted_unique(key[age > 28])
    item = lately // max(log.n_users, 1)
    fresh = ~np.isin(lately, before, assume_unique=True)
    counts = np.bincount(item, minlength=log.n_items)
    return np.where(counts > 0, np.bincount(item, weights=fresh, minlength=log.n_items) / np.maximum(counts, 1), np.nan)


def distinct_buyers(log: Interactions, mask: np.ndarray) -> np.ndarray:
    """Distinct users of each item among the masked events, float (n_items,)."""
    key = sorted_unique(log.item[mask].astype(np.int64) * max(log.n_users, 1) + log.user[mask])
    return np.bincount(key // max(log.n_users, 1), minlength=log.n_items).astype(np.float64)


def repurchase(log: Interactions, age: np.ndarray) -> dict[str, np.ndarray]:
    """Share of an item's buyers who came back for it, and their mean gap in days; each shrunk towards the shop's own."""
    key = log.user.astype(np.int64) * log.n_items + log.item
    order = np.lexsort((-age, key))
    key, age = key[order], age[order]
    fresh = np.diff(key, prepend=-1) != 0
    gap = np.where(fresh, 0.0, np.append(0.0, -np.diff(age)) if len(age) else 0.0)
    again = ~fresh & (gap > 0.5)  # the same trip is no repurchase
    item = (key % log.n_items).astype(np.int64)
    n = log.n_items
    gaps, total = np.bincount(item[again], minlength=n), np.bincount(item[again], weights=gap[again], minlength=n)
    back = sorted_unique(key[again]) % n
    buyers, backs = np.bincount(item[fresh], minlength=n), np.bincount(back.astype(np.int64), minlength=n)
    share = backs.sum() / max(buyers.sum(), 1)
    mean = total.sum() / max(gaps.sum(), 1)
    return {"repeat_share": (backs + 5 * share) / (buyers + 5), "repeat_gap": (total + 5 * mean) / (gaps + 5)}


def median_paid(log: Interactions) -> np.ndarray:
    """Median unit price paid for each item, float (n_items,); nan where none is known."""
    known = ~np.isnan(log.price)
    item, price = log.item[known], log.price[known]
    order = np.lexsort((price, item))
    item, price = item[order], price[order]
    out = np.full(log.n_items, np.nan)
    starts = np.flatnonzero(np.diff(item, prepend=-1))
    sizes = np.diff(np.append(starts, len(item)))
    out[item[starts]] = price[starts + (sizes - 1) // 2]
    return out


def against_usual(log: Interactions, lately: np.ndarray) -> np.ndarray:
    """Log of what was paid lately for each item over what is usually paid, by geometric means, float (n_items,): below 0 is on offer.

    lately: bool (n_events,). nan where nothing was paid lately.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        paid = np.log(log.price)
        means = []
        for some in (lately & np.isfinite(paid), np.isfinite(paid)):
            total = np.bincount(log.item[some], weights=paid[some], minlength=log.n_items)
            means.append(total / np.bincount(log.item[some], minlength=log.n_items))
    return means[0] - means[1]
