"""What a customer will spend within some days: a mean whose total is calibrated, and an 80% interval.

The mean is a booster with Tweedie's deviance, whose distributions have a mass at 0. The interval is that of quantile boosters, shifted by
what customers whom they had not seen needed at the newest past moment (conformalized quantile regression). Who spends nothing with a
chance of a tenth or more has an interval from 0 to the quantile of .8, which no lower end can miss; the others from that of .1 to that of
.9. Both groups are corrected by themselves.

References
----------
Romano, Patterson, Candès (2019), NeurIPS, Conformalized Quantile Regression. Jørgensen (1987), J. R. Stat. Soc. B 49(2).
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ranking.outcomes.boosters import Boosters, fit_boosters

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ranking.outcomes.config import OutcomeConfig
    from ranking.outcomes.examples import PastOutcomes

LEVEL = 0.8
LEAST = 50  # customers of a group, for a correction
_TAIL = (1 - LEVEL) / 2
_QUANTILES = {"spend_low": _TAIL, "spend_high": 1 - _TAIL, "spend_most": LEVEL}
_MEAN, _NUMBERS = "spend_mean", "spend.json"
_POWER = 1.2  # of the variance of Tweedie's distribution
_NOTHING = 1e-3  # a lower quantile below it, in units of the mean spend, is 0


@dataclass(frozen=True)
class SpendModel:
    """Boosters of mean and quantiles with their corrections.

    Attributes
    ----------
    mean : boosters of the logarithm of the mean, of spend in units of `unit`.
    low, high, most : boosters of the quantiles .1, .9 and .8 of log(1 + spend / unit).
    unit : the shop's mean spend.
    factor : what predictions are multiplied by, so that their total is that of the newest past moment.
    down, up : what the ends `low` and `high` are moved by.
    up_most : what the end `most` is moved up by.
    """

    mean: Boosters
    low: Boosters
    high: Boosters
    most: Boosters
    unit: float
    factor: float
    down: float
    up: float
    up_most: float

    @classmethod
    def fit(cls, data: PastOutcomes, config: OutcomeConfig, seed: int) -> SpendModel:
        """Fit on customers at past moments; predictions of models that have not seen the customer correct at the newest one."""
        unit = float(data.spend.mean())
        scaled, newest = data.spend / unit, data.window == 0
        tweedie = {"objective": "tweedie", "tweedie_variance_power": _POWER}
        mean, raw = fit_boosters(data, scaled, tweedie, config, seed)
        logs = np.log1p(scaled)
        fitted = [fit_boosters(data, logs, {"objective": "quantile", "alpha": alpha}, config, seed) for alpha in _QUANTILES.values()]
        low, high, most = (out_of_fold[newest] for _, out_of_fold in fitted)
        y, from_nothing = logs[newest], low <= _NOTHING
        some = ~from_nothing
        return cls(
            mean,
            *(boosters for boosters, _ in fitted),
            unit=unit,
            factor=float(scaled[newest].sum() / np.exp(raw[newest]).sum()),
            down=correction(low[some] - y[some], 1 - _TAIL),
            up=correction(y[some] - high[some], 1 - _TAIL),
            up_most=correction(y[from_nothing] - most[from_nothing], LEVEL),
        )

    def expected(self, x: np.ndarray) -> np.ndarray:
        """Return the expected spend of rows (n, features), float64 (n,)."""
        return np.exp(self.mean.raw(x)) * self.factor * self.unit

    def interval(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the ends of the 80% interval of rows (n, features), float64 (n,) each; the expected spend lies within.

        Where a few spend very much, the mean may exceed the quantile .9: the interval is wider then.
        """
        quantile = self.low.raw(x)
        from_nothing = quantile <= _NOTHING
        low = np.where(from_nothing, 0, np.maximum(quantile - self.down, 0))
        high = np.where(from_nothing, self.most.raw(x) + self.up_most, self.high.raw(x) + self.up)
        mean, ends = self.expected(x), (np.expm1(low) * self.unit, np.expm1(high) * self.unit)
        return np.minimum(ends[0], mean), np.maximum(ends[1], mean)

    def to_files(self) -> dict[str, bytes]:
        """Return the boosters as LightGBM's text and the numbers as JSON."""
        files = self.mean.to_files(_MEAN)
        for name, boosters in zip(_QUANTILES, (self.low, self.high, self.most), strict=True):
            files |= boosters.to_files(name)
        numbers = {name: getattr(self, name) for name in ("unit", "factor", "down", "up", "up_most")}
        return files | {_NUMBERS: json.dumps(numbers).encode()}

    @classmethod
    def from_files(cls, files: Mapping[str, bytes]) -> SpendModel:
        """Read what `to_files` wrote."""
        mean, low, high, most = (Boosters.from_files(files, name) for name in (_MEAN, *_QUANTILES))
        return cls(mean, low, high, most, **json.loads(files[_NUMBERS]))


def correction(missed: np.ndarray, level: float) -> float:
    """Return how far an end must move so that a share `level` of new cases lies within; 0 where fewer than `LEAST` say it.

    Parameters
    ----------
    missed : float (n,), how far each case lies beyond its end; negative within.
    """
    n = len(missed)
    return float(np.sort(missed)[min(math.ceil(level * (n + 1)), n) - 1]) if n >= LEAST else 0.0
