"""Buy again: when a customer buys an item again, beside the mean gap, and what is bought within a week, beside other orders.

    python -m benchmarks.buy_again --workspace DIR [--tune]

A pair is a customer and an item bought on two days or more before a cut and again within 56 days after it. The error is that of the
date, in days; a ratio of medians has a paired bootstrap over customers. The cuts are the last four Mondays, a week apart, that 56 days
follow. `--tune` prints each setting at three cuts whose 56 days end before the first of those. Everything is fitted before its cut.
One JSON line a row.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from features.data.histories import Histories
from features.data.interactions import DAY
from features.data.split import LABEL_EVENTS
from features.names import CATEGORY
from recsys.workspace.workspace import Workspace
from retrieval.collaborative.repeat_purchases import RepeatPurchases
from retrieval.related.buy_again import BuyAgain, BuyAgainConfig
from retrieval.related.purchases import PurchaseGaps

if TYPE_CHECKING:
    from collections.abc import Callable

    from features.data.interactions import Interactions

HORIZON, WEEK = 56, 7  # days
JUDGED, TUNED = 4, 3  # cuts
K = 10
RESAMPLES = 500
TARGET = 0.85  # of the mean gap's error
FLOORS = (0.0, 3.0, 7.0, 10.0, 14.0, 18.0)  # days until a purchase that is overdue by its mean gap
FACTORS = (0.7, 0.85, 1.0)  # of the mean gap
CONSTANTS = (8.0, 10.0, 14.0, 18.0, 22.0)


@dataclass(frozen=True)
class Moment:
    """A cut of a log, and the pairs that were bought again after it.

    Attributes
    ----------
    category : code of each item's category.
    """

    log: Interactions
    category: np.ndarray
    cut: int

    @cached_property
    def users(self) -> Histories:
        """All customers with their histories."""
        return Histories.of_users(self.log, np.arange(self.log.n_users), self.cut)

    @cached_property
    def later(self) -> tuple[np.ndarray, np.ndarray]:
        """Pairs (user * n_items + item) bought within the horizon, sorted, and days until the first purchase of each."""
        after = self.log.between(self.cut, self.cut + HORIZON * DAY)
        after = after.where(np.isin(after.event, LABEL_EVENTS))
        pair, first = np.unique(after.user.astype(np.int64) * self.log.n_items + after.item, return_index=True)  # sorted by time in a user
        return pair, (after.time[first] - self.cut) / DAY

    @cached_property
    def pairs(self) -> PurchaseGaps:
        """The last purchase of each pair, of customers and items."""
        past = self.log.between(None, self.cut)
        past = past.where(np.isin(past.event, LABEL_EVENTS))
        return PurchaseGaps.of(past.user, past.item, past.time // DAY)

    def errors(self, config: BuyAgainConfig) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return our errors in days, whether the pair was bought on two days or more, and its customer."""
        due = BuyAgain.fit(self.log, self.category, self.cut, config).due(self.users)
        key = due.user * self.log.n_items + due.item
        found, days = self._actual(key)
        assert np.array_equal(key, self._key)
        return np.abs(due.next_in[found] - days), self.pairs.number[self.pairs.last][found] > 0, due.user[found]

    def by_mean_gap(self, floor: float, factor: float) -> np.ndarray:
        """Return the errors of the mean gap; the item's own over all customers where the pair has none."""
        last = self.pairs.last
        first = np.flatnonzero(self.pairs.number == 0)
        tenure = (self.pairs.day[last] - self.pairs.day[first]).astype(np.float64)
        number, item = self.pairs.number[last], self.pairs.item
        ended = ~last
        n = self.log.n_items
        usual = np.bincount(item[ended], self.pairs.gap[ended], minlength=n) / np.maximum(np.bincount(item[ended], minlength=n), 1)
        usual[np.bincount(item[ended], minlength=n) == 0] = self.pairs.gap[ended].mean()
        gap = factor * np.where(number > 0, tenure / np.maximum(number, 1), usual[item[last]])
        left = gap - (self.cut / DAY - self.pairs.day[last] - 0.5)
        found, days = self._actual(self._key)
        return np.abs(np.minimum(np.where(left > 0, left, floor), HORIZON)[found] - days)

    def by_constant(self, constant: float) -> np.ndarray:
        """Return the errors of one number of days for all."""
        return np.abs(constant - self._actual(self._key)[1])

    @cached_property
    def _key(self) -> np.ndarray:
        return self.pairs.user[self.pairs.last] * self.log.n_items + self.pairs.item[self.pairs.last]

    def _actual(self, key: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return which pairs were bought again, and after how many days."""
        pair, days = self.later
        place = np.minimum(np.searchsorted(pair, key), len(pair) - 1)
        found = pair[place] == key
        return found, days[place[found]]

    def precision(self, config: BuyAgainConfig) -> dict[str, np.ndarray]:
        """Return the share of the first ten that were bought within a week, by order, of customers with ten items in each."""
        pair, days = self.later
        soon = pair[days < WEEK]
        model = BuyAgain.fit(self.log, self.category, self.cut, config)
        ours = model.retrieve(self.users, K).rows
        usual = RepeatPurchases(self.log.n_items).retrieve(self.users, K).rows
        active = np.isin(np.arange(self.log.n_users), soon // self.log.n_items) & (ours >= 0).all(axis=1)
        lists = {"due": ours, "repeat purchases": usual}
        return {
            name: np.isin(np.flatnonzero(active)[:, None] * self.log.n_items + rows[active], soon).mean(axis=1)
            for name, rows in lists.items()
        }


def cuts(log: Interactions, *, tuned: bool) -> list[int]:
    """Return the cuts that judge, or those that tune."""
    last = log.end - HORIZON * DAY
    judged = [last - weeks * WEEK * DAY for weeks in range(JUDGED - 1, -1, -1)]
    return [judged[0] - (HORIZON + weeks * WEEK) * DAY for weeks in range(TUNED - 1, -1, -1)] if tuned else judged


def tune(moments: list[Moment]) -> None:
    """Print the median error of each setting over all pairs with two purchases, and over all."""
    base = BuyAgainConfig()
    tried = [{"quantile": quantile} for quantile in (0.35, 0.4, 0.45, 0.5)]
    tried += [{"own_prior": prior} for prior in (1.0, 2.0, 8.0)] + [{"item_prior": prior} for prior in (1.0, 20.0)]
    twice: list[np.ndarray] = []
    for changed in tried:
        errors = [moment.errors(base.model_copy(update=changed)) for moment in moments]
        twice = [two for _, two, _ in errors]
        _say(f"ours, {changed}", [error for error, _, _ in errors], twice)
    for factor in FACTORS:
        for floor in FLOORS:
            _say(f"mean gap times {factor}, overdue in {floor}", [moment.by_mean_gap(floor, factor) for moment in moments], twice)
    for constant in CONSTANTS:
        _say(f"{constant} days for all", [moment.by_constant(constant) for moment in moments], twice)


def _say(name: str, errors: list[np.ndarray], twice: list[np.ndarray]) -> None:
    every, some = np.concatenate(errors), np.concatenate([error[two] for error, two in zip(errors, twice, strict=True)])
    figures = {"two purchases": np.median(some), "all": np.median(every), "mean of two purchases": np.mean(some)}
    print(json.dumps({"setting": name} | {label: round(float(value), 3) for label, value in figures.items()}), flush=True)


# The rules that do best at the cuts that tune: for what is overdue by its mean gap, with a factor beside it, and one number for all, by
# the median and by the mean of the errors.
OVERDUE, FACTOR, OVERDUE_WITH_FACTOR, FOR_ALL = 14.0, 0.7, 10.0, (10.0, 18.0)


def judge(moments: list[Moment]) -> None:
    """Print the ratios at the cuts that judge."""
    ours = [moment.errors(BuyAgainConfig()) for moment in moments]
    error, two, user = (np.concatenate(column) for column in zip(*ours, strict=True))
    mean_gap = np.concatenate([moment.by_mean_gap(OVERDUE, 1.0) for moment in moments])
    others = {
        "the mean gap, overdue ones now": np.concatenate([moment.by_mean_gap(0.0, 1.0) for moment in moments]),
        f"the mean gap, overdue ones in {OVERDUE:.0f} days": mean_gap,
        f"the mean gap times {FACTOR}, overdue ones in {OVERDUE_WITH_FACTOR:.0f} days": np.concatenate(
            [moment.by_mean_gap(OVERDUE_WITH_FACTOR, FACTOR) for moment in moments]
        ),
    }
    others |= {f"{days:.0f} days for all": np.concatenate([moment.by_constant(days) for moment in moments]) for days in FOR_ALL}
    for name, other in others.items():
        for average in (np.median, np.mean):
            _print(
                f"{average.__name__} error of the date against {name}",
                _ratio(error[two], other[two], user[two], average, 1.0 if "for all" in name else TARGET),
            )
    _print("median error of the date, pairs bought once too, against the mean gap", _ratio(error, mean_gap, user, np.median, TARGET))
    shares = [moment.precision(BuyAgainConfig()) for moment in moments]
    _print(
        "precision@10 within a week", {name: round(float(np.concatenate([each[name] for each in shares]).mean()), 4) for name in shares[0]}
    )


def _print(name: str, figures: dict[str, object]) -> None:
    print(json.dumps({"name": f"buy again: {name}", **figures}), flush=True)


def _ratio(
    ours: np.ndarray, other: np.ndarray, user: np.ndarray, average: Callable[[np.ndarray], np.floating], target: float
) -> dict[str, object]:
    """Return the ratio of two averages with its interval; customers are drawn, with all their pairs."""
    order = np.argsort(user, kind="stable")
    ours, other, user = ours[order], other[order], user[order]
    known, starts = np.unique(user, return_index=True)
    lengths = np.diff(np.append(starts, len(user)))
    draw, ratios = np.random.default_rng(0), []
    for _ in range(RESAMPLES):
        chosen = draw.integers(len(known), size=len(known))
        begin, count = starts[chosen], lengths[chosen]
        index = np.repeat(begin - np.append(0, np.cumsum(count)[:-1]), count) + np.arange(count.sum())
        ratios.append(average(ours[index]) / average(other[index]))
    low, high = np.quantile(ratios, [0.025, 0.975])
    ratio = float(average(ours) / average(other))
    figures = {
        "ratio": round(ratio, 3),
        "low": round(float(low), 3),
        "high": round(float(high), 3),
        "target": target,
        "kept": ratio <= target,
    }
    return figures | {"days": round(float(average(ours)), 2), "other": round(float(average(other)), 2), "pairs": len(ours)}


def main() -> None:
    """Print one JSON line a row."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--workspace", type=Path, required=True)
    parser.add_argument("--tune", action="store_true")
    options = parser.parse_args()
    catalog, log = Workspace(options.workspace).load()
    moments = [Moment(log, catalog.codes(CATEGORY), cut) for cut in cuts(log, tuned=options.tune)]
    (tune if options.tune else judge)(moments)


if __name__ == "__main__":
    main()
