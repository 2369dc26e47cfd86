"""When a customer buys next: the median of the days until then, and whether that is expected within the horizon at all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ranking.outcomes.boosters import Boosters, fit_boosters

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ranking.outcomes.config import OutcomeConfig
    from ranking.outcomes.examples import Examples

_WAIT, _RETURN = "next_purchase_days", "next_purchase_any"


@dataclass(frozen=True)
class NextPurchaseModel:
    """Boosters of the median of log(1 + days) and of the log odds of any purchase within the horizon."""

    wait: Boosters
    returns: Boosters

    @classmethod
    def fit(cls, data: Examples, days: int, config: OutcomeConfig, seed: int) -> NextPurchaseModel:
        """Fit on customers at past moments, with the days until their next purchase, inf beyond `days`."""
        wait, _ = fit_boosters(data, np.log1p(np.minimum(data.wait, days)), {"objective": "quantile", "alpha": 0.5}, config, seed)
        returns, _ = fit_boosters(data, data.bought.astype(np.float32), {"objective": "binary"}, config, seed)
        return cls(wait, returns)

    def days(self, x: np.ndarray) -> np.ndarray:
        """Return the days until the next purchase of rows (n, features), float64 (n,); inf where none is expected within the horizon."""
        return np.where(self.returns.raw(x) > 0, np.maximum(np.expm1(self.wait.raw(x)), 0), np.inf)

    def to_files(self) -> dict[str, bytes]:
        """Return the boosters as LightGBM's text."""
        return self.wait.to_files(_WAIT) | self.returns.to_files(_RETURN)

    @classmethod
    def from_files(cls, files: Mapping[str, bytes]) -> NextPurchaseModel:
        """Read what `to_files` wrote."""
        return cls(Boosters.from_files(files, _WAIT), Boosters.from_files(files, _RETURN))
