"""Behaviour features of (user, item) pairs: how often, how lately, how regularly, in days and in trips; fit of text, category, brand and
price; the item's own trend.

Everything is counted from a log before `now`, for a whole batch of users at once.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import safetensors.numpy

from features.distinct import distinct
from features.files import arrays_of
from features.interactions import DAY
from features.prices import against_usual, median_paid
from features.split import LABEL_EVENTS
from features.text import item_texts

if TYPE_CHECKING:
    from collections.abc import Mapping

    from features.catalog import Catalog
    from features.histories import Histories
    from features.interactions import Interactions

HALF_LIVES = (7.0, 30.0, 90.0, 300.0)  # days
TRIP_HALF_LIVES = (2.0, 8.0)  # trips
GROUP_HALF_LIFE = 90.0  # days, for texts, categories and brands
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
        columns = {f"buyers_{days}": distinct_buyers(log, age <= days) for days in (7, 28, 91, 10_000)}
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
        columns["of_text"] = share_of_group(columns["buyers_28"] + columns["buyers_91"] / 10 + columns["buyers_10000"] / 100, text)
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
    lately, before = distinct(key[age <= 28]), distinct(key[age > 28])
    item = lately // max(log.n_users, 1)
    fresh = ~np.isin(lately, before, assume_unique=True)
    counts = np.bincount(item, minlength=log.n_items)
    return np.where(counts > 0, np.bincount(item, weights=fresh, minlength=log.n_items) / np.maximum(counts, 1), np.nan)


def distinct_buyers(log: Interactions, mask: np.ndarray) -> np.ndarray:
    """Distinct users of each item among the masked events, float (n_items,)."""
    key = distinct(log.item[mask].astype(np.int64) * max(log.n_users, 1) + log.user[mask])
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
    back = distinct(key[again]) % n
    buyers, backs = np.bincount(item[fresh], minlength=n), np.bincount(back.astype(np.int64), minlength=n)
    share = backs.sum() / max(buyers.sum(), 1)
    mean = total.sum() / max(gaps.sum(), 1)
    return {"repeat_share": (backs + 5 * share) / (buyers + 5), "repeat_gap": (total + 5 * mean) / (gaps + 5)}


@dataclass(frozen=True)
class Groups:
    """Events of each (user, code) pair, collected: one entry a pair that occurs, sorted by `key` = user * n_codes + code."""

    n_codes: int
    key: np.ndarray  # int64 (m,)
    count: np.ndarray  # distinct times, float32 (m,)
    last: np.ndarray  # days since the last event
    first: np.ndarray  # days since the first
    jitter: np.ndarray  # standard deviation of the gaps, days; nan with fewer than three times
    decayed: dict[float, np.ndarray]  # half-life in days -> weighted count

    @classmethod
    def of(cls, users: Histories, code: np.ndarray, n_codes: int, half_lives: tuple[float, ...]) -> Groups:
        """Collect the events of `users` by `code`, int (n_events,)."""
        raw = users.user * n_codes + code
        order = np.argsort(raw, kind="stable")  # keeps the oldest first within a pair
        key, age, weight = raw[order], users.age[order].astype(np.float64), users.weight[order]
        starts = np.flatnonzero(np.diff(key, prepend=-1))
        if not len(starts):
            none = np.zeros(0, dtype=np.float32)
            return cls(n_codes, np.zeros(0, dtype=np.int64), none, none, none, none, dict.fromkeys(half_lives, none))
        ends = np.append(starts[1:], len(key)) - 1
        gap = np.append(0.0, -np.diff(age))
        gap[starts] = 0.0
        new_time = gap > 0
        new_time[starts] = True
        count = np.add.reduceat(new_time.astype(np.float64), starts)
        gaps = np.maximum(count - 1, 1)
        mean = (age[starts] - age[ends]) / gaps
        variance = np.add.reduceat(gap**2, starts) / gaps - mean**2
        jitter = np.where(count >= 3, np.sqrt(np.maximum(variance, 0)), np.nan)
        decayed = {h: np.add.reduceat(weight * 0.5 ** (age / h), starts).astype(np.float32) for h in half_lives}
        count, last, first, jitter = (column.astype(np.float32) for column in (count, age[ends], age[starts], jitter))
        return cls(n_codes, key[starts], count, last, first, jitter, decayed)

    def find(self, user: np.ndarray, code: np.ndarray) -> np.ndarray:
        """Entry of each (user, code) pair, int64; -1 where the user has none."""
        if not len(self.key):
            return np.full(np.broadcast_shapes(user.shape, code.shape), -1, dtype=np.int64)
        wanted = user * self.n_codes + code
        entry = np.minimum(np.searchsorted(self.key, wanted), len(self.key) - 1)
        return np.where((self.key[entry] == wanted) & (code >= 0), entry, -1)


def pick(column: np.ndarray, entry: np.ndarray, missing: float) -> np.ndarray:
    """Values by entry, `missing` where the entry is -1; float32."""
    if not len(column):
        return np.full(entry.shape, missing, dtype=np.float32)
    return np.where(entry >= 0, column[np.maximum(entry, 0)], missing).astype(np.float32)


def behavior_features(users: Histories, rows: np.ndarray, stats: ItemStats) -> dict[str, np.ndarray]:
    """Features of the candidates `rows` (b, k) (padding -1 gives rubbish, never an error), each float32 (b, k).

    nan means that there is nothing to say, which gradient boosting reads as such.
    """
    user = np.arange(len(users))[:, None]
    safe = np.maximum(rows, 0)
    n_items = len(stats.category)
    mine = Groups.of(users, users.item, n_items, HALF_LIVES)
    out = _own(mine, mine.find(user, rows), stats, safe)
    out |= _trips(users, rows, n_items)
    out |= {f"item_{name}": column[safe] for name, column in stats.columns.items()}
    out |= {name: np.broadcast_to(column[:, None], rows.shape) for name, column in _user(users, mine).items()}
    for name in CODES:
        code: np.ndarray = getattr(stats, name)
        groups = Groups.of(users, code[users.item], int(code.max(initial=0)) + 1, (GROUP_HALF_LIFE,))
        out |= _group(name, groups, groups.find(user, code[safe]), out["own_decay_90"])
    out["price_gap"] = _price_gap(users, stats, safe)
    total = np.maximum(out["user_decay"], 1e-6)
    for name in CODES:
        out[f"{name}_share"] = out[f"{name}_decay"] / total
    return {name: np.ascontiguousarray(column, dtype=np.float32) for name, column in out.items()}


def _own(mine: Groups, entry: np.ndarray, stats: ItemStats, safe: np.ndarray) -> dict[str, np.ndarray]:
    """What the user did with this very item."""
    count, last, first = pick(mine.count, entry, 0), pick(mine.last, entry, np.nan), pick(mine.first, entry, np.nan)
    gap = np.where(count > 1, (first - last) / np.maximum(count - 1, 1), np.nan)
    out = {f"own_decay_{h:.0f}": pick(column, entry, 0) for h, column in mine.decayed.items()}
    out |= {"own_count": count, "own_last": last, "own_first": first, "own_gap": gap}
    out["own_jitter"] = pick(mine.jitter, entry, np.nan)
    out["own_due"] = last / np.maximum(gap, 0.5)
    out["own_due_shop"] = last / np.maximum(stats.columns["repeat_gap"][safe], 0.5)
    return out


def trips_ago(users: Histories) -> np.ndarray:
    """How many times later than each event the user came, float32 (n_events,): 0 on the last trip."""
    fresh = (np.diff(users.age, prepend=0) != 0) | (np.diff(users.user, prepend=-1) != 0)
    trip = np.cumsum(fresh)  # counts on from user to user
    last = users.offsets[1:] - 1
    return (trip[last][users.user] - trip).astype(np.float32) if len(trip) else np.zeros(0, dtype=np.float32)


def _trips(users: Histories, rows: np.ndarray, n_items: int) -> dict[str, np.ndarray]:
    """What the user did with this very item, on a clock that ticks once a trip: who comes daily and who comes monthly look alike."""
    mine = Groups.of(replace(users, age=trips_ago(users)), users.item, n_items, TRIP_HALF_LIVES)
    entry = mine.find(np.arange(len(users))[:, None], rows)
    count, last, first = pick(mine.count, entry, 0), pick(mine.last, entry, np.nan), pick(mine.first, entry, np.nan)
    gap = np.where(count > 1, (first - last) / np.maximum(count - 1, 1), np.nan)
    out = {f"own_trips_{h:.0f}": pick(column, entry, 0) for h, column in mine.decayed.items()}
    return out | {"own_trips_ago": last, "own_trips_due": (last + 1) / gap, "own_of_trips": count / (first + 1)}


def _user(users: Histories, mine: Groups) -> dict[str, np.ndarray]:
    """What the user is like: (b,) columns."""
    b = len(users)
    owner = mine.key // mine.n_codes
    trips = Groups.of(users, np.zeros(len(users.item), dtype=np.int64), 1, (GROUP_HALF_LIFE,))
    whole = trips.find(np.arange(b), np.zeros(b, dtype=np.int64))
    items = np.bincount(owner, minlength=b).astype(np.float32)
    again = np.bincount(owner, weights=mine.count > 1, minlength=b)
    count, first = pick(trips.count, whole, 0), pick(trips.first, whole, np.nan)
    return {
        "user_trips": count,
        "user_items": items,
        "user_repeats": (again / np.maximum(items, 1)).astype(np.float32),
        "user_last": pick(trips.last, whole, np.nan),
        "user_trip_gap": first / np.maximum(count, 1),
        "user_decay": pick(trips.decayed[GROUP_HALF_LIFE], whole, 0),
    }


def _group(name: str, groups: Groups, entry: np.ndarray, own: np.ndarray) -> dict[str, np.ndarray]:
    """What the user did in the item's category or brand; `others` leaves this very item out."""
    decay = pick(groups.decayed[GROUP_HALF_LIFE], entry, 0)
    return {
        f"{name}_decay": decay,
        f"{name}_others": decay - own,
        f"{name}_last": pick(groups.last, entry, np.nan),
        f"{name}_count": pick(groups.count, entry, 0),
    }


def _price_gap(users: Histories, stats: ItemStats, safe: np.ndarray) -> np.ndarray:
    """Log of the item's price over the geometric mean of what the user usually pays for a thing; nan where unknown."""
    price = stats.columns["price"]
    with np.errstate(divide="ignore", invalid="ignore"):
        paid = np.log(price[users.item])
        known = np.isfinite(paid)
        total = np.bincount(users.user[known], weights=paid[known], minlength=len(users))
        usual = total / np.bincount(users.user[known], minlength=len(users))
        return np.log(price[safe]) - usual[:, None]
