"""What two variants' lists earned, visit by visit, from the log's purchases; and what was known of the users before."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from eval.baselines.registry import fit_baseline
from eval.experiment.splits import in_b
from eval.metrics.lists import coverage, hit_rate, ndcg
from eval.metrics.user_items import UserItems
from features.behavior.item_stats import median_paid
from features.data.histories import Histories
from features.data.interactions import DAY
from features.data.split import LABEL_EVENTS
from features.storage.sorted_unique import sorted_unique

if TYPE_CHECKING:
    from collections.abc import Mapping

    from eval.baselines.registry import BaselinesConfig
    from features.data.interactions import Interactions

K = 10
PRIMARY = "ndcg@10"
METRICS = (PRIMARY, "hit_rate@10", "revenue@10", "ndcg@10 repeat", "ndcg@10 new")
SEGMENTS = ("all", "heavy", "light", "newcomers")
BEFORE_DAYS = 28.0  # days before the start on which frequency lists are evaluated, for CUPED


@dataclass(frozen=True)
class Visits:
    """All visits. A visit is a user and a day on which that user has an event.

    Attributes
    ----------
    user : int64 (v,), rows of the log
    day : int64 (v,), from 0
    lists : "a" and "b" -> int (v, K), catalogue rows of what the variant showed, padded with -1
    log : the whole log
    start : begin of day 0, seconds since the epoch
    horizon : days, from the visit's day on, whose purchases count
    """

    user: np.ndarray
    day: np.ndarray
    lists: Mapping[str, np.ndarray]
    log: Interactions
    start: int
    horizon: int

    @cached_property
    def _purchases(self) -> tuple[UserItems, np.ndarray, np.ndarray]:
        """Distinct items bought after each visit.

        Returns
        -------
        The m pairs of visit and item; bool (m,), whether the user had bought the item before that day; float (m,), the
        unit price paid, the usual one where the log has none.
        """
        log = self.log.where(np.isin(self.log.event, LABEL_EVENTS))
        keys = log.user.astype(np.int64) * log.n_items + log.item
        # The log is sorted by user and time, so the first row of a user and an item is their first purchase.
        known, first = np.unique(keys, return_index=True)
        usual = median_paid(self.log.between(None, self.start))
        visit, item, paid = [], [], []
        for ahead in range(self.horizon):
            day = (log.time - self.start) // DAY - ahead
            # A purchase belongs to the user's visit `ahead` days before, if there was one.
            place = self._visit_of(log.user, day)
            matched = place >= 0
            visit.append(place[matched])
            item.append(log.item[matched])
            paid.append(np.where(np.isnan(log.price[matched]), usual[log.item[matched]], log.price[matched]))
        pairs = UserItems.of(np.concatenate(visit), np.concatenate(item), len(self.user), log.n_items)
        begins = self.start + self.day[pairs.user] * DAY
        user_item = self.user[pairs.user] * log.n_items + pairs.item
        repeat = log.time[first][np.searchsorted(known, user_item)] < begins
        visit_item = np.concatenate(visit) * np.int64(log.n_items) + np.concatenate(item)
        price = np.full(len(pairs.keys), np.nan)
        price[np.searchsorted(pairs.keys, visit_item)] = np.concatenate(paid)
        return pairs, repeat, price

    def _visit_of(self, user: np.ndarray, day: np.ndarray) -> np.ndarray:
        """Return the place of the visit of each user on each day, int64; -1 where there is none."""
        span = np.int64(self.day.max(initial=0) + 1)
        keys = self.user * span + self.day
        order = np.argsort(keys)
        target = user.astype(np.int64) * span + day
        place = order[np.minimum(np.searchsorted(keys, target, sorter=order), len(keys) - 1)]
        return np.where((keys[place] == target) & (day >= 0) & (day < span), place, -1)

    @property
    def bought(self) -> UserItems:
        """What was bought, by visit."""
        return self._purchases[0]

    def earned(self, variant: str) -> dict[str, np.ndarray]:
        """Return a variant's `METRICS`, float (v,) each, nan where nothing counts.

        One list is evaluated on all purchases, on repeats, and on items new to the user. revenue@10 is what was paid
        for the bought items in the list, over what was paid for all bought items.
        """
        bought, repeat, price = self._purchases
        rows = self.lists[variant]
        return {
            PRIMARY: ndcg(rows, bought, K),
            "hit_rate@10": hit_rate(rows, bought, K),
            "revenue@10": self._revenue(rows, bought, np.nan_to_num(price)),
            "ndcg@10 repeat": ndcg(rows, bought.where(repeat), K),
            "ndcg@10 new": ndcg(rows, bought.where(~repeat), K),
        }

    def _revenue(self, rows: np.ndarray, bought: UserItems, price: np.ndarray) -> np.ndarray:
        """Return the share of what was paid that the lists hold, float (v,)."""
        visit, place = np.nonzero(bought.hits(rows))
        keys = visit * np.int64(bought.n_items) + rows[visit, place]
        revenue = np.bincount(visit, weights=price[np.searchsorted(bought.keys, keys)], minlength=len(rows))
        spent = np.bincount(bought.user, weights=price, minlength=len(rows))
        return np.where(spent > 0, revenue / np.where(spent > 0, spent, 1), np.nan)

    def coverage(self, variant: str) -> float:
        """Return the share of the items known before the last day that stand in some list of the variant."""
        known = len(sorted_unique(self.log.item[self.log.time < self.start + int(self.day.max(initial=0)) * DAY]))
        return coverage(self.lists[variant], K, known)

    @cached_property
    def users(self) -> np.ndarray:
        """User rows in the order in which they came, int64 (u,); those of one day in a fixed random order."""
        first = self.entry
        order = np.lexsort((np.random.default_rng(0).permutation(len(first)), self.day[first]))
        return self.user[first][order]

    @cached_property
    def entry(self) -> np.ndarray:
        """Each user's first visit with a purchase, int64 (u,), in the order of user rows."""
        with_purchase = sorted_unique(self.bought.user)
        order = with_purchase[np.lexsort((self.day[with_purchase], self.user[with_purchase]))]
        return order[np.unique(self.user[order], return_index=True)[1]]

    @cached_property
    def entry_day(self) -> np.ndarray:
        """The day of each of `users`' first visit with a purchase, int64 (u,)."""
        first = self.entry
        return self.day[first][np.searchsorted(self.user[first], self.users)]

    def at_entry(self, values: np.ndarray) -> np.ndarray:
        """Return the value of each of `users`' first visit with a purchase, float (v,) -> (u,)."""
        first = self.entry
        return values[first][np.searchsorted(self.user[first], self.users)]

    def by_user(self, values: np.ndarray) -> np.ndarray:
        """Return the mean over each of `users`' visits, float (v,) -> (u,); nan where none counts."""
        defined = ~np.isnan(values)
        total = np.bincount(self.user[defined], weights=values[defined], minlength=self.log.n_users)
        n = np.bincount(self.user[defined], minlength=self.log.n_users)
        return np.where(n > 0, total / np.maximum(n, 1), np.nan)[self.users]

    def in_b(self, salt: str, share: float) -> np.ndarray:
        """Return whether each of `users` is in variant b, bool (u,)."""
        return in_b(self.log.user_ids[self.users].tolist(), salt, share)

    def segments(self) -> dict[str, np.ndarray]:
        """Return which of `users` are in each of `SEGMENTS`, bool (u,).

        Newcomers have no event before the start. Heavy users have more events before it than the median of the others.
        """
        events = np.bincount(self.log.user[self.log.time < self.start], minlength=self.log.n_users)[self.users]
        newcomers = events == 0
        heavy = events > (np.median(events[~newcomers]) if (~newcomers).any() else 0)
        return {"all": np.ones(len(events), dtype=bool), "heavy": heavy, "light": ~heavy & ~newcomers, "newcomers": newcomers}


def known_before(log: Interactions, start: int, users: np.ndarray, baselines: BaselinesConfig) -> np.ndarray:
    """Return the covariates for CUPED: what was known of users before the start.

    The columns are the log of the number of events, the log of the number of distinct items, the share of purchases
    that were repeats, and NDCG@10 of the user's most frequent items, evaluated on the last 28 days before the start and
    fitted before those. 0 where nothing is known.

    Parameters
    ----------
    users : int64 (u,), user rows

    Returns
    -------
    float (u, 4)
    """
    before = log.between(None, start)
    bought = before.where(np.isin(before.event, LABEL_EVENTS))
    events = np.bincount(before.user, minlength=log.n_users)[users]
    pairs = UserItems.of(bought.user, bought.item, log.n_users, log.n_items)
    purchases, items = np.bincount(bought.user, minlength=log.n_users)[users], pairs.counts[users]
    repeats = np.where(purchases > 0, 1 - items / np.maximum(purchases, 1), 0)
    return np.stack([np.log1p(events), np.log1p(items), repeats, _frequency_ndcg(log, start, users, baselines)], axis=1)


def _frequency_ndcg(log: Interactions, start: int, users: np.ndarray, baselines: BaselinesConfig) -> np.ndarray:
    """Return NDCG@10 of `personal_frequency` on the days before the start, float (u,)."""
    cut = start - int(BEFORE_DAYS * DAY)
    history, later = log.between(None, cut), log.between(cut, start)
    later = later.where(np.isin(later.event, LABEL_EVENTS))
    if not len(history):
        return np.zeros(len(users))
    place = np.full(log.n_users, -1, dtype=np.int64)
    place[users] = np.arange(len(users))
    chosen = place[later.user] >= 0
    relevant = UserItems.of(place[later.user[chosen]], later.item[chosen], len(users), log.n_items)
    frequent = fit_baseline("personal_frequency", history, cut, baselines.all)
    return np.nan_to_num(ndcg(frequent.retrieve(Histories.of_users(history, users, cut), K).rows, relevant, K))
