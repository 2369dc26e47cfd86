"""A shop with known policy values, to test off-policy evaluation on: users of three kinds, 12 items, 3 places.

Clicks follow a position-based model, or a cascade model, where a user stops after the first click.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import softmax

from eval.off_policy.estimators import Logged, Target

KINDS, ITEMS, PLACES = 3, 12, 3


@dataclass(frozen=True)
class World:
    """A shop with known click probabilities and policies.

    Attributes
    ----------
    taste : float (kinds, items), probability of a click on an item that is seen
    log, target : float (kinds, places, items), probability that each policy shows the item there
    seen : float (places,), probability that a place is seen
    cascade : whether a user stops after the first click
    """

    taste: np.ndarray
    log: np.ndarray
    target: np.ndarray
    seen: np.ndarray
    cascade: bool = False

    @classmethod
    def make(cls, cascade: bool = False, sharp: float = 1.0) -> World:
        """Make the shop; always the same.

        Parameters
        ----------
        sharp : how far the target policy is from the logging policy
        """
        rng = np.random.default_rng(7)
        taste = rng.beta(2, 4, (KINDS, ITEMS))
        score = rng.normal(size=(KINDS, PLACES, ITEMS))
        log, target = softmax(0.7 * score, axis=-1), softmax(0.7 * score + sharp * 3 * taste[:, None], axis=-1)
        return cls(taste, log, target, np.ones(PLACES) if cascade else 1 / np.arange(1, PLACES + 1), cascade)

    @property
    def value(self) -> float:
        """Expected clicks of an impression of the target policy."""
        clicks = (self.target * self.taste[:, None]).sum(axis=2) * self.seen  # (kinds, places)
        if self.cascade:
            clicks[:, 1:] *= np.cumprod(1 - clicks, axis=1)[:, :-1]
        return float(clicks.sum(axis=1).mean())

    def draw(self, n: int, rng: np.random.Generator, *, blind: bool) -> Logged:
        """Draw a log of n impressions.

        The places of a list are drawn independently, so that propensities hold under every assumption.

        Parameters
        ----------
        blind : whether the cells of the reward model leave out the kind of user
        """
        kind = rng.integers(KINDS, size=n)
        item = (rng.random((n, PLACES, 1)) > np.cumsum(self.log[kind], axis=2)).sum(axis=2).clip(max=ITEMS - 1)
        place = np.broadcast_to(np.arange(PLACES), item.shape)
        click = rng.random(item.shape) < self.taste[kind[:, None], item] * self.seen
        if self.cascade:
            click &= np.cumsum(click, axis=1) == 1
        shown = kind[:, None], place, item

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
            cell=cells(item, place, 0 if blind else kind[:, None]),
            target=Target(i.ravel(), p.ravel(), cells(a, p, 0 if blind else kind[i]), self.target[kind].ravel()),
        )
