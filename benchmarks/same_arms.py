"""False alarms of an experiment's tests where the arms are the same: `python -m benchmarks.same_arms`.

500 experiments of 2,000 users each, other users in each: figures as an arm's lists earn them, most of them 0, heavy users more; what is
known before explains a part. A JSON line a test: `alarms` of `runs`, the 95% interval of the binomial for 5%, and whether they lie in it
(at most its end for the always-valid one).
"""

from __future__ import annotations

import json

import numpy as np

from eval.experiment.aa_test import Outcomes, false_alarms, flat
from eval.experiment.effects import binomial_interval

RUNS, USERS, DAYS = 500, 2_000, 14


def population(rng: np.random.Generator, users: int = USERS, days: int = DAYS) -> Outcomes:
    """Users who come on some of the days; a user's figure is a mean of hit and miss that leans on a trait."""
    trait = rng.beta(1, 4, users)
    visits = 1 + rng.poisson(3 * trait)
    hits = rng.binomial(visits, trait)
    entry = (rng.random(users) < trait).astype(float) * rng.random(users)
    known = np.stack([trait + rng.normal(0, 0.1, users), rng.lognormal(size=users)], axis=1)
    looks = np.cumsum(rng.multinomial(users, 1 / np.arange(1, days + 1) / (1 / np.arange(1, days + 1)).sum()))
    return Outcomes(hits / visits, known, entry, looks)


def alarms(runs: int, users: int = USERS, seed: int = 0) -> dict[str, int]:
    """False alarms of each test over `runs` experiments, other users in each."""
    rng = np.random.default_rng(seed)
    total: dict[str, int] = {}
    for _ in range(runs):
        for name, count in false_alarms(population(rng, users), rng.random((1, users)) < 0.5).items():
            total[name] = total.get(name, 0) + count
    return total


def main() -> None:
    """A row a test."""
    low, high = binomial_interval(RUNS)
    for name, count in alarms(RUNS).items():
        kept = None if name == "peeking" else flat(count, RUNS, at_most=name == "always_valid")
        print(json.dumps({"name": f"false_alarms_{name}", "alarms": count, "runs": RUNS, "low": low, "high": high, "kept": kept}))


if __name__ == "__main__":
    main()
