"""Survival curves of gaps, measured in usual gaps, on a fixed grid."""

from __future__ import annotations

import numpy as np

RATIOS = np.concatenate([[0.0], np.geomspace(0.02, 50, 240)])  # at which a curve has a value


def survival(ratio: np.ndarray, ended: np.ndarray, stratum: np.ndarray, n_strata: int) -> np.ndarray:
    """Estimate the share of gaps that last longer than each of `RATIOS`, float32 (n_strata, len(RATIOS)).

    Parameters
    ----------
    ratio : float (n,)
        How long each gap has lasted.
    ended : bool (n,)
        Whether it has ended; the others are censored.
    stratum : int (n,)
        The curve that it belongs to, from 0. A stratum without gaps gets the curve of all.

    References
    ----------
    Kaplan, Meier 1958, "Nonparametric estimation from incomplete observations", JASA 53(282).
    """
    bins = len(RATIOS)
    # A gap ends in the bin that begins below it, so that at the right edge of the bin it no longer survives.
    code = stratum * bins + np.clip(np.searchsorted(RATIOS, ratio, side="left"), 1, bins - 1)
    ends = np.bincount(code[ended], minlength=n_strata * bins).reshape(n_strata, bins)
    leaves = np.bincount(code, minlength=n_strata * bins).reshape(n_strata, bins)
    curves = _curves(ends, leaves)
    curves[leaves.sum(axis=1) == 0] = _curves(ends.sum(axis=0, keepdims=True), leaves.sum(axis=0, keepdims=True))[0]
    return curves.astype(np.float32)


def _curves(ends: np.ndarray, leaves: np.ndarray) -> np.ndarray:
    """Return the product-limit estimate from the gaps that end and those that leave, by either way, in each bin."""
    at_risk = leaves[:, ::-1].cumsum(axis=1)[:, ::-1]
    # Censored gaps of a bin are at risk for half of it (the actuarial estimate).
    exposed = at_risk - (leaves - ends) / 2
    return np.cumprod(1 - ends / np.maximum(exposed, 1e-9) * (exposed > 0), axis=1)


def survival_at(curves: np.ndarray, stratum: np.ndarray, ratio: np.ndarray) -> np.ndarray:
    """Return the share that outlives each ratio, float64 (m,); between two values of the grid, on the line between them."""
    right = np.clip(np.searchsorted(RATIOS, ratio, side="left"), 1, len(RATIOS) - 1)
    low, high = RATIOS[right - 1], RATIOS[right]
    part = np.clip((ratio - low) / (high - low), 0, 1)
    return curves[stratum, right - 1] * (1 - part) + curves[stratum, right] * part


def last_share(curves: np.ndarray, stratum: np.ndarray, share: np.ndarray) -> np.ndarray:
    """Return the ratio that each share outlives, float64 (m,): the inverse of `survival_at`."""
    found = np.empty(len(share))
    for each in np.unique(stratum).tolist():
        some = stratum == each
        found[some] = np.interp(-share[some], -curves[each], RATIOS)
    return found
