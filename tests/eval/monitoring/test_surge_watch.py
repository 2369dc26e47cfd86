from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest

from eval.monitoring.surge_watch import SurgeWatch
from features.errors import DataError

FIRST = date(2026, 1, 5)


def counts(rows):
    return pl.DataFrame(rows, schema={"series": pl.String, "negatives": pl.Int64, "total": pl.Int64}, orient="row")


def run(watch, negatives, totals, first=FIRST):
    """Feed one series day by day."""
    return [
        alert
        for number, (negative, total) in enumerate(zip(negatives, totals, strict=True))
        for alert in watch.update(first + timedelta(number), counts([("mug", int(negative), int(total))]))
    ]


def stream(share, totals, seed=0):
    totals = np.asarray(totals)
    return np.random.default_rng(seed).binomial(totals, share)


DAYS = 160


def shares(factor=3.0, start=100, days=7):
    out = np.full(DAYS, 0.1)
    out[start : start + days] *= factor
    return out


def test_a_tripling_is_raised_once_and_ends_by_itself():
    totals = np.full(DAYS, 100)
    alerts = run(watch := SurgeWatch(), stream(shares(), totals), totals)
    assert [alert.event for alert in alerts] == ["raised", "ended"]
    raised, ended = alerts
    assert FIRST + timedelta(100) <= raised.raised <= FIRST + timedelta(102)
    assert abs((raised.began - FIRST).days - 100) <= 2
    assert raised.share_before == pytest.approx(0.1, abs=0.02)
    assert raised.share_now == pytest.approx(0.3, abs=0.1)
    assert raised.e_value >= 365
    assert ended.ended
    assert FIRST + timedelta(107) <= ended.ended <= FIRST + timedelta(115)
    assert not ended.settled
    assert ended.share_now == pytest.approx(0.1, abs=0.06)
    assert watch.alerts == []


@pytest.mark.parametrize("grown", [lambda day: 1 + day / 20, lambda day: 3.0 ** (day >= 100), lambda day: 1 + 2 * (day % 7 == 5)])
def test_growth_and_weekly_patterns_of_volume_raise_nothing(grown):
    totals = (50 * grown(np.arange(DAYS))).astype(int)
    assert run(SurgeWatch(), stream(0.1, totals), totals) == []


def test_an_alert_is_raised_again_only_where_it_worsens():
    totals, share = np.full(DAYS, 100), shares(2.5, days=20)
    share[110:120] = 0.6
    alerts = run(SurgeWatch(), stream(share, totals), totals)
    assert [alert.event for alert in alerts] == ["raised", "worsened", "ended"]
    assert [alert.severity for alert in alerts] == [1, 2, 2]
    assert alerts[1].share_now == pytest.approx(0.6, abs=0.15)
    assert alerts[0].began == alerts[1].began == alerts[2].began


def test_a_share_that_stays_becomes_the_usual_one():
    totals = np.full(DAYS, 100)
    alerts = run(SurgeWatch(), stream(shares(days=DAYS), totals), totals)
    assert [alert.event for alert in alerts] == ["raised", "ended"]
    assert alerts[1].settled
    assert alerts[1].share_now == pytest.approx(0.3, abs=0.03)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([("mug", 3, 2)], "has 3 negative of 2 reviews"),
        ([("mug", -1, 2)], "has -1 negative of 2 reviews"),
        ([("mug", 1, 2), ("mug", 0, 1)], "stands twice"),
    ],
)
def test_counts_that_cannot_be_are_refused(rows, message):
    with pytest.raises(DataError, match=message):
        SurgeWatch().update(FIRST, counts(rows))


def test_days_come_in_order():
    watch = SurgeWatch()
    watch.update(FIRST, counts([("mug", 1, 2)]))
    with pytest.raises(DataError, match="give it the day after"):
        watch.update(FIRST, counts([("mug", 1, 2)]))


def test_days_that_are_left_out_are_days_without_reviews():
    left_out, empty = SurgeWatch(), SurgeWatch()
    totals = np.full(DAYS, 100)
    totals[[50, 51, 99]] = 0
    negatives, found = stream(shares(), totals), []
    for number, (negative, total) in enumerate(zip(negatives.tolist(), totals.tolist(), strict=True)):
        if total:
            found += left_out.update(FIRST + timedelta(number), counts([("mug", negative, total)]))
    assert found == run(empty, negatives, totals)
    assert [alert.event for alert in found] == ["raised", "ended"]
