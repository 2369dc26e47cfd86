"""The visits of `benchmarks.context`: what was bought at once, when and where, and the candidates that were ranked that morning."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Self

import numpy as np
import polars as pl

from eval.metrics.user_items import UserItems
from features.data.histories import Histories
from features.data.interactions import DAY, LABEL_EVENTS
from features.ingest.datasets import complete_journey_files
from ranking.ranker import LOG_ODDS
from recsys.recommend.pipeline import BATCH, Recommender
from recsys.snapshot.aggregates import LogAggregates
from retrieval.collaborative.models import Collaborative

if TYPE_CHECKING:
    from features.data.catalog import Catalog
    from features.data.interactions import Interactions

DEPTH = 500
ZONE = "America/New_York"  # where the grocer is; the package has UTC
CONTEXTS = ("hour", "part of the day", "weekday", "place")
PART_BEGINS = (6, 10, 14, 17, 20)  # local hours; the night is the last part


@dataclass(frozen=True)
class Lines:
    """A log of purchases with the context of each: a code of each name of `CONTEXTS`, int (n,), and how many codes there are."""

    log: Interactions
    codes: dict[str, np.ndarray]
    sizes: dict[str, int]

    @classmethod
    def of(cls, log: Interactions) -> Self:
        """Read hour and weekday off the log, and the place of each line from the package, by customer and moment."""
        log = log.where(np.isin(log.event, LABEL_EVENTS))
        local = pl.from_epoch(pl.Series(log.time), time_unit="s").dt.replace_time_zone("UTC").dt.convert_time_zone(ZONE)
        hour = local.dt.hour().to_numpy().astype(np.int64)
        place = _places(log)
        part = np.searchsorted(PART_BEGINS, hour, side="right") % len(PART_BEGINS)
        codes: dict[str, np.ndarray] = dict(
            zip(CONTEXTS, (hour, part, local.dt.weekday().to_numpy().astype(np.int64) - 1, place), strict=True)
        )
        return cls(log, codes, dict(zip(CONTEXTS, (24, len(PART_BEGINS), 7, int(place.max()) + 1), strict=True)))

    def where(self, mask: np.ndarray) -> Self:
        """Select lines."""
        return replace(self, log=self.log.where(mask), codes={name: code[mask] for name, code in self.codes.items()})

    def between(self, start: int | None, end: int) -> Self:
        """Select the lines with start <= time < end."""
        return self.where((self.log.time >= (start or 0)) & (self.log.time < end))


def _places(log: Interactions) -> np.ndarray:
    table = pl.read_parquet(complete_journey_files()[1], columns=["household_id", "transaction_timestamp", "store_id"])
    at = pl.DataFrame({"user": log.user_ids[log.user].astype(str), "time": log.time})
    found = table.select(
        user=pl.col("household_id").cast(pl.String), time=pl.col("transaction_timestamp").dt.epoch("s"), store="store_id"
    ).unique(["user", "time"])
    stores = at.join(found, on=["user", "time"], how="left", maintain_order="left")["store"]
    if stores.null_count():
        raise SystemExit(f"{stores.null_count():,} of {len(stores):,} lines have no place in the package, expected one for each")
    return (stores.rank("dense") - 1).to_numpy().astype(np.int64)


@dataclass(frozen=True)
class Visits:
    """n visits of one window with what was ranked for each at the start of its day.

    Attributes
    ----------
    user : int (n,), user rows of the log
    time : int64 (n,)
    codes : the context of each visit
    bought : the items of each visit that had sold before its day
    rows, odds : int32 and float32 (n, DEPTH), candidates by log odds, padded with -1 and -inf
    """

    user: np.ndarray
    time: np.ndarray
    codes: dict[str, np.ndarray]
    bought: UserItems
    rows: np.ndarray
    odds: np.ndarray

    @cached_property
    def items(self) -> np.ndarray:
        """The distinct candidates of all visits, sorted."""
        items = np.unique(self.rows)
        return items[items >= 0]

    @cached_property
    def place_of(self) -> np.ndarray:
        """The place of each candidate in `items`; 0 for padding."""
        return np.searchsorted(self.items, np.maximum(self.rows, self.items[0])).astype(np.int32)


class Mornings:
    """The recommender of a bundle at the start of each day: all counts as of then, item-to-item models up to six days older."""

    def __init__(self, recommender: Recommender, catalog: Catalog, log: Interactions) -> None:
        self._bundle, self._catalog, self._log = recommender, catalog, log
        self._fitted: tuple[int, Collaborative] | None = None

    def at(self, now: int, week: int) -> Recommender:
        """Return the recommender at `now`; its collaborative models are of `week`, not later."""
        snapshot, retrieval = self._bundle.snapshot, self._bundle.model.retrieval
        if self._fitted is None or self._fitted[0] != week:
            self._fitted = week, Collaborative.fit(self._log.between(None, week), week, retrieval)
        counted = LogAggregates.of(self._catalog, self._log.between(None, now), now, retrieval, self._fitted[1])
        return Recommender(self._bundle.model, replace(snapshot, now=now, **vars(counted)))

    def visits(self, lines: Lines, start: int, days: int, users: np.ndarray) -> dict[str, Visits]:
        """Return the visits of some users in the days from `start`, by what ranks: "ranker", or "popular" as for unknown visitors."""
        found: dict[str, list[Visits]] = {"ranker": [], "popular": []}
        for day in range(days):
            now = start + day * DAY
            recommender = self.at(now, start + day // 7 * 7 * DAY)
            history = recommender.snapshot.log
            known = np.bincount(history.item, minlength=self._log.n_items) > 0
            bought = lines.between(now, now + DAY)
            bought = bought.where(np.isin(bought.log.user, users) & np.isin(bought.log.user, history.user) & known[bought.log.item])
            if not len(bought.log):  # closed, as at Christmas
                continue
            for base, visits in _of_day(recommender, bought, known).items():
                found[base].append(visits)
        return {base: _joined(parts) for base, parts in found.items()}


def _of_day(recommender: Recommender, bought: Lines, known: np.ndarray) -> dict[str, Visits]:
    log, now = bought.log, recommender.snapshot.now
    _, first, visit = np.unique(log.user.astype(np.int64) * DAY + log.time - now, return_index=True, return_inverse=True)
    user, time = log.user[first], log.time[first]
    items = UserItems.of(visit, log.item, len(first), log.n_items)
    codes = {name: code[first] for name, code in bought.codes.items()}
    each, of_visit = np.unique(user, return_inverse=True)
    ranked = []
    for begin in range(0, len(each), BATCH):
        histories = Histories.of_users(recommender.snapshot.log, each[begin : begin + BATCH], now)
        ranked.append(recommender.ranked(recommender.candidates(histories, DEPTH, histories.permitted(known))))
    rows = np.concatenate([_wide(one.rows, -1) for one in ranked])[of_visit]
    odds = np.concatenate([_wide(one.features[LOG_ODDS], -np.inf) for one in ranked])[of_visit]
    popular = recommender.popular(Histories.of_baskets([[]], now), DEPTH, known)
    share = np.clip(_wide(popular.scores, 0), 1e-9, 1 - 1e-9)
    shape = (len(user), DEPTH)
    usual = np.broadcast_to(_wide(popular.rows, -1), shape), np.broadcast_to(np.log(share / (1 - share)), shape)
    lists = {"ranker": (rows, odds), "popular": usual}
    return {
        base: Visits(user, time, codes, items, those.astype(np.int32), np.where(those >= 0, scores, -np.inf).astype(np.float32))
        for base, (those, scores) in lists.items()
    }


def _wide(values: np.ndarray, fill: float) -> np.ndarray:
    """Cut or pad the columns to `DEPTH`."""
    values = values[:, :DEPTH]
    return np.pad(values, ((0, 0), (0, DEPTH - values.shape[1])), constant_values=fill)


def _joined(parts: list[Visits]) -> Visits:
    begin = np.cumsum([0] + [len(one.user) for one in parts])
    visit = np.concatenate([one.bought.user + start for one, start in zip(parts, begin[:-1], strict=True)])
    item = np.concatenate([one.bought.item for one in parts])
    columns = {name: np.concatenate([getattr(one, name) for one in parts]) for name in ("user", "time", "rows", "odds")}
    codes = {name: np.concatenate([one.codes[name] for one in parts]) for name in CONTEXTS}
    return Visits(codes=codes, bought=UserItems.of(visit, item, int(begin[-1]), parts[0].bought.n_items), **columns)
