"""When a customer buys next: the days until then if they come back within the horizon, and whether that is expected at all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ranking.outcomes.boosters import Boosters, fit_boosters

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ranking.outcomes.config import OutcomeConfig
    from ranking.outcomes.examples import PastOutcomes

_WAIT, _RETURN = "next_purchase_days", "next_purchase_any"


# Waits are skewed: the prediction that misses by the least in half of the cases lies below their median.
QUANTILE = 0.45


@dataclass(frozen=True)
class NextPurchaseModel:
    """Boosters of a quantile of log(1 + days) of those who came back, and of the log odds of coming back within the horizon."""

    wait: Boosters
    returns: Boosters

    @classmethod
    def fit(cls, data: PastOutcomes, config: OutcomeConfig, seed: int) -> NextPurchaseModel:
        """Fit on customers at past moments, with the days until their next purchase, inf beyond the horizon."""
        days = np.where(data.bought, np.log1p(data.wait), np.nan)
        wait, _ = fit_boosters(data, days, {"objective": "quantile", "alpha": QUANTILE}, config, seed)
        returns, _ = fit_boosters(data, data.bought.astype(np.float32), {"objective": "binary"}, config, seed)
        return cls(wait, returns)

    def days_if_any(self, x: np.ndarray) -> np.ndarray:
        """Return the days until the next purchase of rows (n, features) if there is one within the horizon, float64 (n,)."""
        return np.maximum(np.expm1(self.wait.raw(x)), 0)

    def days(self, x: np.ndarray) -> np.ndarray:
        """Return `days_if_any`, and inf for customers who are likelier not to come back within the horizon."""
        return np.where(self.returns.raw(x) > 0, self.days_if_any(x), np.inf)

    def to_files(self) -> dict[str, bytes]:
        """Return the boosters as LightGBM's text."""
        return self.wait.to_files(_WAIT) | self.returns.to_files(_RETURN)

    @classmethod
    def from_files(cls, files: Mapping[str, bytes]) -> NextPurchaseModel:
        """Read what `to_files` wrote."""
        return cls(Boosters.from_files(files, _WAIT), Boosters.from_files(files, _RETURN))
