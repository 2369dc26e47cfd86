"""Uplift: what writing to a customer adds to an outcome, learned from a campaign with a holdout that was drawn by chance.

Learners over boosters: S (one model with the treatment as a feature), T (a model of each arm) and the transformed outcome
y * (t / p - (1 - t) / (1 - p)), whose expectation is the uplift. `RESPONSE` ranks by the outcome itself, which is often the better order
where the uplift is small beside its noise.

References
----------
Kunzel et al. (2019), Metalearners for estimating heterogeneous treatment effects (S and T).
Athey and Imbens (2016), Recursive partitioning for heterogeneous causal effects (transformed outcome).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from features.errors import ModelError
from ranking.lightgbm_import import lightgbm
from ranking.outcomes.boosters import tree_parameters

if TYPE_CHECKING:
    from collections.abc import Mapping

    import lightgbm as lgb

Learner = Literal["s", "t", "transformed_outcome", "response"]
RESPONSE: Learner = "response"
UPLIFT_LEARNERS: tuple[Learner, ...] = ("s", "t", "transformed_outcome")


class UpliftConfig(BaseModel):
    """LightGBM's parameters for all learners; few leaves with many customers each, because uplift is small beside its noise.

    Attributes
    ----------
    boosters : models that are averaged, each with its own seed.
    features, rows : fraction of the features and of the rows that each tree sees.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    leaf_parts: ClassVar[int] = 20
    boosters: int = Field(default=1, ge=1)
    rounds: int = Field(default=60, ge=1)
    learning_rate: float = Field(default=0.05, gt=0)
    leaves: int = Field(default=8, ge=2)
    min_leaf: int = Field(default=200, ge=1)
    features: float = Field(default=0.8, gt=0, le=1)
    rows: float = Field(default=0.7, gt=0, le=1)
    l2: float = Field(default=20.0, ge=0)


@dataclass(frozen=True)
class Treatment:
    """Customers of one campaign: what was known of them before, whether they were written to, and what they did.

    Attributes
    ----------
    features : float32 (n, m); nan where unknown.
    treated : bool (n,), drawn by chance.
    outcomes : float (n,); 0 and 1, or amounts.
    """

    features: np.ndarray
    treated: np.ndarray
    outcomes: np.ndarray

    def take(self, rows: np.ndarray) -> Treatment:
        """Select customers."""
        return Treatment(self.features[rows], self.treated[rows], self.outcomes[rows])


@dataclass(frozen=True)
class UpliftModel:
    """A fitted learner.

    Attributes
    ----------
    models : part of the learner -> boosters whose predictions are averaged.
    """

    learner: Learner
    models: Mapping[str, tuple[lgb.Booster, ...]]

    def predict(self, features: np.ndarray) -> np.ndarray:
        """Return the uplift of customers (n, m), or their outcome if the learner is `RESPONSE`; float64 (n,)."""
        if self.learner == "s":
            arms = [np.column_stack([features, np.full(len(features), arm, dtype=np.float32)]) for arm in (1, 0)]
            return self._mean("s", arms[0]) - self._mean("s", arms[1])
        if self.learner == "t":
            return self._mean("treated", features) - self._mean("others", features)
        return self._mean(self.learner, features)

    def _mean(self, part: str, features: np.ndarray) -> np.ndarray:
        return np.mean([np.asarray(model.predict(features, num_threads=1)) for model in self.models[part]], axis=0)

    def to_files(self, name: str) -> dict[str, bytes]:
        """Return each booster in LightGBM's text format, one file each."""
        return {
            f"{name}.{self.learner}.{part}.{i}.txt": model.model_to_string().encode()
            for part, models in self.models.items()
            for i, model in enumerate(models)
        }

    @classmethod
    def from_files(cls, files: Mapping[str, bytes], name: str) -> UpliftModel:
        """Read the files that `to_files` wrote.

        Raises
        ------
        ModelError
            If there are none, or LightGBM cannot read one.
        """
        mine = sorted(file for file in files if file.startswith(f"{name}."))
        if not mine:
            raise ModelError(f"there is no file of {name}: train again, or roll back")
        models: dict[str, tuple[lgb.Booster, ...]] = {}
        learner = mine[0].removeprefix(f"{name}.").split(".")[0]
        for file in mine:
            part = file.removeprefix(f"{name}.").split(".")[1]
            try:
                models[part] = (*models.get(part, ()), lightgbm().Booster(model_str=files[file].decode()))
            except lightgbm().basic.LightGBMError as error:
                raise ModelError(f"LightGBM cannot read {file} ({str(error)[:80]}): train again, or roll back") from error
        return cls(_known(learner), models)


def _known(learner: str) -> Learner:
    for one in (*UPLIFT_LEARNERS, RESPONSE):
        if one == learner:
            return one
    raise ModelError(f"unknown learner {learner!r}, expected one of {', '.join((*UPLIFT_LEARNERS, RESPONSE))}: train again")


def fit_uplift(learner: Learner, treatment: Treatment, config: UpliftConfig, seed: int) -> UpliftModel:
    """Fit a learner.

    Raises
    ------
    ValueError
        If nobody, or everybody, was written to, and the learner compares both.
    """
    x, t, y = treatment.features, treatment.treated.astype(bool), treatment.outcomes.astype(np.float64)
    if learner != RESPONSE and (t.all() or not t.any()):
        raise ValueError("uplift needs customers who were written to and customers who were not, found only one of the two")

    def fit(rows: np.ndarray, targets: np.ndarray, *, binary: bool, every_feature: bool = False) -> tuple[lgb.Booster, ...]:
        seeds = range(seed * config.boosters, (seed + 1) * config.boosters)
        return tuple(_boosted(rows, targets, config, each, binary=binary, every_feature=every_feature) for each in seeds)

    binary = bool(np.isin(y, (0, 1)).all())
    if learner == "s":
        # Each tree sees the treatment: with a part of the features it would learn without it.
        return UpliftModel(learner, {"s": fit(np.column_stack([x, t.astype(np.float32)]), y, binary=binary, every_feature=True)})
    if learner == "t":
        return UpliftModel(learner, {"treated": fit(x[t], y[t], binary=binary), "others": fit(x[~t], y[~t], binary=binary)})
    if learner == RESPONSE:
        return UpliftModel(learner, {learner: fit(x, y, binary=binary)})
    share = t.mean()
    return UpliftModel(learner, {learner: fit(x, y * (t / share - ~t / (1 - share)), binary=False)})


def cross_fitted(learner: Learner, treatment: Treatment, folds: np.ndarray, config: UpliftConfig, seed: int) -> np.ndarray:
    """Return predictions for each customer by a model that has not seen the customer's fold, float64 (n,).

    Parameters
    ----------
    folds : int (n,)
    """
    out = np.zeros(len(folds))
    for fold in np.unique(folds):
        held = folds == fold
        out[held] = fit_uplift(learner, treatment.take(~held), config, seed).predict(treatment.features[held])
    return out


def _boosted(x: np.ndarray, y: np.ndarray, config: UpliftConfig, seed: int, *, binary: bool, every_feature: bool) -> lgb.Booster:
    parameters = tree_parameters(config, len(y), seed) | {"objective": "binary" if binary else "regression"}
    if every_feature:
        parameters["feature_fraction"] = 1.0
    return lightgbm().train(parameters, lightgbm().Dataset(x, y.astype(np.float32)), config.rounds)
