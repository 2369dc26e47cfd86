"""Do the intervals of off-policy evaluation hold? Against a simulator whose true value is known: `python -m benchmarks.off_policy`.

The simulator is `eval.off_policy.synthetic`. A JSON line an estimator and case: `coverage` of the 95%
interval over `runs`, whether it lies between .92 and .98 (`kept`; null where the case is made to mislead the estimator), mean error in
standard deviations (`bias`). Cases: "context": the reward model knows the user's kind; "blind": it does not, and the direct method is
wrong while the doubly robust is not; "joint": whole lists are weighted; "cascade": who clicks stops reading, and weights of the places
above hold; "cascade_ignored": the same, weighted as if places were independent; "few": near the least effective sample size that is
answered.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np

from eval.off_policy.estimators import Slates, effective_size, off_policy, weights
from eval.off_policy.synthetic import World
from features.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterator

RUNS = 500

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
