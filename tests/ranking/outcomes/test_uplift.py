"""Uplift learners."""

from __future__ import annotations

import numpy as np
import pytest

from features.errors import ModelError
from ranking.outcomes.uplift import RESPONSE, UPLIFT_LEARNERS, Learner, Treatment, UpliftConfig, UpliftModel, cross_fitted, fit_uplift

CONFIG = UpliftConfig(rounds=30, min_leaf=50)


@pytest.fixture(scope="module")
def treatment() -> Treatment:
    """A campaign that works for the first half of the customers alone, and against some of the others; those buy more anyway."""
    rng = np.random.default_rng(0)
    features = rng.normal(size=(6000, 3)).astype(np.float32)
    treated = rng.random(6000) < 0.6
    chance = np.where(features[:, 0] > 0, 0.1 + 0.3 * treated, 0.5 - 0.05 * treated)
    return Treatment(features, treated, (rng.random(6000) < chance).astype(float))


@pytest.mark.parametrize("learner", UPLIFT_LEARNERS)
def test_uplift_is_found_where_response_misleads(treatment: Treatment, learner: Learner) -> None:
    predicted = fit_uplift(learner, treatment, CONFIG, 0).predict(treatment.features)
    works = treatment.features[:, 0] > 0
    assert predicted[works].mean() > 0.15
    assert predicted[~works].mean() < 0.05
    response = fit_uplift(RESPONSE, treatment, CONFIG, 0).predict(treatment.features)
    assert response[works].mean() < response[~works].mean()


@pytest.mark.parametrize("learner", [*UPLIFT_LEARNERS, RESPONSE])
def test_files_hold_the_model(treatment: Treatment, learner: Learner) -> None:
    model = fit_uplift(learner, treatment, UpliftConfig(rounds=5, boosters=2), 0)
    again = UpliftModel.from_files(model.to_files("uplift"), "uplift")
    assert again.learner == learner
    assert (again.predict(treatment.features) == model.predict(treatment.features)).all()


def test_files_that_are_no_model_are_named(treatment: Treatment) -> None:
    with pytest.raises(ModelError, match="there is no file of uplift"):
        UpliftModel.from_files({}, "uplift")
    with pytest.raises(ModelError, match="cannot read uplift.s.s.0.txt"):
        UpliftModel.from_files({"uplift.s.s.0.txt": b"x"}, "uplift")
    with pytest.raises(ModelError, match="unknown learner 'x'"):
        UpliftModel.from_files(
            {name.replace(".s.", ".x.", 1): text for name, text in fit_uplift("s", treatment, CONFIG, 0).to_files("u").items()}, "u"
        )


@pytest.mark.parametrize("treated", [True, False])
def test_a_campaign_without_a_holdout_has_no_uplift(treatment: Treatment, treated: bool) -> None:
    alone = Treatment(treatment.features, np.full(6000, treated), treatment.outcomes)
    with pytest.raises(ValueError, match="found only one of the two"):
        fit_uplift("t", alone, CONFIG, 0)
    assert len(fit_uplift(RESPONSE, alone, CONFIG, 0).predict(treatment.features)) == 6000


def test_a_customer_is_judged_by_a_model_that_has_not_seen_him(treatment: Treatment) -> None:
    folds = np.arange(6000) % 3
    before = cross_fitted("s", treatment, folds, CONFIG, 0)
    changed = Treatment(treatment.features, treatment.treated, np.where(folds == 1, 1 - treatment.outcomes, treatment.outcomes))
    after = cross_fitted("s", changed, folds, CONFIG, 0)
    assert (before[folds == 1] == after[folds == 1]).all()
    assert (before[folds == 0] != after[folds == 0]).any()
