"""Boosters over one row a customer: their parameters, and one for each part of the customers that it has not seen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import numpy as np

from features.errors import ModelError
from ranking.lightgbm_import import lightgbm
from ranking.outcomes.examples import folds_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    import lightgbm as lgb


class TreeConfig(Protocol):
    """LightGBM's parameters. A leaf has `min_leaf` rows, or one of `leaf_parts` equal parts of all rows where that is less."""

    leaf_parts: ClassVar[int]

    @property
    def rounds(self) -> int: ...
    @property
    def learning_rate(self) -> float: ...
    @property
    def leaves(self) -> int: ...
    @property
    def min_leaf(self) -> int: ...
    @property
    def features(self) -> float: ...
    @property
    def rows(self) -> float: ...
    @property
    def l2(self) -> float: ...


class FoldedConfig(TreeConfig, Protocol):
    """The same of boosters that are fitted one for each part of the customers."""

    @property
    def folds(self) -> int: ...


class CustomerRows(Protocol):
    """Rows to learn from: `x`, float32 (n, features), with their names, and the customer of each row."""

    @property
    def x(self) -> np.ndarray: ...
    @property
    def user(self) -> np.ndarray: ...
    @property
    def names(self) -> tuple[str, ...]: ...


@dataclass(frozen=True)
class Boosters:
    """LightGBM models whose outputs are averaged."""

    models: tuple[lgb.Booster, ...]

    def raw(self, x: np.ndarray) -> np.ndarray:
        """Return the mean output of rows (n, features), before any link, float64 (n,)."""
        if not len(x):
            return np.zeros(0)
        return np.mean([np.asarray(model.predict(x, raw_score=True, num_threads=1)) for model in self.models], axis=0)

    def to_files(self, name: str) -> dict[str, bytes]:
        """Return each model in LightGBM's text format."""
        return {f"{name}.{i}.txt": model.model_to_string().encode() for i, model in enumerate(self.models)}

    @classmethod
    def from_files(cls, files: Mapping[str, bytes], name: str) -> Boosters:
        """Read what `to_files` wrote.

        Raises
        ------
        ModelError
            If a file is missing, or LightGBM cannot read it.
        """
        texts: list[str] = []
        while (file := f"{name}.{len(texts)}.txt") in files:
            texts.append(files[file].decode())
        try:
            if not texts:
                raise ModelError(f"the model of customers lacks {name}.0.txt: run `recsys refresh`")
            return cls(tuple(lightgbm().Booster(model_str=text) for text in texts))
        except lightgbm().basic.LightGBMError as error:
            raise ModelError(f"LightGBM cannot read {name} ({str(error)[:80]}): run `recsys refresh`") from error


def fit_boosters(
    data: CustomerRows, outcome: np.ndarray, objective: Mapping[str, Any], config: FoldedConfig, seed: int
) -> tuple[Boosters, np.ndarray]:
    """Fit one model for each part of the customers, on the others.

    Parameters
    ----------
    outcome : float (n,), nan for rows that this model does not learn from.
    objective : LightGBM's parameters of the objective.

    Returns
    -------
    boosters : all models.
    out_of_fold : float64 (n,), the output of the one model that has not seen the customer, before any link.
    """
    lgb = lightgbm()
    part = folds_of(data.user, config.folds, seed)
    out_of_fold, models = np.zeros(len(outcome)), []
    for fold in range(config.folds):
        held = part == fold
        learned = ~held & ~np.isnan(outcome)
        parameters = tree_parameters(config, int(learned.sum()), seed * config.folds + fold) | dict(objective)
        table = lgb.Dataset(data.x[learned], outcome[learned], feature_name=list(data.names))
        model = lgb.train(parameters, table, config.rounds)
        out_of_fold[held] = np.asarray(model.predict(data.x[held], raw_score=True, num_threads=1)) if held.any() else 0
        models.append(model)
    return Boosters(tuple(models)), out_of_fold


def tree_parameters(config: TreeConfig, rows: int, seed: int) -> dict[str, Any]:
    """Return LightGBM's parameters for so many rows, without an objective."""
    return {
        "learning_rate": config.learning_rate,
        "num_leaves": config.leaves,
        "min_child_samples": max(1, min(config.min_leaf, rows // config.leaf_parts)),
        "feature_fraction": config.features,
        "bagging_fraction": config.rows,
        "bagging_freq": 1,
        "lambda_l2": config.l2,
        "seed": seed,
        "deterministic": True,
        "force_row_wise": True,
        "num_threads": 1,
        "verbose": -1,
    }
