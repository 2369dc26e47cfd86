"""Maximum likelihood of positive parameters from several starts."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.optimize import minimize

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_log = logging.getLogger(__name__)
_BOUND = 12.0  # of the logarithms of parameters: beyond e^12 a distribution has degenerated to a point


@dataclass(frozen=True)
class Maximum:
    """The best parameters that were found, their log-likelihood, and whether the search ended at a maximum inside the bounds."""

    parameters: tuple[float, ...]
    log_likelihood: float
    converged: bool


def most_likely(model: str, total: Callable[[np.ndarray], float], starts: Sequence[Sequence[float]]) -> Maximum:
    """Return the parameters that maximise a log-likelihood; a warning that names the model is logged where no search converges.

    Parameters
    ----------
    total : parameters, float (m,) above 0 -> log-likelihood.
    starts : parameters to start from.
    """

    def loss(logs: np.ndarray) -> float:
        value = -float(total(np.exp(logs)))
        return value if np.isfinite(value) else 1e12

    bounds = [(-_BOUND, _BOUND)] * len(starts[0])
    found = [minimize(loss, np.log(start), method="L-BFGS-B", bounds=bounds, options={"maxiter": 500}) for start in starts]
    best = min(found, key=lambda one: one.fun)
    inside = bool((np.abs(best.x) < _BOUND - 1e-3).all())
    if not best.success or not inside:
        why = "a parameter has run to its bound" if best.success else str(best.message)
        _log.warning("%s has not converged (%s): its figures say little about this log", model, why)
    return Maximum(tuple(np.exp(best.x).tolist()), -float(best.fun), bool(best.success) and inside)
