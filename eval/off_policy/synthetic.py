"""A shop whose truth is known, to try off-policy evaluation on: users of three kinds, 12 items, 3 places.

Clicks by a position-based model, or by a cascade: who clicks stops reading.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import softmax

from eval.off_policy.estimators import Logged, Target

KINDS, ITEMS, PLACES = 3, 12, 3


@dataclass(frozen=True)
class World:
    """A shop of known truth. taste: chance of a click if seen, (kinds, items); log, target: of being shown, (kinds, places, items)."""

    taste: np.ndarray
    log: np.ndarray
    target: np.ndarray
    seen: np.ndarray
    cascade: bool = False

    @classmethod
    def make(cls, cascade: bool = False, sharp: float = 1.0) -> World:
        """The same for ever. sharp: how far the target is from the logging policy."""
        rng = np.random.default_rng(7)
        taste = rng.beta(2, 4, (KINDS, ITEMS))
        score = rng.normal(size=(KINDS, PLACES, ITEMS))
        log, target = softmax(0.7 * score, axis=-1), softmax(0.7 * score + sharp * 3 * taste[:, None], axis=-1)
        return cls(taste, log, target, np.ones(PLACES) if cascade else 1 / np.arange(1, PLACES + 1), cascade)

    @property
    def value(self) -> float:
        """Expected clicks of an impression of the target."""
        clicks = (self.target * self.taste[:, None]).sum(axis=2) * self.seen  # (kinds, places)
        if self.cascade:
            clicks[:, 1:] *= np.cumprod(1 - clicks, axis=1)[:, :-1]
        return float(clicks.sum(axis=1).mean())

    def draw(self, n: int, rng: np.random.Generator, *, blind: bool) -> Logged:
        """A log of n impressions; the places of a list are drawn apart, so that propensities hold under every assumption."""
        kind = rng.integers(KINDS, size=n)
        item = (rng.random((n, PLACES, 1)) > np.cumsum(self.log[kind], axis=2)).sum(axis=2).clip(max=ITEMS - 1)
        place = np.broadcast_to(np.arange(PLACES), item.shape)
        click = rng.random(item.shape) < self.taste[kind[:, None], item] * self.seen
        if self.cascade:
            click &= np.cumsum(click, axis=1) == 1
        shown = kind[:, None], place, item
        told = 0 if blind else kind

        def cells(items: np.ndarray, places: np.ndarray, kinds: np.ndarray | int) -> np.ndarray:
            return ((kinds * PLACES + places) * ITEMS + items).ravel()

        i, p, a = np.indices((n, PLACES, ITEMS))
        return Logged(
            impression=np.repeat(np.arange(n), PLACES),
            position=place.ravel(),
            reward=click.ravel().astype(float),
            propensity=self.log[shown].ravel(),
            probability=self.target[shown].ravel(),
            unit=np.arange(n),
            cell=cells(item, place, told if blind else kind[:, None]),
            target=Target(i.ravel(), p.ravel(), cells(a, p, told if blind else kind[i]), self.target[kind].ravel()),
        )
