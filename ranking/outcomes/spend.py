"""What a customer will spend within some days: a mean whose total is calibrated, and an 80% interval.

The mean is a booster with Tweedie's deviance, whose distributions have a mass at 0. The interval is that of two quantile boosters, shifted
by what customers of the newest past moment needed (conformalized quantile regression). Both tails are shifted by themselves: who spends
nothing cannot fall below an interval that begins at 0, so the upper tail takes the misses that the lower one cannot have.

References
----------
Romano, Patterson, Candès (2019), NeurIPS, Conformalized Quantile Regression. Jørgensen (1987), J. R. Stat. Soc. B 49(2).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ranking.outcomes.boosters import Boosters, fit_boosters

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ranking.outcomes.config import OutcomeConfig
    from ranking.outcomes.examples import Examples

LEVEL = 0.8
_MEAN, _LOW, _HIGH = "spend_mean", "spend_low", "spend_high"
_NUMBERS = "spend.json"


@dataclass(frozen=True)
class SpendModel:
    """Boosters of mean and quantiles with their corrections.

    Attributes
    ----------
    mean : boosters of the logarithm of the mean, of spend in units of `unit`.
    low, high : boosters of quantiles of log(1 + spend / unit).
    unit : the shop's mean spend.
    factor : what predictions are multiplied by, so that their total is that of the newest past moment.
    shift_low, shift_high : what the quantiles are moved by.
    """

    mean: Boosters
    low: Boosters
    high: Boosters
    unit: float
    factor: float
    shift_low: float
    shift_high: float

    @classmethod
    def fit(cls, data: Examples, config: OutcomeConfig, seed: int) -> SpendModel:
        """Fit on customers at past moments; the newest one calibrates, with predictions of models that have not seen the customer."""
        unit = float(data.spend.mean())
        scaled = data.spend / unit
        newest = data.window == 0
        tweedie = {"objective": "tweedie", "tweedie_variance_power": 1.5}
        mean, raw = fit_boosters(data, scaled, tweedie, config, seed)
        total = np.exp(raw[newest]).sum()
        logs, ends = np.log1p(scaled), []
        for alpha in ((1 - LEVEL) / 2, (1 + LEVEL) / 2):
            ends.append(fit_boosters(data, logs, {"objective": "quantile", "alpha": alpha}, config, seed))
        (low, below), (high, above) = ends
        shifts = tail_shifts(logs[newest], below[newest], above[newest])
        return cls(mean, low, high, unit, float(scaled[newest].sum() / total), *shifts)

    def expected(self, x: np.ndarray) -> np.ndarray:
        """Return the expected spend of rows (n, features), float64 (n,)."""
        return np.exp(self.mean.raw(x)) * self.factor * self.unit

    def interval(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the ends of the 80% interval of rows (n, features), float64 (n,) each."""
        low = np.maximum(self.low.raw(x) - self.shift_low, 0)
        high = np.maximum(self.high.raw(x) + self.shift_high, low)
        return np.expm1(low) * self.unit, np.expm1(high) * self.unit

    def to_files(self) -> dict[str, bytes]:
        """Return the boosters as LightGBM's text and the numbers as JSON."""
        numbers = {name: getattr(self, name) for name in ("unit", "factor", "shift_low", "shift_high")}
        files = self.mean.to_files(_MEAN) | self.low.to_files(_LOW) | self.high.to_files(_HIGH)
        return files | {_NUMBERS: json.dumps(numbers).encode()}

    @classmethod
    def from_files(cls, files: Mapping[str, bytes]) -> SpendModel:
        """Read what `to_files` wrote."""
        return cls(*(Boosters.from_files(files, name) for name in (_MEAN, _LOW, _HIGH)), **json.loads(files[_NUMBERS]))


def tail_shifts(y: np.ndarray, low: np.ndarray, high: np.ndarray, level: float = LEVEL) -> tuple[float, float]:
    """Return how far the lower ends must go down and the upper ends up, so that a share `level` of `y` lies within.

    Parameters
    ----------
    y, low, high : float (n,), not below 0; lower ends below 0 count as 0.

    Returns
    -------
    The lower shift leaves half of the misses below. The upper shift leaves the others, and those that the lower ends at 0 cannot have.
    """
    n, misses = len(y), int((1 - level) * (len(y) + 1))
    down = np.sort(low - y)[::-1]
    shift_low = float(down[min(misses // 2, n - 1)])
    missed_below = y < np.maximum(low - shift_low, 0)
    up = np.sort(np.where(missed_below, -np.inf, y - high))[::-1]
    return shift_low, float(up[min(misses - int(missed_below.sum()), n - 1)])
