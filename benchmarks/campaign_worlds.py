"""A plan against a greedy one, in simulated worlds whose truth is known: `python -m benchmarks.campaign_worlds --worlds 200`.

A world has customers with features, two offers, a base rate of buying and a true uplift of each offer, which goes with the base rate in
some worlds and against it in others. An earlier campaign of the same world, with a holdout drawn by chance, is all that the planners see.
Ours predicts by the learner that it chooses on that campaign and allocates by the solver, within budget, smallest group and exposure.
The greedy one sends the offer with the best predicted response times margin, the likeliest buyers first, until the budget is spent. Both
are judged by the true expected profit. The row has the ratio of the means with its 95% interval over worlds, and how many plans of ours
broke a limit.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from eval.metrics.intervals import Bootstrap
from ranking.outcomes.allocation import NONE, AllocationProblem, ExposureLimit, allocate
from ranking.outcomes.uplift import RESPONSE, Treatment, UpliftConfig, fit_uplift
from recsys.apps.campaigns.learner_choice import fit_chosen

CUSTOMERS, EARLIER, FEATURES, OFFERS = 2000, 6000, 6, 2
HOLDOUT, BUDGET, MIN_GROUP, GAP = 0.3, 200.0, 40, 0.05
COSTS, MARGINS = np.array([0.4, 0.7]), np.array([12.0, 15.0])


@dataclass(frozen=True)
class World:
    """The truth: chances as functions of the features."""

    base: np.ndarray  # weights of the base rate, (features,)
    uplift: np.ndarray  # weights of each offer's uplift, (features, offers)
    level: np.ndarray  # mean uplift of each offer, (offers,)

    @classmethod
    def draw(cls, rng: np.random.Generator) -> World:
        """Return a world; its uplift goes with the base rate by a random share between -0.5 and 1."""
        base = rng.normal(0, 0.8, FEATURES)
        along = rng.uniform(-0.5, 1)
        own = rng.normal(0, 0.8, (FEATURES, OFFERS))
        return cls(base, along * base[:, None] + own, rng.uniform(0.03, 0.09, OFFERS))

    def rates(self, x: np.ndarray) -> np.ndarray:
        """Return the chance of buying without an offer, (n,)."""
        return expit(x @ self.base - 2.5)

    def uplifts(self, x: np.ndarray) -> np.ndarray:
        """Return what each offer adds to it, (n, offers); never so much that it leaves 0 to 1."""
        rates = self.rates(x)[:, None]
        return np.clip(self.level + 0.06 * np.tanh(x @ self.uplift), -rates, 1 - rates)


@dataclass(frozen=True)
class Outcome:
    """True expected profits of both plans, and the limits that ours broke."""

    ours: float
    greedy: float
    broken: int


def played(seed: int, config: UpliftConfig) -> Outcome:
    """Return what both planners earn in one world."""
    rng = np.random.default_rng(seed)
    world = World.draw(rng)
    x, earlier = (rng.normal(0, 1, (n, FEATURES)).astype(np.float32) for n in (CUSTOMERS, EARLIER))
    groups = (rng.random(CUSTOMERS) < 0.3).astype(int)
    treated = rng.random(EARLIER) >= HOLDOUT
    offers = rng.integers(OFFERS, size=EARLIER)
    chance = world.rates(earlier) + treated * world.uplifts(earlier)[np.arange(EARLIER), offers]
    bought = (rng.random(EARLIER) < chance).astype(float)
    uplift, response = np.zeros((CUSTOMERS, OFFERS)), np.zeros((CUSTOMERS, OFFERS))
    for offer in range(OFFERS):
        rows = np.flatnonzero(offers == offer)
        treatment = Treatment(earlier[rows], treated[rows], bought[rows])
        uplift[:, offer] = fit_chosen(treatment, config, seed).uplift(x)
        response[:, offer] = fit_uplift(RESPONSE, treatment.take(treatment.treated), config, seed).predict(x)
    costs = np.broadcast_to(COSTS, uplift.shape)
    limit = ExposureLimit(groups, GAP)
    allowed = np.ones_like(uplift, dtype=bool)
    plan = allocate(AllocationProblem(uplift * MARGINS - costs, costs, BUDGET, allowed, MIN_GROUP, (limit,)))
    truth = world.uplifts(x) * MARGINS - costs
    return Outcome(_profit(truth, plan), _profit(truth, _greedy(response * MARGINS)), _broken(plan, groups))


def _greedy(worth: np.ndarray) -> np.ndarray:
    offer = worth.argmax(axis=1)
    order = np.argsort(-worth.max(axis=1), kind="stable")
    sent = order[np.cumsum(COSTS[offer[order]]) <= BUDGET]
    plan = np.full(len(worth), NONE)
    plan[sent] = offer[sent]
    return plan


def _profit(truth: np.ndarray, plan: np.ndarray) -> float:
    some = np.flatnonzero(plan != NONE)
    return float(truth[some, plan[some]].sum())


def _broken(plan: np.ndarray, groups: np.ndarray) -> int:
    counts = np.bincount(plan[plan != NONE], minlength=OFFERS)
    shares = [(plan[groups == group] != NONE).mean() - (plan != NONE).mean() for group in np.unique(groups)]
    too_dear = float(counts @ COSTS) > BUDGET + 1e-6
    return int(too_dear) + int(((counts > 0) & (counts < MIN_GROUP)).sum()) + int(sum(abs(share) > GAP for share in shares))


def main() -> None:
    """Print the row."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--worlds", type=int, default=200)
    options = parser.parse_args()
    outcomes = [played(seed, UpliftConfig()) for seed in range(options.worlds)]
    ours, greedy = (np.array([getattr(one, name) for one in outcomes]) for name in ("ours", "greedy"))
    ratio = Bootstrap().paired_ratio(ours, greedy)
    broken = sum(one.broken for one in outcomes)
    means = {"ours": round(ours.mean(), 1), "greedy": round(greedy.mean(), 1)}
    row = {"name": "plan", "ratio": round(ratio.value, 3), "low": round(ratio.low, 3), "high": round(ratio.high, 3), "target": 1.1}
    print(json.dumps({**row, "kept": bool(ratio.value >= row["target"] and not broken), **means, "limits_broken": broken}))


if __name__ == "__main__":
    main()
