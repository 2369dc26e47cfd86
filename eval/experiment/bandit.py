"""Shares of an experiment's variants by Thompson sampling, and whether one of them has won: bandit and sequential test together."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from eval.experiment.sequential import confidence_sequence

DRAWS = 20_000
NARROWEST = 2_000  # letters after which the interval is narrowest
FLOOR = 0.1  # share that the variants have among them whatever came: without it, the weights of what was drawn rarely have no bound


@dataclass(frozen=True)
class Sends:
    """Letters in the order in which they were sent.

    Attributes
    ----------
    variant : int64 (n,), below `variants`.
    clicked : bool (n,).
    share : float (n, variants), the shares that the variant was drawn with.
    """

    variant: np.ndarray
    clicked: np.ndarray
    share: np.ndarray

    @property
    def variants(self) -> int:
        """How many there are."""
        return self.share.shape[1]


def thompson_shares(sent: np.ndarray, clicked: np.ndarray, seed: int = 0) -> np.ndarray:
    """Return the probability that each variant is the best, from Beta(1, 1) before any letter, mixed with a floor.

    Parameters
    ----------
    sent, clicked : int (variants,).

    References
    ----------
    Thompson (1933), Biometrika 25; Chapelle and Li (2011), NeurIPS.
    """
    rates = np.random.default_rng(seed).beta(1 + clicked, 1 + sent - clicked, size=(DRAWS, len(sent)))
    best = np.bincount(rates.argmax(axis=1), minlength=len(sent)) / DRAWS
    return FLOOR / len(sent) + (1 - FLOOR) * best


def winner(sends: Sends) -> int | None:
    """Return the variant that has won against each other at some look; None while the test goes on.

    Each pair has its always-valid interval of the difference, so one may look after each letter. Letters are weighted by the inverse of
    their shares, which a bandit changes. The error of 5% is divided by the number of a variant's opponents.
    """
    n, k = len(sends.variant), sends.variants
    if not n or k < 2:
        return None
    before = np.concatenate([[0.0], np.cumsum(sends.clicked)[:-1] / np.arange(1, n)]) if n > 1 else np.zeros(1)
    centred = sends.clicked - before
    weighted = np.where(np.arange(k) == sends.variant[:, None], centred[:, None] / sends.share, 0.0)
    for best in range(k):
        lows = []
        for other in range(k):
            if other != best:
                mean, half = confidence_sequence(weighted[:, best] - weighted[:, other], NARROWEST, alpha=0.05 / (k - 1))
                lows.append(mean - half)
        if (np.min(lows, axis=0) > 0).any():
            return best
    return None
