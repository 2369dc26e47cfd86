"""Coverage of the intervals of off-policy evaluation, on a simulator with a known true value.

    python -m benchmarks.off_policy

The simulator is `eval.off_policy.synthetic`. The program prints a JSON line for each estimator and case. `coverage` is
that of the 95% interval over `runs`. `kept` says whether it lies between .92 and .98, and is null where the case is
designed to mislead the estimator. `bias` is the mean error in standard deviations. The cases:

- "context": the reward model knows the user's kind.
- "blind": it does not. The direct method is biased, the doubly robust estimator is not.
- "joint": whole lists are weighted.
- "cascade": a click ends the reading of a list. Weights cover the positions above.
- "cascade_ignored": the same, weighted as if positions were independent.
- "few": near the smallest effective sample size for which there are estimates.
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
    """Return coverage of the 95% interval, mean error in standard deviations and mean effective size, by estimator.

    Logs with too few effective impressions are left out.
    """
    world, n, blind, slates = case
    rng, errors, covered, effective = np.random.default_rng(seed), {}, {}, []
    for _ in range(runs):
        log = world.draw(n, rng, blind=blind)
        effective.append(effective_size(log, weights(log, slates)))
        try:
            found = off_policy(log, slates)
        except DataError:
            continue
        for name, estimate in found.estimates.items():
            errors.setdefault(name, []).append(estimate.value - world.value)
            covered.setdefault(name, []).append(estimate.low <= world.value <= estimate.high)
    return {
        name: (float(np.mean(covered[name])), float(np.mean(errors[name]) / np.std(errors[name])), float(np.mean(effective)))
        for name in errors
    }


def rows(runs: int = RUNS) -> Iterator[dict[str, object]]:
    """Yield the rows that are printed."""
    for name, case in CASES.items():
        for estimator, (share, bias, effective) in coverage(case, runs).items():
            figures = {"coverage": round(share, 4), "bias": round(bias, 2), "effective": round(effective), "runs": runs}
            kept = None if f"{name}_{estimator}".startswith(MISLED) else 0.92 <= share <= 0.98
            yield {"name": f"off_policy_{name}_{estimator}", **figures, "kept": kept}


def main() -> None:
    """Print a row for each case and estimator."""
    for row in rows():
        print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
