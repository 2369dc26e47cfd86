"""LightGBM's library, called directly, says what its Python package says."""

from __future__ import annotations

import lightgbm as lgb
import numpy as np
import pytest

from features.errors import ModelError
from ranking.native import NativeBooster, mean_of

RNG = np.random.default_rng(0)
X = RNG.standard_normal((400, 4)).astype(np.float32)
X[RNG.random(X.shape) < 0.1] = np.nan
Y = (np.nan_to_num(X[:, 0]) + 0.3 * RNG.standard_normal(400) > 0).astype(np.float32)
NAMES = ["own_count", "price_gap", "item_trend", "tower"]


def fitted(**parameters: float) -> lgb.Booster:
    data = lgb.Dataset(X, Y, feature_name=NAMES)
    return lgb.train({"objective": "binary", "verbose": -1, "num_leaves": 7, "num_threads": 1, **parameters}, data, 8)


def test_the_same_bits() -> None:
    model = fitted()
    native = NativeBooster(model.model_to_string())
    assert native.feature_name() == model.feature_name()
    assert np.array_equal(native.predict(X, raw_score=True), model.predict(X, raw_score=True))
    assert np.array_equal(native.predict(X, pred_contrib=True), model.predict(X, pred_contrib=True))
    assert np.array_equal(native.feature_importance(), model.feature_importance())
    assert np.allclose(native.feature_importance("gain"), model.feature_importance("gain"), rtol=1e-4)
    assert native.model_to_string() == model.model_to_string()


def test_a_model_that_parts_nothing() -> None:
    native = NativeBooster(fitted(min_gain_to_split=1e30).model_to_string())
    assert not native.feature_importance().any()
    assert len(np.unique(native.predict(X, raw_score=True))) == 1


def test_no_rows() -> None:
    native = NativeBooster(fitted().model_to_string())
    assert native.predict(X[:0], raw_score=True).shape == (0,)


def test_what_it_cannot_do_is_said() -> None:
    with pytest.raises(ModelError, match="LightGBM refuses"):
        NativeBooster("no model")
    with pytest.raises(ValueError, match="raw scores or for contributions"):
        NativeBooster(fitted().model_to_string()).predict(X)


def test_the_mean_of_boosters_is_one_of_their_kind() -> None:
    texts = [fitted(seed=seed, bagging_fraction=0.5, bagging_freq=1).model_to_string() for seed in range(3)]
    parts, mean = [NativeBooster(text) for text in texts], NativeBooster(mean_of(texts))
    assert not np.allclose(parts[0].predict(X, raw_score=True), parts[1].predict(X, raw_score=True), atol=1e-3)
    for way in ("raw_score", "pred_contrib"):
        assert np.allclose(mean.predict(X, **{way: True}), np.mean([part.predict(X, **{way: True}) for part in parts], axis=0), atol=1e-9)
    assert np.array_equal(mean.feature_importance(), sum(part.feature_importance() for part in parts))
    assert NativeBooster(mean_of(texts[:1])).predict(X, raw_score=True) == pytest.approx(parts[0].predict(X, raw_score=True))
    assert lgb.Booster(model_str=mean_of(texts)).num_trees() == 24
