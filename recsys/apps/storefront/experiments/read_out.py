"""Reads an experiment out: what each arm brought, whether that can be chance, and whether a guardrail is broken.

A unit enters with its first page, and counts with what it did within `window_days` of it, once they are over. So each unit is one number
that does not change any more, in the order in which units came, and the always-valid interval holds however often one looks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from eval.experiment.effects import LEVEL, SRM_ALARM, arms_mismatch
from eval.experiment.sequential import confidence_sequence, contrasts
from features.data.interactions import DAY
from features.names import VALUE
from recsys.apps.storefront.experiments.answers import ArmComparison, ArmResult, DailyLook, Guardrail, ReadOut
from recsys.apps.storefront.experiments.assignment import changed_design
from recsys.apps.storefront.experiments.definition import METRIC_ACTIONS, day
from recsys.workspace.impression_columns import ACTION_NAME, ARM, TIME, UNIT

if TYPE_CHECKING:
    from recsys.apps.storefront.experiments.definition import Experiment
    from recsys.workspace.impressions import ImpressionStore

SLOWEST = 0.05  # share of pages that may be slower than `latency_p95_ms`


@dataclass(frozen=True)
class Units:
    """The units of an experiment in the order of their first page.

    Attributes
    ----------
    frame : a row a unit: unit, arm, first, metric, revenue, failed and slow (shares of its pages), all within its window, which is over.
    entered : units of each arm, also those whose window is not over.
    mixed : units that saw two arms; they are in neither.
    times : milliseconds of all pages, by arm.
    begin : time of the first page that is kept; None without one.
    """

    frame: pl.DataFrame
    entered: dict[str, int]
    mixed: int
    times: dict[str, np.ndarray]
    begin: int | None

    def of(self, arms: tuple[str, ...]) -> pl.DataFrame:
        """Return the units of some arms, in order."""
        return self.frame.filter(pl.col(ARM).is_in(arms))


def read_units(experiment: Experiment, store: ImpressionStore, now: int) -> Units:
    """Read the units of an experiment up to a moment."""
    pages = store.exposures(experiment.name, now).filter(pl.col(TIME) >= experiment.begin)
    limit, window = experiment.guardrails.latency_p95_ms or float("inf"), int(experiment.window_days * DAY)
    within = pl.col(TIME) < pl.col(TIME).first() + window
    units = pages.group_by(UNIT, maintain_order=True).agg(
        pl.col(ARM).first(),
        pl.col(ARM).n_unique().alias("arms"),
        pl.col(TIME).first().alias("first"),
        (pl.col("outcome") == "failed").filter(within).mean().alias("failed"),
        (pl.col("milliseconds") > limit).filter(within).mean().alias("slow"),
    )
    mixed = units.filter(pl.col("arms") > 1)
    units = units.filter(pl.col("arms") == 1)
    done = store.done(experiment.name, now).join(units.select(UNIT, "first"), on=UNIT)
    done = done.filter(pl.col(TIME) >= pl.col("first"), pl.col(TIME) < pl.col("first") + window)
    spent = pl.col(VALUE).fill_null(0.0).filter(pl.col(ACTION_NAME) == METRIC_ACTIONS["revenue"]).sum()
    times = (pl.col(ACTION_NAME) == METRIC_ACTIONS[experiment.metric]).sum().cast(pl.Float64)
    metric = spent if experiment.metric == "revenue" else times
    values = done.group_by(UNIT).agg(metric.alias("metric"), spent.alias("revenue"))
    frame = units.filter(pl.col("first") + window <= now).join(values, on=UNIT, how="left", maintain_order="left")
    known = dict(units.group_by(ARM).len().iter_rows())
    return Units(
        frame.with_columns(pl.col("metric", "revenue").fill_null(0.0)),
        {arm: known.get(arm, 0) for arm in experiment.shares},
        len(mixed),
        {arm: pages.filter(pl.col(ARM) == arm)["milliseconds"].to_numpy() for arm in experiment.shares},
        int(pages[TIME][0]) if len(pages) else None,
    )


def read_out(experiment: Experiment, store: ImpressionStore, now: int) -> ReadOut:
    """Read an experiment out at a moment, in seconds since the epoch."""
    units = read_units(experiment, store, now)
    design = store.registered().get(experiment.name)
    mismatch = arms_mismatch(list(units.entered.values()), list(experiment.shares.values()))
    others = [arm for arm in experiment.arms if arm != experiment.base]
    return ReadOut(
        experiment=experiment.name,
        unit=experiment.unit,
        metric=experiment.metric,
        control=experiment.base,
        begin=day(experiment.begin),
        end=day(experiment.end),
        now=day(now),
        state=experiment.state(now),
        ratio_p=mismatch,
        ratio_kept=mismatch >= SRM_ALARM,
        arms=tuple(_arm(experiment, units, arm) for arm in experiment.arms),
        comparisons=tuple(_compare(experiment, units, arm, now) for arm in others),
        guardrails=tuple(guardrail for arm in others for guardrail in _guardrails(experiment, units, arm)),
        notes=tuple(_notes(experiment, store, units, design, now)),
    )


def _arm(experiment: Experiment, units: Units, arm: str) -> ArmResult:
    own, times = units.of((arm,)), units.times[arm]
    return ArmResult(
        arm=arm,
        share=experiment.shares[arm],
        units=units.entered[arm],
        counted=len(own),
        mean=_mean(own["metric"]),
        revenue=_mean(own["revenue"]),
        error_share=_mean(own["failed"]),
        latency_p95_ms=float(np.quantile(times, 0.95)) if len(times) else None,
    )


def _mean(values: pl.Series) -> float | None:
    mean = values.mean()
    return float(mean) if isinstance(mean, int | float) else None


def _compare(experiment: Experiment, units: Units, arm: str, now: int) -> ArmComparison:
    """Compare an arm with the control at the end of each day and now."""
    own = units.of((experiment.base, arm))
    mean, half = _difference(experiment, own, arm, "metric", (1 - LEVEL) / (len(experiment.arms) - 1))
    # A unit is known when its window is over.
    known_at = own["first"].to_numpy() + int(experiment.window_days * DAY)
    ends = np.unique([*range(experiment.begin + DAY, min(now, int(known_at.max(initial=0)) + DAY) + 1, DAY), now])
    counts = np.searchsorted(known_at, ends, side="right")
    looks = tuple(DailyLook(day(end), n, *_interval(mean, half, n)) for end, n in zip(ends.tolist(), counts.tolist(), strict=True) if n > 0)
    found = next((look for look in looks if look.decides), None)
    better = found is not None and found.low is not None and found.low > 0
    return ArmComparison(arm, looks[-1] if looks else None, looks, None if found is None else found.day, better)


def _difference(experiment: Experiment, own: pl.DataFrame, arm: str, column: str, alpha: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the running difference between an arm and the control, and half the width of its always-valid interval, float (n,) each."""
    shares = experiment.shares
    share = shares[arm] / (shares[arm] + shares[experiment.base])
    x = contrasts(own[column].cast(pl.Float64).to_numpy(), (own[ARM] == arm).to_numpy(), share)
    return confidence_sequence(x, experiment.units, alpha)


def _interval(mean: np.ndarray, half: np.ndarray, n: int) -> tuple[float, float | None, float | None]:
    """Return the difference after n units with its interval; None for both ends before there is one."""
    middle, reach = float(mean[n - 1]), float(half[n - 1])
    return (middle, middle - reach, middle + reach) if np.isfinite(reach) else (middle, None, None)


def _guardrails(experiment: Experiment, units: Units, arm: str) -> list[Guardrail]:
    """Return what an arm must not do, and whether it does; each holds at all looks together."""
    limits, own = experiment.guardrails, units.of((experiment.base, arm))
    found: list[Guardrail] = []
    if limits.error_share is not None:
        difference, low, _ = _last(*_difference(experiment, own, arm, "failed", 1 - LEVEL))
        found.append(Guardrail(arm, "error_share", limits.error_share, difference, low is not None and low > limits.error_share))
    if limits.latency_p95_ms is not None:
        slow = confidence_sequence(units.of((arm,))["slow"].cast(pl.Float64).to_numpy(), experiment.units)
        share, low, _ = _last(*slow)
        found.append(Guardrail(arm, "latency_p95_ms", limits.latency_p95_ms, share, low is not None and low > SLOWEST))
    if limits.revenue is not None:
        difference, _, high = _last(*_difference(experiment, own, arm, "revenue", 1 - LEVEL))
        control = _mean(units.of((experiment.base,))["revenue"]) or 0.0
        found.append(Guardrail(arm, "revenue", limits.revenue, difference, high is not None and high < -limits.revenue * control))
    return found


def _last(mean: np.ndarray, half: np.ndarray) -> tuple[float | None, float | None, float | None]:
    return _interval(mean, half, len(mean)) if len(mean) else (None, None, None)


def _notes(experiment: Experiment, store: ImpressionStore, units: Units, design: tuple[str, int] | None, now: int) -> list[str]:
    refused = changed_design(experiment, *design) if design else None
    notes = [] if refused is None else [f"it is off: {refused}"]
    if design and (units.begin or now) > design[1] + DAY:
        kept = "none of its pages is kept" if units.begin is None else f"its pages are kept from {day(units.begin)} on"
        notes.append(f"{kept}, though it was first shown on {day(design[1])}: raise impressions.keep_days, unless nobody came")
    outside, pages = store.unexposed(experiment.name, experiment.begin, min(now, experiment.end))
    if outside:
        why = f"they came without a {experiment.unit}" + (", or are other pages" if experiment.pages else "")
        notes.append(f"{outside:,} of {pages:,} pages in its time are not part of it: {why}, or the experiment was off")
    if units.mixed:
        notes.append(f"{units.mixed:,} units saw two arms and are left out: their shares or the name changed meanwhile")
    waiting = sum(units.entered.values()) - len(units.frame)
    if waiting:
        notes.append(f"{waiting:,} units are not counted yet: their {experiment.window_days:g} days are not over")
    return notes
