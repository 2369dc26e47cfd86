"""The models of customers on a made shop: better than chance, from the past alone, whole after storing, and silent for no shop."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from features.data.interactions import DAY, Interactions
from features.data.times.step_time import with_step_time
from features.errors import DataError, ModelError
from ranking.outcomes.buying import _level, _shifted
from ranking.outcomes.config import OutcomeConfig
from ranking.outcomes.customer_models import PREDICTIONS, CustomerModels, fit_customer_models
from ranking.outcomes.examples import PastCustomers, examples, folds_of, past_moments
from ranking.outcomes.spend import correction

SMALL = OutcomeConfig(windows=3, rounds=30, folds=2, min_leaf=10)
NOW = 20_000 * DAY


def made_log(n_users: int = 300, days: int = 300, seed: int = 0, value: bool = True) -> Interactions:
    """Return customers who each buy at their own rate and pay around their own mean, before NOW; a quarter has left early."""
    rng = np.random.default_rng(seed)
    rate, mean = rng.gamma(0.8, 1 / 25, n_users), rng.gamma(4, 10, n_users)
    counts = rng.poisson(rate * days)
    user = np.repeat(np.arange(n_users, dtype=np.int32), counts)
    back = rng.integers(1, days * DAY, len(user))
    time = NOW - np.where(user % 4 == 3, days * DAY * 4 // 5 + back // 5, back)
    order = np.lexsort((time, user))
    paid = rng.gamma(3, mean[user] / 3)
    ids = np.array([f"u{i:04}" for i in range(n_users)], dtype=object)
    item, kind = np.zeros(len(user), np.int32), np.zeros(len(user), np.int8)
    ones = np.ones(len(user), np.float32)
    return Interactions(ids, user, item, time[order], kind, ones, paid, 1, value=paid if value else None)


@pytest.fixture(scope="module")
def log() -> Interactions:
    return made_log()


@pytest.fixture(scope="module")
def models(log: Interactions) -> CustomerModels:
    return fit_customer_models(log, NOW - 90 * DAY, SMALL)


def test_every_customer_has_predictions_that_fit_together(log: Interactions, models: CustomerModels) -> None:
    table = models.predict(log, NOW - 90 * DAY)
    assert models.notes == ()
    assert dict(table.schema) == PREDICTIONS
    assert table["user_row"].to_list() == np.unique(log.user[log.time < NOW - 90 * DAY]).tolist()
    assert table["chance_28"].is_between(0, 1, closed="none").all()
    assert (table["spend_90_low"] >= 0).all()
    assert (table["spend_90_low"] <= table["spend_90"]).all()
    assert (table["spend_90"] <= table["spend_90_high"]).all()
    assert 0 < table["next_purchase"].null_count() < len(table)
    assert table["next_purchase"].drop_nulls().is_between(0, 90).all()


def test_predictions_say_what_happens(log: Interactions, models: CustomerModels) -> None:
    now = NOW - 90 * DAY
    table = models.predict(log, now)
    later = log.between(now, now + 90 * DAY)
    spent = np.bincount(later.user, later.value, minlength=log.n_users)[table["user_row"].to_numpy()]
    soon = np.bincount(log.between(now, now + 28 * DAY).user, minlength=log.n_users)[table["user_row"].to_numpy()] > 0
    chance = table["chance_28"].to_numpy()
    assert chance[soon].mean() > chance[~soon].mean() + 0.1
    assert chance.mean() == pytest.approx(soon.mean(), abs=0.08)
    assert table["spend_90"].sum() == pytest.approx(spent.sum(), rel=0.2)
    within = (spent >= table["spend_90_low"].to_numpy()) & (spent <= table["spend_90_high"].to_numpy())
    assert 0.7 < within.mean() < 0.9
    assert np.corrcoef(spent, table["spend_90"].to_numpy())[0, 1] > 0.4


def test_nothing_after_the_moment_is_learned_from(log: Interactions, models: CustomerModels) -> None:
    now = NOW - 90 * DAY
    assert log.value is not None
    rng = np.random.default_rng(1)
    after = log.time >= now
    scrambled = log.user.copy()
    scrambled[after] = rng.permutation(scrambled[after])
    order = np.lexsort((log.time, scrambled))
    paid = np.where(after, 1e6, log.value)[order]
    other = replace(log, user=scrambled[order], time=log.time[order], value=paid)
    assert fit_customer_models(other, now, SMALL).predict(other, now).equals(models.predict(log, now))


def test_stored_models_predict_the_same(log: Interactions, models: CustomerModels) -> None:
    files = models.to_files()
    assert {name.rsplit(".", 1)[1] for name in files} == {"json", "txt"}
    assert CustomerModels.from_files(files).predict(log, NOW).equals(models.predict(log, NOW))


@pytest.mark.parametrize("name", ["customers.json", "spend.json", "buying.0.txt"])
def test_damaged_files_are_told(models: CustomerModels, name: str) -> None:
    files = models.to_files()
    for content in (None, b"{}", b"\xff"):
        broken = {key: value for key, value in files.items() if key != name} | ({} if content is None else {name: content})
        with pytest.raises(ModelError):
            CustomerModels.from_files(broken)


@pytest.mark.parametrize(
    ("log", "said"),
    [
        (made_log(1), "customers"),
        (made_log(30), "expected at least 100 customers"),
        (made_log(300, days=40), "the log is too short"),
        (made_log(0), "the log is too short"),
    ],
    ids=["one customer", "few customers", "short log", "nobody"],
)
def test_a_shop_with_too_little_gets_a_note_and_no_predictions(log: Interactions, said: str) -> None:
    models = fit_customer_models(log, NOW, SMALL)
    assert said in " ".join(models.notes)
    table = CustomerModels.from_files(models.to_files()).predict(log, NOW)
    assert table["user_row"].to_list() == np.unique(log.user).tolist()
    assert table["spend_90"].null_count() == table["next_purchase"].null_count() == len(table)


def test_without_values_only_spend_is_missing() -> None:
    log = made_log(value=False)
    models = fit_customer_models(log, NOW, SMALL)
    assert models.notes == ("no spend: the log has no values of purchases; map the column value or unit_price",)
    table = models.predict(log, NOW)
    assert table["spend_90"].null_count() == len(table)
    assert table["chance_28"].null_count() == 0
    assert table["next_purchase"].null_count() < len(table)


def test_purchases_without_a_value_are_counted(log: Interactions) -> None:
    assert log.value is not None
    models = fit_customer_models(replace(log, value=np.where(np.arange(len(log)) < 7, np.nan, log.value)), NOW, SMALL)
    assert models.notes == (f"7 of {len(log):,} purchases have no value and count as 0 in spend",)


def test_a_log_without_values_is_refused_where_models_learned_from_them(log: Interactions, models: CustomerModels) -> None:
    with pytest.raises(DataError, match="this log has no values"):
        models.predict(Interactions.from_files(log.to_files()), NOW)


def test_an_order_without_dates_predicts_nothing() -> None:
    log = with_step_time(made_log(20), "steps")
    models = fit_customer_models(log, NOW, SMALL)
    assert "only the order of events" in models.notes[0]
    assert models.predict(log, NOW).is_empty()


def test_a_customer_who_never_bought_is_left_out(models: CustomerModels, log: Interactions) -> None:
    looks = replace(log, event=np.where(log.user == 0, 2, 0).astype(np.int8))
    assert 0 not in models.predict(looks, NOW)["user_row"].to_list()


def test_moments_keep_the_weekday_and_end_before_now(log: Interactions) -> None:
    past = PastCustomers(log, 1000)
    moments = past_moments(past, NOW, 90, SMALL)
    assert moments[0] == NOW - 91 * DAY
    assert all((NOW - moment) % (7 * DAY) == 0 for moment in moments)


def test_large_shops_are_sampled_and_customers_stay_in_their_part(log: Interactions) -> None:
    data = examples(PastCustomers(log, 50), NOW, 28, SMALL)
    assert data is not None
    assert np.bincount(data.window).tolist() == [50, 50, 50]
    part = folds_of(data.user, 4, 0)
    assert all(len(set(part[data.user == user])) == 1 for user in np.unique(data.user).tolist())
    assert set(part.tolist()) == {0, 1, 2, 3}


@pytest.mark.parametrize("share", [0.0, 0.2, 0.9, 1.0])
def test_the_level_gives_the_share(share: float) -> None:
    chance = np.random.default_rng(0).uniform(0.01, 0.9, 500)
    moved = _shifted(chance, _level(chance, share))
    assert moved.mean() == pytest.approx(share, abs=0.003)
    assert (np.argsort(moved) == np.argsort(chance)).all()


@pytest.mark.parametrize("level", [0.5, 0.8, 0.9])
def test_the_correction_lets_a_share_within(level: float) -> None:
    missed = np.random.default_rng(0).normal(3, 2, 500)
    assert (missed <= correction(missed, level)).mean() == pytest.approx(level, abs=0.005)
    assert correction(missed[:10], level) == 0


def test_a_table_of_nobody_has_its_columns(models: CustomerModels, log: Interactions) -> None:
    table = models.predict(log.where(np.zeros(len(log), dtype=bool)), NOW)
    assert isinstance(table, pl.DataFrame)
    assert table.is_empty()
