"""The readout of a simulation: compares the variants' lists over all visits."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from eval.experiment.aa_test import Outcomes, false_alarms, flat, hashed_splits
from eval.experiment.effects import (
    SRM_ALARM,
    binomial_interval,
    cuped,
    detectable,
    paired,
    power_of,
    ratio_mismatch,
    unpaired,
    users_needed,
    variance_left,
)
from eval.experiment.sequential import confidence_sequence, contrasts
from eval.simulation.report import AATest, Comparison, Daily, Look, Online, SegmentRow, Side, Simulation, UserSplit, finite
from eval.simulation.visits import METRICS, PRIMARY
from features.storage.sorted_unique import sorted_unique

if TYPE_CHECKING:
    from collections.abc import Sequence

    from eval.simulation.config import SimulateConfig
    from eval.simulation.visits import Visits

AA_TEST_USERS = 5_000  # users in the A/A test, at most


def readout(
    visits: Visits, known: np.ndarray, config: SimulateConfig, names: Sequence[str], sides: tuple[Side, Side], data: str
) -> Simulation:
    """Compare the variants.

    Parameters
    ----------
    known : float (u, m), `eval.simulation.visits.known_before` of `visits.users`
    names : of the days, in order
    sides : variants a and b
    data : what the log is
    """
    earned = {variant: visits.earned(variant) for variant in ("a", "b")}
    by_user = {variant: {metric: visits.by_user(values) for metric, values in metrics.items()} for variant, metrics in earned.items()}
    split = visits.in_b(config.salt, config.share_b)
    rows = [
        _row(segment, metric, by_user["a"][metric][inside], by_user["b"][metric][inside], split[inside], known[inside])
        for segment, inside in visits.segments().items()
        for metric in METRICS
    ]
    n = (int((~split).sum()), int(split.sum()))
    p_value = ratio_mismatch(*n, config.share_b)
    entry = {variant: visits.at_entry(metrics[PRIMARY]) for variant, metrics in earned.items()}
    return Simulation(
        data=data,
        start=names[0],
        days=len(names),
        horizon_days=config.horizon_days,
        visits=len(sorted_unique(visits.bought.user)),
        users=len(visits.users),
        alike=float((visits.lists["a"] == visits.lists["b"]).all(axis=1).mean()),
        a=sides[0],
        b=sides[1],
        rows=tuple(rows),
        daily=tuple(_daily(visits, {variant: metrics[PRIMARY] for variant, metrics in earned.items()}, names)),
        looks=tuple(_looks(visits, np.where(split, entry["b"], entry["a"]), split, config, names)),
        online=_online(by_user, rows[0], n, known, len(visits.users) / len(names)),
        split=UserSplit(users_a=n[0], users_b=n[1], share_b=config.share_b, p_value=p_value, ok=p_value >= SRM_ALARM),
        same_arms=_aa_test(visits, Outcomes(by_user["a"][PRIMARY], known, entry["a"], _ends(visits, len(names))), config),
    )


def _row(segment: str, metric: str, a: np.ndarray, b: np.ndarray, split: np.ndarray, known: np.ndarray) -> SegmentRow:
    """Compare a metric in a segment, over the users for whom both variants have a value."""
    defined = ~np.isnan(a) & ~np.isnan(b)
    a, b, split, known = a[defined], b[defined], split[defined], known[defined]
    assigned = np.where(split, b, a)
    adjusted = cuped(assigned, known) if len(assigned) else assigned
    return SegmentRow(
        segment=segment,
        metric=metric,
        paired=Comparison.of(paired(a, b)),
        unpaired=Comparison.of(unpaired(a[~split], b[split])),
        cuped=Comparison.of(unpaired(adjusted[~split], adjusted[split])),
        variance_left=finite(variance_left(assigned, adjusted)) if len(assigned) else None,
    )


def _ends(visits: Visits, days: int) -> np.ndarray:
    """Return how many users had come at the end of each day, int64 (days,)."""
    return np.searchsorted(visits.entry_day, np.arange(days), side="right")


def _daily(visits: Visits, earned: dict[str, np.ndarray], names: Sequence[str]) -> list[Daily]:
    """Return the means of each day."""
    out = []
    for day, name in enumerate(names):
        defined = (visits.day == day) & ~np.isnan(earned["a"])
        means = {variant: finite(values[defined].mean()) if defined.any() else None for variant, values in earned.items()}
        out.append(Daily(day=name, visits=int(defined.sum()), **means))
    return out


def _looks(visits: Visits, assigned: np.ndarray, split: np.ndarray, config: SimulateConfig, names: Sequence[str]) -> list[Look]:
    """Return the always-valid interval at the end of each day, on the users' assigned variants."""
    mean, half_width = confidence_sequence(contrasts(assigned, split, config.share_b), len(assigned))
    looks = []
    for end, name in zip(_ends(visits, len(names)), names, strict=True):
        if not end:
            continue
        value, half = float(mean[end - 1]), float(half_width[end - 1])
        looks.append(Look(day=name, users=int(end), difference=value, low=finite(value - half), high=finite(value + half)))
    return looks


def _online(by_user: dict[str, dict[str, np.ndarray]], row: SegmentRow, n: tuple[int, int], known: np.ndarray, a_day: float) -> Online:
    """Return sample sizes and power of an online test of the paired difference."""
    a, b = (float(by_user[variant][PRIMARY].var(ddof=1)) if len(by_user[variant][PRIMARY]) > 1 else math.nan for variant in ("a", "b"))
    left_a, left_b = (variance_left(by_user[variant][PRIMARY], cuped(by_user[variant][PRIMARY], known)) for variant in ("a", "b"))
    plain, adjusted, difference = (a, b), (a * left_a, b * left_b), row.paired.difference or 0.0
    return Online(
        difference=difference,
        needed=finite(users_needed(plain, difference)),
        needed_cuped=finite(users_needed(adjusted, difference)),
        power=power_of(plain, difference, n),
        power_cuped=power_of(adjusted, difference, n),
        detectable=detectable(plain, n),
        users_a_day=a_day,
    )


def _aa_test(visits: Visits, outcomes: Outcomes, config: SimulateConfig) -> AATest | None:
    """Run the A/A test on a sample of users; None where it is switched off."""
    runs = config.same_arms_runs
    if not runs:
        return None
    sample = np.sort(np.random.default_rng(0).permutation(len(visits.users))[:AA_TEST_USERS])
    splits = hashed_splits(visits.log.user_ids[visits.users[sample]].tolist(), runs, f"{config.salt}/same-arms")
    alarms = false_alarms(outcomes.take(sample), splits)
    low, high = binomial_interval(runs)
    verdicts = {name: flat(alarms[name], runs, at_most=name == "always_valid") for name in alarms if name != "peeking"}
    return AATest(runs=runs, low=low, high=high, alarms=alarms, flat=verdicts)
