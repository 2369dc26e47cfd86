"""SHAP values from the table equal LightGBM's, summed over groups."""

from __future__ import annotations

from typing import Any

import lightgbm as lgb
import numpy as np
import pytest

from ranking import explain
from ranking.explain import Explainer, GroupedShap
from ranking.gbdt import Booster

RNG = np.random.default_rng(0)
FEATURES = 6
GROUPS = np.array([[1, 0], [1, 0], [0, 1], [0, 1], [0, 0], [1, 1]], dtype=np.float32)


def rows(n: int) -> np.ndarray:
    """Whole numbers, zeros and unknowns among them, so that thresholds are met exactly."""
    x = RNG.integers(-3, 4, (n, FEATURES)).astype(np.float32)
    x[RNG.random(x.shape) < 0.2] = np.nan
    x[:, 0] = np.nan_to_num(x[:, 0])  # a column that was never unknown: LightGBM reads an unknown as 0 there
    return x


def fitted(categories: list[int] | None = None, **parameters: Any) -> Booster:
    x = rows(3000)
    x[:, 1] = RNG.permutation(np.abs(np.nan_to_num(x[:, 1])))
    y = np.nan_to_num(x[:, 0] * x[:, 2] - x[:, 3]) + np.isnan(x[:, 5]) + 2 * (x[:, 1] == 2) + RNG.standard_normal(len(x)) > 0
    data = lgb.Dataset(x, y.astype(np.float32), categorical_feature=categories or "auto", params={"verbose": -1, **parameters})
    options = {"objective": "binary", "verbose": -1, "num_leaves": 31, "num_threads": 1, "feature_fraction": 0.9, **parameters}
    return Booster(tuple(lgb.train(options | {"seed": seed}, data, 10) for seed in range(2)), tuple("abcdef"))


@pytest.mark.parametrize("parameters", [{}, {"zero_as_missing": True}, {"use_missing": False}, {"num_leaves": 2}])
def test_the_same_as_lightgbm(parameters):
    model, some = fitted(**parameters), rows(400)
    some[:50, 0] = np.nan
    shap = GroupedShap.of(model.trees(), 1 / len(model.models), GROUPS)
    assert shap is not None
    expected = model.shares(some) @ GROUPS
    assert np.abs(expected).max() > 0.1
    assert np.allclose(shap(some), expected, atol=1e-5)
    assert np.allclose(shap(some[:1]), shap(some)[:1], atol=1e-6)
    assert shap(some[:0]).shape == (0, 2)


@pytest.mark.parametrize("parameters", [{"categories": [1]}, {"min_gain_to_split": 1e30}])
def test_what_has_no_table_is_left_to_lightgbm(parameters, monkeypatch):
    monkeypatch.setattr(explain, "TABLE_AFTER", 0)
    model, some = fitted(**parameters), np.abs(rows(50))
    assert GroupedShap.of(model.trees(), 1 / len(model.models), GROUPS) is None
    assert np.array_equal(Explainer(model, GROUPS)(some), (model.shares(some) @ GROUPS).astype(np.float32))


def test_too_large_a_table_is_not_made(monkeypatch):
    model = fitted()
    monkeypatch.setattr(explain, "MOST_ENTRIES", 100)
    assert GroupedShap.of(model.trees(), 1 / len(model.models), GROUPS) is None


def test_the_first_rows_are_explained_without_a_table(monkeypatch):
    monkeypatch.setattr(explain, "TABLE_AFTER", 10)
    explainer, some = Explainer(fitted(), GROUPS), rows(10)
    first = explainer(some)
    assert "_shap" not in vars(explainer)
    second = explainer(some)
    assert vars(explainer)["_shap"] is not None
    assert np.allclose(first, second, atol=1e-5)


def test_a_table_is_built_before_it_is_needed():
    explainer, some = Explainer(fitted(), GROUPS), rows(10)
    explainer.build()
    built = vars(explainer)["_shap"]
    assert built is not None
    assert np.array_equal(explainer(some), built(some))
