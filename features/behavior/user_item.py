"""Behaviour features of (user, item) pairs.

They are frequency, recency and regularity in days and in trips, the same for the item's text, category and brand, the
price level, and the item's statistics. All are computed from events before `now`, for a whole batch of users at once.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from features.behavior.item_stats import CODES, ItemStats
from features.names import (
    GROUP_COUNT,
    GROUP_DECAY,
    GROUP_LAST,
    GROUP_OTHERS,
    GROUP_SHARE,
    ITEM_STAT_PREFIX,
    OWN_COUNT,
    OWN_DECAY,
    OWN_DUE,
    OWN_DUE_SHOP,
    OWN_FIRST,
    OWN_GAP,
    OWN_JITTER,
    OWN_LAST,
    OWN_OF_TRIPS,
    OWN_TRIPS,
    OWN_TRIPS_AGO,
    OWN_TRIPS_DUE,
    PRICE,
    PRICE_GAP,
    REPEAT_GAP,
    USER_DECAY,
    USER_ITEMS,
    USER_LAST,
    USER_REPEATS,
    USER_TRIP_GAP,
    USER_TRIPS,
)

if TYPE_CHECKING:
    from features.data.histories import Histories

HALF_LIVES = (7.0, 30.0, 90.0, 300.0)  # days
TRIP_HALF_LIVES = (2.0, 8.0)  # trips
GROUP_HALF_LIFE = 90.0  # days, for texts, categories and brands


@dataclass(frozen=True)
class Groups:
    """Events aggregated by (user, code): one entry per pair that occurs, sorted by `key`.

    Attributes
    ----------
    n_codes : int
        Number of codes.
    key : int64 (m,)
        user * n_codes + code.
    count : float32 (m,)
        Distinct times.
    last, first : float32 (m,)
        Days (or trips) since the last and the first event.
    jitter : float32 (m,)
        Standard deviation of the gaps; nan with fewer than three times.
    decayed : dict of float to float32 (m,)
        Exponentially decayed sum of weights, by half-life.
    """

    n_codes: int
    key: np.ndarray
    count: np.ndarray
    last: np.ndarray
    first: np.ndarray
    jitter: np.ndarray
    decayed: dict[float, np.ndarray]

    @classmethod
    def of(cls, users: Histories, code: np.ndarray, n_codes: int, half_lives: tuple[float, ...]) -> Groups:
        """Aggregate the events of `users` by `code`, int (n_events,)."""
        raw = users.user * n_codes + code
        order = np.argsort(raw, kind="stable")  # stable: the oldest event stays first within a pair
        key, age, weight = raw[order], users.age[order].astype(np.float64), users.weight[order]
        starts = np.flatnonzero(np.diff(key, prepend=-1))
        if not len(starts):
            empty = np.zeros(0, dtype=np.float32)
            return cls(n_codes, np.zeros(0, dtype=np.int64), empty, empty, empty, empty, dict.fromkeys(half_lives, empty))
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
        """Return the entry of each (user, code) pair, int64; -1 where the user has no such event."""
        if not len(self.key):
            return np.full(np.broadcast_shapes(user.shape, code.shape), -1, dtype=np.int64)
        key = user * self.n_codes + code
        entry = np.minimum(np.searchsorted(self.key, key), len(self.key) - 1)
        return np.where((self.key[entry] == key) & (code >= 0), entry, -1)


def pick(column: np.ndarray, entry: np.ndarray, missing: float) -> np.ndarray:
    """Look up values by entry, float32; `missing` where the entry is -1."""
    if not len(column):
        return np.full(entry.shape, missing, dtype=np.float32)
    return np.where(entry >= 0, column[np.maximum(entry, 0)], missing).astype(np.float32)


def behavior_features(users: Histories, rows: np.ndarray, stats: ItemStats) -> dict[str, np.ndarray]:
    """Compute the behaviour features of candidates.

    Parameters
    ----------
    users : Histories
        Histories of b users.
    rows : int64 (b, k)
        Candidate items. Padding of -1 gives arbitrary values.
    stats : ItemStats
        Statistics of all items.

    Returns
    -------
    dict of str to float32 (b, k)
        By the names in `features.names`; nan where a feature is undefined, which LightGBM treats as missing.
    """
    user = np.arange(len(users))[:, None]
    safe = np.maximum(rows, 0)
    n_items = len(stats.category)
    by_item = Groups.of(users, users.item, n_items, HALF_LIVES)
    out = _repeat_features(by_item, by_item.find(user, rows), stats, safe)
    out |= _trip_features(users, rows, n_items)
    out |= {ITEM_STAT_PREFIX + name: column[safe] for name, column in stats.columns.items()}
    out |= {name: np.broadcast_to(column[:, None], rows.shape) for name, column in _user_features(users, by_item).items()}
    for name in CODES:
        code: np.ndarray = getattr(stats, name)
        groups = Groups.of(users, code[users.item], int(code.max(initial=0)) + 1, (GROUP_HALF_LIFE,))
        out |= _group_features(name, groups, groups.find(user, code[safe]), out[OWN_DECAY.format(GROUP_HALF_LIFE)])
    out[PRICE_GAP] = _price_gap(users, stats, safe)
    total = np.maximum(out[USER_DECAY], 1e-6)
    for name in CODES:
        out[GROUP_SHARE.format(name)] = out[GROUP_DECAY.format(name)] / total
    return {name: np.ascontiguousarray(column, dtype=np.float32) for name, column in out.items()}


def _repeat_features(by_item: Groups, entry: np.ndarray, stats: ItemStats, safe: np.ndarray) -> dict[str, np.ndarray]:
    """Features of the user's events with the same item, in days."""
    count, last, first = pick(by_item.count, entry, 0), pick(by_item.last, entry, np.nan), pick(by_item.first, entry, np.nan)
    gap = np.where(count > 1, (first - last) / np.maximum(count - 1, 1), np.nan)
    out = {OWN_DECAY.format(h): pick(column, entry, 0) for h, column in by_item.decayed.items()}
    out |= {OWN_COUNT: count, OWN_LAST: last, OWN_FIRST: first, OWN_GAP: gap}
    out[OWN_JITTER] = pick(by_item.jitter, entry, np.nan)
    out[OWN_DUE] = last / np.maximum(gap, 0.5)
    out[OWN_DUE_SHOP] = last / np.maximum(stats.columns[REPEAT_GAP][safe], 0.5)
    return out


def trips_ago(users: Histories) -> np.ndarray:
    """Return the number of later trips of the user for each event, float32 (n_events,); 0 on the last trip."""
    fresh = (np.diff(users.age, prepend=0) != 0) | (np.diff(users.user, prepend=-1) != 0)
    trip = np.cumsum(fresh)  # numbered across users
    last = users.offsets[1:] - 1
    return (trip[last][users.user] - trip).astype(np.float32) if len(trip) else np.zeros(0, dtype=np.float32)


def _trip_features(users: Histories, rows: np.ndarray, n_items: int) -> dict[str, np.ndarray]:
    """Features of the user's events with the same item, in trips, so that daily and monthly shoppers are comparable."""
    by_item = Groups.of(replace(users, age=trips_ago(users)), users.item, n_items, TRIP_HALF_LIVES)
    entry = by_item.find(np.arange(len(users))[:, None], rows)
    count, last, first = pick(by_item.count, entry, 0), pick(by_item.last, entry, np.nan), pick(by_item.first, entry, np.nan)
    gap = np.where(count > 1, (first - last) / np.maximum(count - 1, 1), np.nan)
    out = {OWN_TRIPS.format(h): pick(column, entry, 0) for h, column in by_item.decayed.items()}
    return out | {OWN_TRIPS_AGO: last, OWN_TRIPS_DUE: (last + 1) / gap, OWN_OF_TRIPS: count / (first + 1)}


def _user_features(users: Histories, by_item: Groups) -> dict[str, np.ndarray]:
    """Features of the user alone, (b,) each."""
    b = len(users)
    owner = by_item.key // by_item.n_codes
    trips = Groups.of(users, np.zeros(len(users.item), dtype=np.int64), 1, (GROUP_HALF_LIFE,))
    whole = trips.find(np.arange(b), np.zeros(b, dtype=np.int64))
    items = np.bincount(owner, minlength=b).astype(np.float32)
    again = np.bincount(owner, weights=by_item.count > 1, minlength=b)
    count, first = pick(trips.count, whole, 0), pick(trips.first, whole, np.nan)
    return {
        USER_TRIPS: count,
        USER_ITEMS: items,
        USER_REPEATS: (again / np.maximum(items, 1)).astype(np.float32),
        USER_LAST: pick(trips.last, whole, np.nan),
        USER_TRIP_GAP: first / np.maximum(count, 1),
        USER_DECAY: pick(trips.decayed[GROUP_HALF_LIFE], whole, 0),
    }


def _group_features(name: str, groups: Groups, entry: np.ndarray, item_decay: np.ndarray) -> dict[str, np.ndarray]:
    """Features of the user's events in the item's text, category or brand; `others` leaves the item itself out."""
    decay = pick(groups.decayed[GROUP_HALF_LIFE], entry, 0)
    return {
        GROUP_DECAY.format(name): decay,
        GROUP_OTHERS.format(name): decay - item_decay,
        GROUP_LAST.format(name): pick(groups.last, entry, np.nan),
        GROUP_COUNT.format(name): pick(groups.count, entry, 0),
    }


def _price_gap(users: Histories, stats: ItemStats, safe: np.ndarray) -> np.ndarray:
    """Log ratio of the item's price and the geometric mean price of the user's items; nan where unknown."""
    price = stats.columns[PRICE]
    with np.errstate(divide="ignore", invalid="ignore"):
        paid = np.log(price[users.item])
        known = np.isfinite(paid)
        total = np.bincount(users.user[known], weights=paid[known], minlength=len(users))
        usual = total / np.bincount(users.user[known], minlength=len(users))
        return np.log(price[safe]) - usual[:, None]
