"""Overlap of lists, and the report of robustness."""

from __future__ import annotations

import json

import numpy as np

from eval.metrics.intervals import MetricValue
from eval.reports.robustness import RobustnessReport
from eval.robustness.comparison import PerturbedLists, overlap


def test_overlap_counts_the_items_of_the_first_ten_that_stay_in_any_order():
    before = np.array([[1, 2, 3, 4], [1, 2, -1, -1], [-1, -1, -1, -1]])
    after = np.array([[4, 3, 9, 8], [2, 1, -1, -1], [5, 6, 7, 8]])
    np.testing.assert_allclose(overlap(before, after), [0.5, 1.0, np.nan])


def test_overlap_does_not_look_below_the_tenth_place():
    before = np.arange(12)[None]
    assert overlap(before, before[:, ::-1]).tolist() == [0.8]  # 0 and 1 fall behind the tenth place


def test_the_report_says_where_nothing_was_to_be_changed():
    value = MetricValue(0.9, float("nan"), float("nan"), 7)
    report = RobustnessReport(
        "2026-01-01T00:00", 7, {"x": PerturbedLists(0.5, {"all": {"overlap@10": value, "ndcg_kept": value}}), "y": PerturbedLists(0.0, {})}
    )
    found = json.loads(report.to_json())
    assert found["perturbations"]["x"]["metrics"]["all"]["overlap@10"] == {"value": 0.9, "low": None, "high": None, "users": 7}
    assert found["perturbations"]["y"] == {"changed": 0.0, "metrics": {}}
    assert report.table().row_count == 2
