"""The classic models of buyers: against figures that others published, and against what they must not be used for."""

from __future__ import annotations

import logging
from datetime import date
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from eval.baselines.customers.bg_nbd import BgNbd, log_likelihood
from eval.baselines.customers.gamma_gamma import GammaGamma
from eval.baselines.customers.likelihood import most_likely
from eval.baselines.customers.mean_gap import MeanGap
from eval.baselines.customers.rfm import RfmRegression
from eval.baselines.customers.summary import PurchaseSummary
from eval.metrics.probabilities import roc_auc
from eval.metrics.spend import normalised_gini
from tests.eval.shops import at_day, log_of

CDNOW = Path("/work/shared/data/cdnow/purchases.parquet")
CUT, WEEKS = date(1997, 9, 30), 39
with_cdnow = pytest.mark.skipif(not CDNOW.is_file(), reason=f"CDNOW is not there: {CDNOW}")


def cdnow() -> tuple[PurchaseSummary, np.ndarray, np.ndarray]:
    """Return the calibration weeks, and the purchase days and the spend of the 39 weeks after them; times are weeks."""
    days = pl.read_parquet(CDNOW).group_by("user_id", "date").agg(pl.col("value").sum())
    before, after = days.filter(pl.col("date") <= CUT), days.filter(pl.col("date") > CUT)
    first, last = pl.col("date").min(), pl.col("date").max()
    known = before.group_by("user_id").agg(n=pl.len(), first=first, last=last, value=pl.col("value").mean())
    later = after.group_by("user_id").agg(days=pl.len(), spend=pl.col("value").sum())
    table = known.join(later, on="user_id", how="left").sort("user_id").fill_null(0)
    weeks = [(table[name] - table["first"]).dt.total_days().to_numpy() / 7 for name in ("last",)]
    age = (pl.Series([CUT] * len(table)) - table["first"]).dt.total_days().to_numpy() / 7
    summary = PurchaseSummary(np.arange(len(table)), table["n"].to_numpy() - 1.0, weeks[0], age, table["value"].to_numpy())
    return summary, table["days"].to_numpy(), table["spend"].to_numpy()


@with_cdnow
def test_cdnow_as_published() -> None:
    summary, days, _ = cdnow()
    model = BgNbd.fit(summary)
    assert model.converged
    assert model.log_likelihood == pytest.approx(-9582.4, abs=0.05)
    assert (model.r, model.alpha, model.a, model.b) == pytest.approx((0.243, 4.414, 0.793, 2.426), abs=0.002)
    expected = model.expected(summary, WEEKS)
    assert np.corrcoef(expected, days)[0, 1] == pytest.approx(0.626, abs=0.001)
    assert expected.sum() / days.sum() == pytest.approx(0.879, abs=0.001)


@with_cdnow
def test_one_time_buyers_are_all_alive_so_that_churn_is_ranked_by_expected_purchases() -> None:
    summary, days, _ = cdnow()
    model = BgNbd.fit(summary)
    alive = model.alive(summary)
    assert (alive[summary.repeats == 0] == 1).all()
    assert roc_auc(days > 0, alive) == pytest.approx(0.316, abs=0.001)
    assert roc_auc(days > 0, model.expected(summary, WEEKS)) == pytest.approx(0.773, abs=0.001)


@with_cdnow
def test_values_order_customers_by_what_they_spend() -> None:
    summary, _, spend = cdnow()
    values = GammaGamma.fit(summary)
    assert values.converged
    expected = BgNbd.fit(summary).expected(summary, WEEKS)
    assert normalised_gini(spend, expected * values.expected(summary)) > normalised_gini(spend, expected) > 0.6


def made(n: int, seed: int = 0) -> tuple[PurchaseSummary, np.ndarray]:
    """Return customers as the model says, seen for 300 days, and their purchases in the 100 days after."""
    rng = np.random.default_rng(seed)
    rate, leaves = rng.gamma(0.8, 1 / 30, n), rng.beta(1.0, 3.0, n)
    repeats, last, later = np.zeros(n), np.zeros(n), np.zeros(n)
    for i in range(n):
        time = 0.0
        while rng.random() >= leaves[i] or not time:
            time += rng.exponential(1 / rate[i])
            if time > 400:
                break
            if time > 300:
                later[i] += 1
            else:
                repeats[i], last[i] = repeats[i] + 1, time
    return PurchaseSummary(np.arange(n), repeats, last, np.full(n, 300.0), np.full(n, 10.0)), later


def test_made_customers_are_found_again() -> None:
    summary, later = made(3000)
    model = BgNbd.fit(summary)
    assert model.converged
    assert (model.r, model.alpha) == pytest.approx((0.8, 30), rel=0.2)
    assert model.expected(summary, 100).sum() == pytest.approx(later.sum(), rel=0.1)
    assert model.chance(summary, 100).mean() == pytest.approx((later > 0).mean(), abs=0.02)


@pytest.mark.parametrize("unit", [1.0, 7.0, 365.0])
def test_the_unit_of_time_changes_nothing_but_the_unit(unit: float) -> None:
    summary, _ = made(400)
    model = BgNbd.fit(summary)
    scaled = BgNbd.fit(PurchaseSummary(summary.users, summary.repeats, summary.last / unit, summary.age / unit, summary.value))
    assert scaled.alpha * unit == pytest.approx(model.alpha, rel=1e-2)
    assert scaled.expected(
        PurchaseSummary(summary.users, summary.repeats, summary.last / unit, summary.age / unit, summary.value), 90 / unit
    ) == (pytest.approx(model.expected(summary, 90), rel=1e-2))


@pytest.mark.parametrize("repeats", [0.0, 10.0, 1e3, 1e5])
def test_expected_purchases_stay_finite(repeats: float) -> None:
    one = PurchaseSummary(np.zeros(1, np.int64), np.array([repeats]), np.array([300.0 * (repeats > 0)]), np.array([301.0]), np.ones(1))
    for a in (0.0008, 0.79, 1.0, 5.0):
        model = BgNbd(0.24, 4.4, a, 2.4, 0.0, True)
        assert np.isfinite(model.expected(one, 90)).all()
        assert 0 <= model.chance(one, 90)[0] <= 1


def test_customers_who_all_leave_alike_are_the_limit_of_the_series() -> None:
    summary, _ = made(200)
    summed = BgNbd(0.7, 9.0, 40.0, 900.0, 0.0, True)
    too_large = BgNbd(0.7, 9.0, 40e4, 900e4, 0.0, True)
    assert too_large.expected(summary, 90).sum() == pytest.approx(summed.expected(summary, 90).sum(), rel=0.02)


def test_a_fit_that_runs_away_is_told(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        found = most_likely("A model", lambda parameters: float(parameters.sum()), [(1.0, 1.0)])
    assert not found.converged
    assert "A model has not converged (a parameter has run to its bound)" in caplog.text


def test_one_customer_can_be_fitted() -> None:
    one = PurchaseSummary(np.zeros(1, np.int64), np.array([2.0]), np.array([20.0]), np.array([30.0]), np.array([5.0]))
    model = BgNbd.fit(one)
    assert np.isfinite(log_likelihood(np.array([model.r, model.alpha, model.a, model.b]), one.repeats, one.last, one.age)).all()
    assert np.isfinite(model.expected(one, 10) * GammaGamma.fit(one).expected(one)).all()


def test_values_are_drawn_to_the_mean_the_fewer_there_are() -> None:
    rng = np.random.default_rng(0)
    count = rng.integers(1, 20, 2000)
    means = rng.gamma(4, 10, 2000)
    value = np.array([rng.gamma(3, mean / 3, n).mean() for mean, n in zip(means, count, strict=True)])
    summary = PurchaseSummary(np.arange(2000), count - 1.0, np.ones(2000), np.ones(2000), value)
    pulled = np.abs(GammaGamma.fit(summary).expected(summary) - value) / np.abs(value - value.mean())
    assert np.median(pulled[count <= 2]) > 2 * np.median(pulled[count >= 15])


def test_summary_by_hand() -> None:
    log = log_of([("u", 0, 1), ("u", 1, 1), ("u", 0, 11), ("v", 0, 5), ("u", 0, 99)], 2)
    summary = PurchaseSummary.of(log, at_day(21))
    assert summary.repeats.tolist() == [1, 0]
    assert summary.last.tolist() == [10, 0]
    assert summary.age.tolist() == [20, 16]
    assert summary.of_users(np.array([1, 7]), summary.age, -1).tolist() == [16, -1]


def test_the_regression_is_tuned_on_the_newest_moment() -> None:
    rng = np.random.default_rng(0)
    rfm = rng.gamma(1, 10, (600, 3))
    labels = rng.random(600) < 1 / (1 + np.exp(np.log1p(rfm[:, 0]) - 2))
    model = RfmRegression.tuned(rfm, labels, np.repeat([0, 1, 2], 200))
    assert set(model.setting) == {"inverse_penalty", "degree"}
    assert roc_auc(labels, model.chance(rfm)) > 0.6
    assert np.isfinite(RfmRegression.tuned(rfm[:200], labels[:200], np.zeros(200)).chance(rfm)).all()


@pytest.mark.parametrize(("wait", "rule"), [(1.0, "now"), (30.0, "another_gap")])
def test_what_is_said_of_the_overdue_is_chosen_on_the_past(wait: float, rule: str) -> None:
    gap, recency = np.full(9, 30.0), np.full(9, 40.0)
    model = MeanGap.tuned(gap, recency, np.full(9, wait))
    assert model.rule == rule
    assert model.days(np.array([30.0, np.nan]), np.array([10.0, 10.0])).tolist() == [20, 20]
