"""`recsys evaluate customers` on a made shop: every row of the table, and what it says where it cannot judge."""

from __future__ import annotations

import json

import pytest
from rich.console import Console

from features.data.times.step_time import with_step_time
from features.errors import DataError
from features.progress import silent
from ranking.outcomes.examples import PastCustomers
from recsys.apps.customers.evaluate import evaluate_log
from recsys.apps.customers.past_predictions import cuts_of
from recsys.settings.settings import Settings
from tests.ranking.outcomes.test_customer_models import DAY, NOW, made_log

MODELS = {"windows": 2, "rounds": 10, "folds": 2, "min_leaf": 10}
SETTINGS = Settings.model_validate({"customers": {"cuts": 2, "models": MODELS}, "evaluate": {"resamples": 50}})


def test_all_systems_are_judged_on_the_same_customers() -> None:
    report = evaluate_log(made_log(), SETTINGS, 0, silent)
    content = json.loads(report.to_json())
    assert set(content["metrics"]) == {
        *("buys_auc", "buys_calibration_error", "spend_gini", "spend_total_ratio", "spend_coverage"),
        *("next_purchase_error", "next_purchase_error_all"),
    }
    assert set(content["baselines"]) == {"bg_nbd", "rfm_regression", "last_90_days", "mean_gap"}
    assert {
        metric["users"]
        for name in ("bg_nbd", "rfm_regression")
        for key, metric in content["baselines"][name]["metrics"].items()
        if "buys" in key
    } == {content["metrics"]["buys_auc"]["users"]}
    assert content["baselines"]["rfm_regression"]["settings"].keys() == {"inverse_penalty", "degree"}
    assert content["differences"]["bg_nbd"].keys() == {"buys_auc", "spend_gini"}
    assert 0.5 < content["metrics"]["buys_auc"]["value"] < 1
    assert len(content["slices"]) == 4  # two moments of four weeks, two of ninety days
    assert content["notes"] == []
    console = Console(width=200, record=True)
    console.print(report.table())
    assert "BG/NBD" in console.export_text()


def test_a_log_of_half_a_year_is_judged_on_four_weeks_alone() -> None:
    report = evaluate_log(made_log(days=130), SETTINGS, 0, silent)
    assert "buys_auc" in report.metrics["ours"]
    assert "spend_gini" not in report.metrics["ours"]
    assert report.notes[0].startswith("2 of 2 moments are left out, no spend and next purchase within 90 days: the log is too short")


@pytest.mark.parametrize("days", [5, 40])
def test_a_short_log_is_refused(days: int) -> None:
    with pytest.raises(DataError, match="no past moment can be judged"):
        evaluate_log(made_log(days=days), SETTINGS, 0, silent)


def test_an_order_without_dates_is_refused() -> None:
    with pytest.raises(DataError, match="only the order of events"):
        evaluate_log(with_step_time(made_log(20), "steps"), SETTINGS, 0, silent)


def test_moments_are_a_week_apart_and_leave_their_days() -> None:
    cuts = cuts_of(PastCustomers(made_log(5), 100), NOW, 28, 3)
    assert cuts == [NOW - 28 * DAY, NOW - 35 * DAY, NOW - 42 * DAY]
