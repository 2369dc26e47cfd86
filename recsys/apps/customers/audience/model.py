"""Chance that a customer buys a product within a window: a booster over pair features, calibrated on a later window."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from scipy.stats import nbinom, norm

from features.storage.arrays import Subfolder, in_folder
from ranking import gbdt
from ranking.calibration import Calibration
from ranking.gbdt import Booster
from ranking.lightgbm_import import lightgbm
from ranking.outcomes.boosters import tree_parameters

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from recsys.apps.customers.audience.pair_features import Table

LEVEL = 0.8  # of the interval of expected sales
MAILING = 100  # customers, over whom the spread of sales is learned


@dataclass(frozen=True)
class PairTrees:
    """LightGBM's parameters; a leaf's part is of the pairs that were bought, because hundreds of others stand beside each."""

    leaf_parts: ClassVar[int] = 5
    rounds: int = 80
    learning_rate: float = 0.08
    leaves: int = 7
    min_leaf: int = 200
    features: float = 0.5
    rows: float = 0.7
    l2: float = 50.0


@dataclass(frozen=True)
class LabelledPairs:
    """Pairs and whether they were bought.

    Attributes
    ----------
    x : float32 (n, features).
    y : bool (n,).
    weight : float32 (n,), how many pairs each stands for.
    product : int64 (n,).
    """

    x: np.ndarray
    y: np.ndarray
    weight: np.ndarray
    product: np.ndarray


@dataclass(frozen=True)
class Sales:
    """How many of some customers will buy, with the 80% interval."""

    expected: float
    low: int
    high: int


@dataclass(frozen=True)
class AudienceModel:
    """The model of one kind of product.

    Attributes
    ----------
    spread : variance of a product's sales beside what chance explains, as a share of the square of what is expected: the whole product may
        do better or worse than its like did.
    products : how many products it was calibrated on.
    """

    booster: Booster
    calibration: Calibration
    spread: float
    products: int

    def log_odds(self, table: Table) -> np.ndarray:
        """Return the uncalibrated log odds, float64 of the table's shape."""
        columns = [table[name] for name in self.booster.names]
        shape = columns[0].shape
        return self.booster.raw(np.stack([column.ravel() for column in columns], axis=1).astype(np.float32)).reshape(shape)

    def sales(self, chances: np.ndarray) -> Sales:
        """Return the sales to customers with these chances: their sum, with the chance of each and the spread of products."""
        expected = float(chances.sum())
        variance = float((chances * (1 - chances)).sum()) + self.spread * expected**2
        tail = (1 - LEVEL) / 2
        if expected <= 0:
            return Sales(0.0, 0, 0)
        if variance > expected:
            share = expected / variance
            low, high = nbinom.ppf([tail, 1 - tail], expected * share / (1 - share), share)
        else:
            low, high = np.round(norm.ppf([tail, 1 - tail], expected, np.sqrt(variance)))
        return Sales(expected, max(0, int(low)), min(len(chances), int(high)))

    def to_files(self) -> dict[str, bytes]:
        """Return the contents by file name."""
        about = {"spread": self.spread, "products": self.products}
        files = {"about.json": json.dumps(about).encode()} | gbdt.to_files(self.booster, "booster")
        return files | in_folder("calibration", self.calibration.to_files())

    @classmethod
    def from_files(cls, files: Mapping[str, bytes]) -> AudienceModel:
        """Read the files that `to_files` wrote."""
        about = json.loads(files["about.json"])
        calibration = Calibration.from_files(Subfolder(files, "calibration"))
        return cls(gbdt.from_files(files, "booster"), calibration, about["spread"], about["products"])


def fit_model(earlier: LabelledPairs, later: LabelledPairs, names: Sequence[str], seed: int = 0) -> AudienceModel:
    """Fit on the pairs of one window, and calibrate on those of a later one, of which `weight` must be 1."""
    lgb, trees = lightgbm(), PairTrees()
    data = lgb.Dataset(earlier.x, earlier.y.astype(np.float32), weight=earlier.weight, feature_name=list(names))
    parameters = tree_parameters(trees, int(earlier.y.sum()), seed) | {"objective": "binary"}
    booster = Booster((lgb.train(parameters, data, trees.rounds),), tuple(names))
    odds = booster.raw(later.x)
    calibration = Calibration.fit(odds, later.y)
    expected, variance, bought = _mailings(odds, calibration(odds).astype(np.float64), later)
    over = float(((bought - expected) ** 2 - variance).sum() / max(float((expected**2).sum()), 1e-9))
    return AudienceModel(booster, calibration, max(0.0, over), len(expected))


def _mailings(odds: np.ndarray, chances: np.ndarray, pairs: LabelledPairs) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return what was expected of a mailing of each product, its variance by chance, and what came."""
    order = np.lexsort((-odds, pairs.product))
    product = pairs.product[order]
    place = np.arange(len(order)) - np.searchsorted(product, product)
    chosen = order[place < MAILING]
    code = np.unique(pairs.product[chosen], return_inverse=True)[1]
    p = chances[chosen]
    return np.bincount(code, p), np.bincount(code, p * (1 - p)), np.bincount(code, pairs.y[chosen])
