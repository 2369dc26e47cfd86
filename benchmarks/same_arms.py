"""False alarms of an experiment's tests where both arms are the same (A/A tests): `python -m benchmarks.same_arms`.

There are 500 experiments with 2,000 new users each. Most outcomes are 0, heavy users have larger ones, and covariates
explain a part. The program prints a JSON line for each test: `alarms` of `runs`, the 95% binomial interval for 5%, and
whether the alarms lie in it. For the always-valid test they may lie below it.
"""

from __future__ import annotations

import json

import numpy as np

from eval.experiment.aa_test import Outcomes, false_alarms, flat
from eval.experiment.effects import binomial_interval

RUNS, USERS, DAYS = 500, 2_000, 14


def population(rng: np.random.Generator, users: int = USERS, days: int = DAYS) -> Outcomes:
    """Draw users who visit on some of the days; a user's outcome is a share of hits that depends on a trait."""
    trait = rng.beta(1, 4, users)
    visits = 1 + rng.poisson(3 * trait)
    hits = rng.binomial(visits, trait)
    entry = (rng.random(users) < trait).astype(float) * rng.random(users)
    known = np.stack([trait + rng.normal(0, 0.1, users), rng.lognormal(size=users)], axis=1)
    looks = np.cumsum(rng.multinomial(users, 1 / np.arange(1, days + 1) / (1 / np.arange(1, days + 1)).sum()))
    return Outcomes(hits / visits, known, entry, looks)


def alarms(runs: int, users: int = USERS, seed: int = 0) -> dict[str, int]:
    """Return the false alarms of each test over `runs` experiments, each with new users."""
    rng = np.random.default_rng(seed)
    total: dict[str, int] = {}
    for _ in range(runs):
        for name, count in false_alarms(population(rng, users), rng.random((1, users)) < 0.5).items():
            total[name] = total.get(name, 0) + count
    return total


def main() -> None:
    """Print a row for each test."""
    low, high = binomial_interval(RUNS)
    for name, count in alarms(RUNS).items():
        kept = None if name == "peeking" else flat(count, RUNS, at_most=name == "always_valid")
        print(json.dumps({"name": f"false_alarms_{name}", "alarms": count, "runs": RUNS, "low": low, "high": high, "kept": kept}))


if __name__ == "__main__":
    main()
