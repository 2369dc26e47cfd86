"""Shops with two futures: the tiny shop, and one whose times tell only the order, where each user's last step is the future."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import polars as pl

from features.data.catalog import Catalog
from features.data.interactions import DAY, Interactions
from features.data.shop_profile import ShopProfile
from features.data.times.step_time import with_step_time
from recsys.settings.auto import with_profile
from recsys.training.job import TrainingJob
from recsys.training.windows import Windows

BEGIN = datetime(2024, 1, 1)
N_USERS, N_ITEMS = 140, 40
TIMED_CUT = datetime(2024, 1, 1) + timedelta(days=150)


def steps(seed: int = 0) -> pl.DataFrame:
    """Canonical events over the tiny shop's items: everybody begins at one moment, 4 to 8 steps, one a day; nobody buys a thing twice.

    From item i people mostly go on to i + 1.
    """
    rng = np.random.default_rng(seed)
    rows = []
    for user in range(N_USERS):
        item, seen = int(rng.integers(N_ITEMS)), set()
        for step in range(4 + user % 5):
            while item in seen:
                item = int(rng.integers(N_ITEMS))
            seen.add(item)
            about = {"quantity": 1.0, "value": 2.0 + item % 7}
            rows.append({"user_id": f"u{user:03}", "item_id": f"sku-{item:02}", "timestamp": BEGIN + timedelta(days=step)} | about)
            item = (item + 1) % N_ITEMS if rng.random() < 0.8 else int(rng.integers(N_ITEMS))
    return pl.DataFrame(rows)


def is_last_step() -> pl.Expr:
    """Of each user's events those that leave-one-out keeps for the test."""
    return pl.col("timestamp") == pl.col("timestamp").max().over("user_id")


def timed_future(events: pl.DataFrame) -> pl.DataFrame:
    """The same until the cut; after it other people do other things at other times and prices."""
    past, future = events.filter(pl.col("timestamp") < TIMED_CUT), events.filter(pl.col("timestamp") >= TIMED_CUT)
    columns = [pl.col(name).shuffle(seed=number) for number, name in enumerate(events.columns)]
    return pl.concat([past, future.select(columns).with_columns(value=pl.col("value") * 7)])


def another_last_step(events: pl.DataFrame) -> pl.DataFrame:
    """Everybody's last step is another: other items, now and then two, at other times and prices. The log ends when it ended."""
    end = events["timestamp"].max()
    past, last = events.filter(~is_last_step()), events.filter(is_last_step())
    rng = np.random.default_rng(0)
    later = [time + (end - time) * float(share) for time, share in zip(last["timestamp"], rng.random(len(last)), strict=True)]
    changed = last.with_columns(pl.col("item_id").shuffle(seed=1), value=pl.col("value") * 7, timestamp=pl.Series(later).dt.truncate("1s"))
    kept = pl.when(last["timestamp"] == end).then(pl.lit(end)).otherwise("timestamp").alias("timestamp")
    changed = changed.with_columns(kept)
    return pl.concat([past, changed, changed.head(40).with_columns(pl.col("item_id").shuffle(seed=2))])


@dataclass(frozen=True)
class Case:
    """A shop, and the same shop with another future. cut: seconds since the epoch."""

    catalog: Catalog
    log: Interactions
    other: Interactions
    cut: int

    @property
    def past(self) -> Interactions:
        return self.log.between(None, self.cut).with_known_users()

    def training(self, settings: Any) -> TrainingJob:
        """What a training until the cut is given."""
        return TrainingJob(self.catalog, self.past, Windows.plan(self.past, self.cut), with_profile(settings, ShopProfile.of(self.past)), 0)


def case(name: str, shop: Any) -> Case:
    events = shop.events if name == "timed" else steps()
    other = timed_future(events) if name == "timed" else another_last_step(events)
    one, two = (with_step_time(Interactions.from_frame(frame, shop.catalog)) for frame in (events, other))
    cut = int(TIMED_CUT.replace(tzinfo=UTC).timestamp()) if name == "timed" else one.end - DAY
    return Case(shop.catalog, one, two, cut)
