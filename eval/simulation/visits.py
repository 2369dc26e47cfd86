"""What two arms' lists earned, visit by visit, by what was bought; and what was known of the users before."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from eval.baselines.registry import fit_baseline
from eval.experiment.effects import in_b
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
BEFORE_DAYS = 28.0  # on which the users' own frequency lists are judged before the start, for CUPED


@dataclass(frozen=True)
class Visits:
    """A visit is a user and a day on which that user did something.

    Attributes
    ----------
    user: rows of the log, int64 (v,). day: from 0, int64 (v,). lists: catalogue rows of what arm "a" and arm "b" showed, int (v, K),
    padded -1.
    log: the whole of it. start: of day 0, seconds since the epoch. horizon: days, from the visit's day on, whose purchases count.
    """

    user: np.ndarray
    day: np.ndarray
    lists: Mapping[str, np.ndarray]
    log: Interactions
    start: int
    horizon: int

    @cached_property
    def _purchases(self) -> tuple[UserItems, np.ndarray, np.ndarray]:
        """Distinct items bought by each visit; of each whether the user had it before that day, bool (m,), what was paid, float (m,)."""
        log = self.log.where(np.isin(self.log.event, LABEL_EVENTS))
        keys = log.user.astype(np.int64) * log.n_items + log.item
        # Sorted by user and time: where a user and an item first stand together is their first time.
        known, first = np.unique(keys, return_index=True)
        usual = median_paid(self.log.between(None, self.start))
        visit, item, paid = [], [], []
        for ahead in range(self.horizon):
            day = (log.time - self.start) // DAY - ahead
            # Each purchase belongs to the visit of that user, if there was one, `ahead` days before.
            place = self._visit_of(log.user, day)
            held = place >= 0
            visit.append(place[held])
            item.append(log.item[held])
            paid.append(np.where(np.isnan(log.price[held]), usual[log.item[held]], log.price[held]))
        pairs = UserItems.of(np.concatenate(visit), np.concatenate(item), len(self.user), log.n_items)
        begins = self.start + self.day[pairs.user] * DAY
        own = self.user[pairs.user] * log.n_items + pairs.item
        repeat = log.time[first][np.searchsorted(known, own)] < begins
        each = np.concatenate(visit) * np.int64(log.n_items) + np.concatenate(item)
        price = np.full(len(pairs.keys), np.nan)
        price[np.searchsorted(pairs.keys, each)] = np.concatenate(paid)
        return pairs, repeat, price

    def _visit_of(self, user: np.ndarray, day: np.ndarray) -> np.ndarray:
        """Place of the visit of each user on each day, int64; -1 where there was none."""
        span = np.int64(self.day.max(initial=0) + 1)
        keys = self.user * span + self.day
        order = np.argsort(keys)
        wanted = user.astype(np.int64) * span + day
        place = order[np.minimum(np.searchsorted(keys, wanted, sorter=order), len(keys) - 1)]
        return np.where((keys[place] == wanted) & (day >= 0) & (day < span), place, -1)

    @property
    def bought(self) -> UserItems:
        """What was bought, by visit."""
        return self._purchases[0]

    def earned(self, arm: str) -> dict[str, np.ndarray]:
        """The arm's `METRICS`, a number a visit, float (v,), nan where nothing counts. One list is judged on all, repeats, what is new.

        revenue@10: what was paid for the bought items in the list, over what was paid for all bought items.
        """
        bought, repeat, price = self._purchases
        rows = self.lists[arm]
        return {
            PRIMARY: ndcg(rows, bought, K),
            "hit_rate@10": hit_rate(rows, bought, K),
            "revenue@10": self._revenue(rows, bought, np.nan_to_num(price)),
            "ndcg@10 repeat": ndcg(rows, bought.where(repeat), K),
            "ndcg@10 new": ndcg(rows, bought.where(~repeat), K),
        }

    def _revenue(self, rows: np.ndarray, bought: UserItems, price: np.ndarray) -> np.ndarray:
        visit, place = np.nonzero(bought.hits(rows))
        keys = visit * np.int64(bought.n_items) + rows[visit, place]
        got = np.bincount(visit, weights=price[np.searchsorted(bought.keys, keys)], minlength=len(rows))
        spent = np.bincount(bought.user, weights=price, minlength=len(rows))
        return np.where(spent > 0, got / np.where(spent > 0, spent, 1), np.nan)

    def coverage(self, arm: str) -> float:
        """Share of the items that the log had shown before the last day that stand in some list of the arm."""
        known = len(sorted_unique(self.log.item[self.log.time < self.start + int(self.day.max(initial=0)) * DAY]))
        return coverage(self.lists[arm], K, known)

    @cached_property
    def users(self) -> np.ndarray:
        """User rows in the order in which they came, int64 (u,); those of one day in an order drawn once."""
        first = self.entry
        order = np.lexsort((np.random.default_rng(0).permutation(len(first)), self.day[first]))
        return self.user[first][order]

    @cached_property
    def entry(self) -> np.ndarray:
        """Each user's first visit after which something was bought, int64 (u,), in the order of user rows."""
        judged = sorted_unique(self.bought.user)
        order = judged[np.lexsort((self.day[judged], self.user[judged]))]
        return order[np.unique(self.user[order], return_index=True)[1]]

    @cached_property
    def entry_day(self) -> np.ndarray:
        """The day of each of `users`' first judged visit, int64 (u,)."""
        first = self.entry
        return self.day[first][np.searchsorted(self.user[first], self.users)]

    def at_entry(self, values: np.ndarray) -> np.ndarray:
        """What each of `users` earned on that visit, float (v,) -> (u,)."""
        first = self.entry
        return values[first][np.searchsorted(self.user[first], self.users)]

    def by_user(self, values: np.ndarray) -> np.ndarray:
        """Mean over each of `users`' visits, float (v,) -> (u,); nan where none counts."""
        held = ~np.isnan(values)
        total = np.bincount(self.user[held], weights=values[held], minlength=self.log.n_users)
        n = np.bincount(self.user[held], minlength=self.log.n_users)
        return np.where(n > 0, total / np.maximum(n, 1), np.nan)[self.users]

    def in_b(self, salt: str, share: float) -> np.ndarray:
        """Whether each of `users` is in arm b, bool (u,)."""
        return in_b(self.log.user_ids[self.users].tolist(), salt, share)

    def segments(self) -> dict[str, np.ndarray]:
        """Which of `users` are in each of `SEGMENTS`, bool (u,): newcomers have no event before the start, heavy ones more than half."""
        events = np.bincount(self.log.user[self.log.time < self.start], minlength=self.log.n_users)[self.users]
        newcomers = events == 0
        heavy = events > (np.median(events[~newcomers]) if (~newcomers).any() else 0)
        return {"all": np.ones(len(events), dtype=bool), "heavy": heavy, "light": ~heavy & ~newcomers, "newcomers": newcomers}


def known_before(log: Interactions, start: int, users: np.ndarray, baselines: BaselinesConfig) -> np.ndarray:
    """What was known of user rows (u,) before the start and may foretell what lists earn, float (u, 4), for CUPED.

    Log of events and of distinct items; share of purchases that were repeats; NDCG@10 of what the user bought most often, judged on the
    last 28 days before the start and fitted before those. 0 where nothing is known.
    """
    before = log.between(None, start)
    bought = before.where(np.isin(before.event, LABEL_EVENTS))
    events = np.bincount(before.user, minlength=log.n_users)[users]
    pairs = UserItems.of(bought.user, bought.item, log.n_users, log.n_items)
    purchases, items = np.bincount(bought.user, minlength=log.n_users)[users], pairs.counts[users]
    repeats = np.where(purchases > 0, 1 - items / np.maximum(purchases, 1), 0)
    return np.stack([np.log1p(events), np.log1p(items), repeats, _foretold(log, start, users, baselines)], axis=1)


def _foretold(log: Interactions, start: int, users: np.ndarray, baselines: BaselinesConfig) -> np.ndarray:
    cut = start - int(BEFORE_DAYS * DAY)
    history, later = log.between(None, cut), log.between(cut, start)
    later = later.where(np.isin(later.event, LABEL_EVENTS))
    if not len(history):
        return np.zeros(len(users))
    place = np.full(log.n_users, -1, dtype=np.int64)
    place[users] = np.arange(len(users))
    mine = place[later.user] >= 0
    relevant = UserItems.of(place[later.user[mine]], later.item[mine], len(users), log.n_items)
    frequent = fit_baseline("personal_frequency", history, cut, baselines.all)
    return np.nan_to_num(ndcg(frequent.retrieve(Histories.of_users(history, users, cut), K).rows, relevant, K))
