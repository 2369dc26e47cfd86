"""What is said of an item's sales: by the calendar where there is one, and without days where there is none."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from features.behavior.item_stats import ItemStats
from features.behavior.recent_buyers import RecentBuyers
from features.data.catalog import Catalog
from features.data.interactions import DAY, Interactions
from features.data.times.clock import Kind
from features.data.times.step_time import with_step_time

END = 20_000 * DAY + 3600
# item -> age of its sales in days, each to another user
SALES = {"now": [0, 1, 2, 6], "month": [10, 20, 21, 27], "old": [40, 50, 60, 70], "one": [3]}
CATALOG = Catalog.from_frame(pl.DataFrame({"item_id": sorted(SALES), "title": sorted(SALES)}))


def told(kind: Kind, item: str) -> tuple[str | None, str, str]:
    sales = [(item_id, age) for item_id, ages in SALES.items() for age in ages]
    rows = [(f"u{n}", item_id, END - age * DAY, "purchase") for n, (item_id, age) in enumerate(sales)]
    rows += [("looker", item_id, END - age * DAY, "view") for item_id, age in sales]
    frame = pl.DataFrame(rows, schema=["user_id", "item_id", "seconds", "event"], orient="row")
    log = with_step_time(Interactions.from_frame(frame.with_columns(timestamp=pl.from_epoch("seconds")), CATALOG), kind)
    buyers = RecentBuyers.of(log, ItemStats.fit(log, CATALOG, log.end), log.end)
    assert buyers.shoppers == (13 if kind == "steps" else 9)
    row = int(CATALOG.rows([item])[0])
    return buyers.popular(row), buyers.sales(row), buyers.seller(row)


@pytest.mark.parametrize("kind", ["times", "dates", "visits"])
@pytest.mark.parametrize(
    ("item", "said"),
    [
        ("now", ("popular this week: 4 buyers", "4 buyers in the last 28 days", "popular this week: 4 buyers")),
        ("month", (None, "4 buyers in the last 28 days", "4 buyers in the last 28 days")),
        ("old", (None, "no buyers in the last 28 days", "few recent buyers")),
        ("one", (None, "1 buyer in the last 28 days", "few recent buyers")),
    ],
)
def test_a_calendar_tells_recent_buyers_also_of_visits(kind: Kind, item: str, said: tuple[str | None, str, str]) -> None:
    assert told(kind, item) == said


@pytest.mark.parametrize("item", ["now", "month", "old"])
def test_an_order_alone_tells_no_days(item: str) -> None:
    assert told("steps", item) == ("popular: 4 buyers", "4 buyers", "popular: 4 buyers")
    assert told("steps", "one") == (None, "1 buyer", "few buyers")


def test_steps_of_a_visit_are_no_days() -> None:
    """The models count a visit's last steps as the last days; a sentence must not."""
    rows = [(f"u{user}", item, END - user * 50 * DAY + step) for user in range(4) for step, item in enumerate(("now", "old"))]
    frame = pl.DataFrame(rows, schema=["user_id", "item_id", "seconds"], orient="row").with_columns(timestamp=pl.from_epoch("seconds"))
    log = with_step_time(Interactions.from_frame(frame, CATALOG), "visits")
    stats = ItemStats.fit(log, CATALOG, log.end)
    buyers = RecentBuyers.of(log, stats, log.end)
    row = int(CATALOG.rows(["old"])[0])
    assert stats.columns["buyers_7"][row] == 4
    assert buyers.week is not None
    assert buyers.week[row] == 1
    assert np.isfinite(buyers.recent).all()
