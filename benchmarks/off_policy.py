"""Do the intervals of off-policy evaluation hold? Against a simulator whose true value is known: `python -m benchmarks.off_policy`.

Users of three kinds, 12 items, 3 places, clicks by a position-based model. A JSON line an estimator and case: `coverage` of the 95%
interval over `runs`, whether it lies between .92 and .98 (`kept`; null where the case is made to mislead the estimator), mean error in
standard deviations (`bias`). Cases: "context": the reward model knows the user's kind; "blind": it does not, and the direct method is
wrong while the doubly robust is not; "joint": whole lists are weighted; "cascade": who clicks stops reading, and weights of the places
above hold; "cascade_ignored": the same, weighted as if places were independent; "few": near the least effective sample size that is
answered.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from eval.off_policy import Logged, Slates, Target, effective_size, off_policy, weights
from features.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterator

KINDS, ITEMS, PLACES, RUNS = 3, 12, 3, 500


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
        log, target = _softmax(0.7 * score), _softmax(0.7 * score + sharp * 3 * taste[:, None])
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


def _softmax(score: np.ndarray) -> np.ndarray:
    e = np.exp(score - score.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


CASES: dict[str, tuple[World, int, bool, Slates]] = {
    "context": (World.make(), 1000, False, "independent"),
    "blind": (World.make(), 1000, True, "independent"),
    "joint": (World.make(), 4000, False, "joint"),
    "cascade": (World.make(cascade=True), 4000, True, "cascade"),
    "cascade_ignored": (World.make(cascade=True), 4000, True, "independent"),
    "few": (World.make(sharp=3.0), 500, False, "independent"),
}
MISLED = ("blind_dm", "cascade_dm", "cascade_ignored")


def coverage(case: tuple[World, int, bool, Slates], runs: int, seed: int = 0) -> dict[str, tuple[float, float, float]]:
    """Estimator -> coverage of the 95% interval, mean error in standard deviations, mean effective sample size; refused logs left out."""
    world, n, blind, slates = case
    rng, errors, held, effective = np.random.default_rng(seed), {}, {}, []
    for _ in range(runs):
        log = world.draw(n, rng, blind=blind)
        effective.append(effective_size(log, weights(log, slates)))
        try:
            found = off_policy(log, slates)
        except DataError:
            continue
        for name, estimate in found.estimates.items():
            errors.setdefault(name, []).append(estimate.value - world.value)
            held.setdefault(name, []).append(estimate.low <= world.value <= estimate.high)
    return {
        name: (float(np.mean(held[name])), float(np.mean(errors[name]) / np.std(errors[name])), float(np.mean(effective)))
        for name in errors
    }


def rows(runs: int = RUNS) -> Iterator[dict[str, object]]:
    """The lines that are printed."""
    for name, case in CASES.items():
        for estimator, (share, bias, effective) in coverage(case, runs).items():
            figures = {"coverage": round(share, 4), "bias": round(bias, 2), "effective": round(effective), "runs": runs}
            held = None if f"{name}_{estimator}".startswith(MISLED) else 0.92 <= share <= 0.98
            yield {"name": f"off_policy_{name}_{estimator}", **figures, "kept": held}


def main() -> None:
    """A row a case and estimator."""
    for row in rows():
        print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
