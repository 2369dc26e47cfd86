"""Sequential testing: an always-valid interval, which holds at all looks together."""

from __future__ import annotations

import math

import numpy as np

LEVEL = 0.95
FIRST_LOOK = 100  # users, below which the normal approximation is not trusted and nothing is decided


def contrasts(values: np.ndarray, in_b: np.ndarray, share: float = 0.5) -> np.ndarray:
    """Return one number a user, in the order in which they came, whose expectation is b's mean minus a's.

    The mean of the earlier users is subtracted first. It is known beforehand, so the expectation stays, and most of the
    variance goes.

    Parameters
    ----------
    values : float (n,), each user's metric
    in_b : bool (..., n), drawn with probability `share` independently of the user

    Returns
    -------
    float (..., n)

    References
    ----------
    Augmented inverse probability weighting with a constant as the model: Waudby-Smith and others (2024), section 3.
    """
    before = np.concatenate([[0.0], np.cumsum(values)[:-1] / np.arange(1, len(values))]) if len(values) else values
    return np.where(in_b, 1 / share, -1 / (1 - share)) * (values - before)


def confidence_sequence(x: np.ndarray, best_at: int, alpha: float = 1 - LEVEL) -> tuple[np.ndarray, np.ndarray]:
    """Return the running mean, and half the width of its interval of level 1 - alpha after each number.

    The probability that any of the n intervals misses is at most alpha, asymptotically: one may look, and stop, at any
    time. As a test it is the mixture SPRT.

    Parameters
    ----------
    x : float (..., n)
    best_at : after about how many numbers the interval is narrowest; chosen before the first look
    alpha : of all looks together

    Returns
    -------
    float (..., n) each; the half width is inf before `FIRST_LOOK` numbers

    References
    ----------
    Mixture boundary of Robbins (1970) with estimated variance: Waudby-Smith, Arbour, Sinha, Kennedy, Ramdas (2024),
    Annals of Statistics 52(6), arXiv 2103.06476, theorem 2.2. Mixture SPRT: Johari, Koomen, Pekelis, Walsh (2022),
    Operations Research 70(3).
    """
    t = np.arange(1, x.shape[-1] + 1)
    mean = np.cumsum(x, axis=-1) / t
    variance = np.maximum(np.cumsum(x**2, axis=-1) / t - mean**2, 0)
    rho2 = (-2 * math.log(alpha) + math.log(1 - 2 * math.log(alpha))) / max(best_at, 1)
    width = np.sqrt(2 * (t * rho2 + 1) / (t**2 * rho2) * np.log(np.sqrt(t * rho2 + 1) / alpha))
    return mean, np.where(t < FIRST_LOOK, np.inf, np.sqrt(variance) * width)
