"""The chance that a customer buys within some days: a binary booster, calibrated on customers that it has not seen."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ranking.calibration import Calibration
from ranking.outcomes.boosters import Boosters, fit_boosters

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ranking.outcomes.config import OutcomeConfig
    from ranking.outcomes.examples import PastOutcomes

NAME = "buying"


@dataclass(frozen=True)
class BuyingModel:
    """Boosters of the log odds, the map from log odds to chance, and its level.

    Attributes
    ----------
    level : added to the log odds of the chance, so that the mean chance is the share that bought at the newest past moment.
    """

    boosters: Boosters
    calibration: Calibration
    level: float

    @classmethod
    def fit(cls, data: PastOutcomes, config: OutcomeConfig, seed: int) -> BuyingModel:
        """Fit on customers at past moments, and calibrate with predictions of models that have not seen the customer.

        The shape of the map needs many customers, so all moments give it; its level moves with the season, so the newest one gives that.
        """
        boosters, out_of_fold = fit_boosters(data, data.bought.astype(np.float32), {"objective": "binary"}, config, seed)
        calibration = Calibration.fit(out_of_fold, data.bought)
        newest = data.window == 0
        return cls(boosters, calibration, _level(calibration(out_of_fold[newest]), float(data.bought[newest].mean())))

    def chance(self, x: np.ndarray) -> np.ndarray:
        """Return the chance of rows (n, features), float64 (n,)."""
        return _shifted(self.calibration(self.boosters.raw(x)), self.level)

    def to_files(self) -> dict[str, bytes]:
        """Return the boosters as LightGBM's text, the calibration and its level as JSON."""
        files = {f"{NAME}.{name}": content for name, content in self.calibration.to_files().items()}
        return files | self.boosters.to_files(NAME) | {f"{NAME}.json": json.dumps({"level": self.level}).encode()}

    @classmethod
    def from_files(cls, files: Mapping[str, bytes]) -> BuyingModel:
        """Read what `to_files` wrote."""
        calibration = Calibration.from_files({"calibration.json": files[f"{NAME}.calibration.json"]})
        return cls(Boosters.from_files(files, NAME), calibration, json.loads(files[f"{NAME}.json"])["level"])


def _shifted(chance: np.ndarray, level: float) -> np.ndarray:
    """Return chances, within 0..1 and neither, with `level` added to their log odds, float64 (n,)."""
    p = chance.astype(np.float64)
    return p / (p + (1 - p) * math.exp(-level))


def _level(chance: np.ndarray, share: float) -> float:
    """Return what makes the mean of `_shifted` chances a share, which is kept off 0 and 1."""
    share = min(max(share, 1 / (len(chance) + 2)), 1 - 1 / (len(chance) + 2))
    low, high = -20.0, 20.0
    for _ in range(60):  # the mean rises with the level
        middle = (low + high) / 2
        low, high = (middle, high) if _shifted(chance, middle).mean() < share else (low, middle)
    return (low + high) / 2
