"""Movements between segments, and alerts on customers who drift away."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval.monitoring.config import WatchConfig
from features.behavior.purchase_days import PurchaseDays
from features.behavior.rhythm import Rhythms
from features.names import SEGMENT
from recsys.apps.customers.movements import EPOCH, NOT_YET, departures, find_alerts, movements
from recsys.apps.customers.segments import DRIFTING, LOST, NEW, SegmentRules
from recsys.apps.customers.watch import sentence
from tests.features.behavior.test_rhythm import bought


def rules_of(rhythms: Rhythms, day: int) -> SegmentRules:
    return SegmentRules.of(rhythms, rhythms.on(day))


def test_who_moved_and_who_is_new() -> None:
    steady = [list(range(start, 401, 10)) for start in range(10)]
    rhythms = Rhythms.of(bought(*steady, list(range(0, 381, 10)), [395]))
    found = movements(rhythms, rules_of(rhythms, 400), 372, 400)
    rows = {(row["from"], row["to"]): row["customers"] for row in found.to_dicts()}
    assert rows[NOT_YET, NEW] == 1
    assert sum(count for (_, target), count in rows.items() if target == DRIFTING) == 1
    assert sum(rows.values()) == 12
    assert found.group_by("from").agg(pl.col("share").sum())["share"].to_list() == pytest.approx([1.0] * found["from"].n_unique())


histories = st.lists(st.lists(st.integers(0, 120), min_size=1, max_size=15, unique=True).map(sorted), min_size=1, max_size=8)


@given(histories, st.integers(1, 120))
def test_departures_are_those_of_the_segments(days: list[list[int]], day: int) -> None:
    """The counts of a day are those of the rules at its end that did not hold at the end of the day before."""
    rhythms = Rhythms.of(bought(*days))
    rules = SegmentRules(-1, 2.0, 3.0, float("nan"), 1e9, rhythms.typical)  # nobody is new
    counts = departures(rhythms, rules, 120, warm_up=0).filter(pl.col("day") == EPOCH + timedelta(day))
    then, now = (rules.assign(rhythms.on(one)).select("user_row", pl.col(SEGMENT).cast(pl.String)) for one in (day - 1, day))
    both = now.join(then, on="user_row", how="left", suffix="_before")
    for name, late in ((DRIFTING, (DRIFTING, LOST)), (LOST, (LOST,))):
        again = both.filter(pl.col("segment").is_in(late), ~pl.col("segment_before").fill_null("").is_in(late))
        if name == DRIFTING:  # who bought once is lost without having drifted away
            once = rhythms.on(day).filter(pl.col("purchase_days") == 1)["user_row"]
            again = again.filter(~pl.col("user_row").is_in(once.implode()))
        found = counts.filter(pl.col("series") == name)
        assert (found["negatives"].sum(), found["total"].sum() >= again.height) == (again.height, True)


def shop(customers: int, days: int, leave: float, seed: int = 0) -> PurchaseDays:
    """Customers who buy about every 7 days; from day 300 on, a share of them never again."""
    rng = np.random.default_rng(seed)
    histories = []
    for _ in range(customers):
        end = 300 if rng.random() < leave else days
        moments = np.cumsum(rng.gamma(3, 7 / 3, days // 2)) + rng.uniform(0, 7)
        histories.append(np.unique(moments[moments < end].astype(int)).tolist())
    return bought(*histories)


@pytest.mark.parametrize(("leave", "raised"), [(0.0, False), (0.2, True)])
def test_an_alert_is_raised_where_customers_leave_and_only_there(leave: float, raised: bool) -> None:
    rhythms = Rhythms.of(shop(400, 360, leave))
    counts = departures(rhythms, rules_of(rhythms, 359), 358)
    found = find_alerts(counts, EPOCH + timedelta(358), WatchConfig(margin=0.0))
    of_drift = [alert for alert in found if alert.series == DRIFTING]
    assert bool(of_drift) == raised
    if raised:
        assert (of_drift[0].raised - EPOCH).days in range(305, 330)
        assert "ore customers than usual drift away" in sentence(of_drift[0])
        assert sentence(replace(of_drift[0], ended=None)).startswith("More customers than usual drift away")


def test_a_log_without_purchases_has_no_departures() -> None:
    rhythms = Rhythms.of(bought([]))
    rules = rules_of(rhythms, 10)
    assert departures(rhythms, rules, 10).is_empty()
    assert find_alerts(departures(rhythms, rules, 10), EPOCH + timedelta(10), WatchConfig()) == []
