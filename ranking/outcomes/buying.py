"""The chance that a customer buys within some days: a binary booster, calibrated on customers that it has not seen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ranking.calibration import Calibration
from ranking.outcomes.boosters import Boosters, fit_boosters

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ranking.outcomes.config import OutcomeConfig
    from ranking.outcomes.examples import Examples

NAME = "buying"


@dataclass(frozen=True)
class BuyingModel:
    """Boosters of the log odds, and the map from log odds to chance."""

    boosters: Boosters
    calibration: Calibration

    @classmethod
    def fit(cls, data: Examples, config: OutcomeConfig, seed: int) -> BuyingModel:
        """Fit on customers at past moments; the newest one calibrates, with predictions of models that have not seen the customer."""
        boosters, out_of_fold = fit_boosters(data, data.bought.astype(np.float32), {"objective": "binary"}, config, seed)
        newest = data.window == 0
        return cls(boosters, Calibration.fit(out_of_fold[newest], data.bought[newest]))

    def chance(self, x: np.ndarray) -> np.ndarray:
        """Return the chance of rows (n, features), float32 (n,)."""
        return self.calibration(self.boosters.raw(x))

    def to_files(self) -> dict[str, bytes]:
        """Return the boosters as LightGBM's text and the calibration as JSON."""
        files = {f"{NAME}.{name}": content for name, content in self.calibration.to_files().items()}
        return files | self.boosters.to_files(NAME)

    @classmethod
    def from_files(cls, files: Mapping[str, bytes]) -> BuyingModel:
        """Read what `to_files` wrote."""
        calibration = Calibration.from_files({"calibration.json": files[f"{NAME}.calibration.json"]})
        return cls(Boosters.from_files(files, NAME), calibration)
