"""What a simulation found, ready for JSON; `readout` works it out of the visits."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import BaseModel, ConfigDict

from eval.experiment.aa_test import Outcomes, false_alarms, flat, hashed_splits
from eval.experiment.effects import (
    SRM_ALARM,
    Effect,
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
from eval.simulation.visits import METRICS, PRIMARY
from features.storage.sorted_unique import sorted_unique

if TYPE_CHECKING:
    from collections.abc import Sequence

    from eval.simulation.config import SimulateConfig
    from eval.simulation.visits import Visits

SAME_ARMS_USERS = 5_000  # of whom the A/A check is made, at most


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Compared(_Frozen):
    """`eval.experiment.effects.Effect`; None where there is none."""

    a: float | None
    b: float | None
    difference: float | None
    low: float | None
    high: float | None
    p_value: float | None
    relative: float | None
    relative_low: float | None
    relative_high: float | None
    users: int

    @classmethod
    def of(cls, effect: Effect) -> Compared:
        figures = {name: finite(value) for name, value in vars(effect).items() if name != "users"}
        return cls(users=effect.users, **figures)

    @property
    def sign(self) -> int:
        """1 where b is better beyond chance, -1 where a is, 0 where that is open."""
        if self.low is None or self.high is None:
            return 0
        return int(self.low > 0) - int(self.high < 0)


class Row(_Frozen):
    """A metric in a segment. unpaired: own users of each arm; cuped: the same with `variance_left` of the variance."""

    segment: str
    metric: str
    paired: Compared
    unpaired: Compared
    cuped: Compared
    variance_left: float | None


class Look(_Frozen):
    """The always-valid interval at the end of a day, on each user's first visit; None before there are enough users."""

    day: str
    users: int
    difference: float
    low: float | None
    high: float | None


class Daily(_Frozen):
    """Mean of the primary metric over a day's visits, both arms asked."""

    day: str
    visits: int
    a: float | None
    b: float | None


class Online(_Frozen):
    """Would an online test find the paired difference? needed: users an arm, for 80%. power, detectable: of the users there were."""

    difference: float
    needed: float | None
    needed_cuped: float | None
    power: float
    power_cuped: float
    detectable: float
    users_a_day: float


class Split(_Frozen):
    """How many users each arm got. ok: what the salted hash gives (sample ratio mismatch)."""

    users_a: int
    users_b: int
    share_b: float
    p_value: float
    ok: bool


class SameArms(_Frozen):
    """Arm a against itself: false alarms of each test over `runs` splits, and whether they are what 5% gives (`low` to `high` of them)."""

    runs: int
    low: int
    high: int
    alarms: dict[str, int]
    flat: dict[str, bool]


class Side(_Frozen):
    """An arm. models: what answered, by day from which on. coverage: share of the known items that it showed. note: what else to know."""

    name: str
    facts: dict[str, Any]
    models: dict[str, str]
    coverage: float
    note: str = ""


class Clicks(_Frozen):
    """A click log that was written: how many lists it holds, and the clicks that the click model really gives a list of each arm."""

    lists: int
    a: float
    b: float


class Simulation(_Frozen):
    """The whole readout. alike: share of visits at which both arms showed the same list. clicks: where a log of them was asked for."""

    data: str
    start: str
    days: int
    horizon_days: int
    visits: int
    users: int
    alike: float
    a: Side
    b: Side
    rows: tuple[Row, ...]
    daily: tuple[Daily, ...]
    looks: tuple[Look, ...]
    online: Online
    split: Split
    same_arms: SameArms | None
    clicks: Clicks | None = None

    def row(self, segment: str, metric: str) -> Row:
        return next(row for row in self.rows if (row.segment, row.metric) == (segment, metric))

    @property
    def decided(self) -> Look | None:
        """The first look whose interval leaves 0 out."""
        return next(
            (look for look in self.looks if look.low is not None and look.high is not None and not look.low <= 0 <= look.high), None
        )

    def to_json(self) -> str:
        return self.model_dump_json(indent=1) + "\n"


def finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def readout(
    visits: Visits, known: np.ndarray, config: SimulateConfig, names: Sequence[str], sides: tuple[Side, Side], data: str
) -> Simulation:
    """Compare the arms.

    Parameters
    ----------
    known: `eval.simulation.visits.known_before` of `visits.users`. names: of the days, in order.
    """
    earned = {arm: visits.earned(arm) for arm in ("a", "b")}
    mine = {arm: {metric: visits.by_user(values) for metric, values in metrics.items()} for arm, metrics in earned.items()}
    split = visits.in_b(config.salt, config.share_b)
    rows = [
        _row(segment, metric, mine["a"][metric][inside], mine["b"][metric][inside], split[inside], known[inside])
        for segment, inside in visits.segments().items()
        for metric in METRICS
    ]
    n = (int((~split).sum()), int(split.sum()))
    p_value = ratio_mismatch(*n, config.share_b)
    entry = {arm: visits.at_entry(metrics[PRIMARY]) for arm, metrics in earned.items()}
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
        daily=tuple(_daily(visits, {arm: metrics[PRIMARY] for arm, metrics in earned.items()}, names)),
        looks=tuple(_looks(visits, np.where(split, entry["b"], entry["a"]), split, config, names)),
        online=_online(mine, rows[0], n, known, len(visits.users) / len(names)),
        split=Split(users_a=n[0], users_b=n[1], share_b=config.share_b, p_value=p_value, ok=p_value >= SRM_ALARM),
        same_arms=_same_arms(visits, Outcomes(mine["a"][PRIMARY], known, entry["a"], _ends(visits, len(names))), config),
    )


def _row(segment: str, metric: str, a: np.ndarray, b: np.ndarray, split: np.ndarray, known: np.ndarray) -> Row:
    held = ~np.isnan(a) & ~np.isnan(b)
    a, b, split, known = a[held], b[held], split[held], known[held]
    own = np.where(split, b, a)
    adjusted = cuped(own, known) if len(own) else own
    return Row(
        segment=segment,
        metric=metric,
        paired=Compared.of(paired(a, b)),
        unpaired=Compared.of(unpaired(a[~split], b[split])),
        cuped=Compared.of(unpaired(adjusted[~split], adjusted[split])),
        variance_left=finite(variance_left(own, adjusted)) if len(own) else None,
    )


def _ends(visits: Visits, days: int) -> np.ndarray:
    """How many users had come at the end of each day, int64 (days,)."""
    return np.searchsorted(visits.entry_day, np.arange(days), side="right")


def _daily(visits: Visits, earned: dict[str, np.ndarray], names: Sequence[str]) -> list[Daily]:
    out = []
    for day, name in enumerate(names):
        here = (visits.day == day) & ~np.isnan(earned["a"])
        means = {arm: finite(values[here].mean()) if here.any() else None for arm, values in earned.items()}
        out.append(Daily(day=name, visits=int(here.sum()), **means))
    return out


def _looks(visits: Visits, own: np.ndarray, split: np.ndarray, config: SimulateConfig, names: Sequence[str]) -> list[Look]:
    mean, reach = confidence_sequence(contrasts(own, split, config.share_b), len(own))
    looks = []
    for end, name in zip(_ends(visits, len(names)), names, strict=True):
        if not end:
            continue
        value, half = float(mean[end - 1]), float(reach[end - 1])
        looks.append(Look(day=name, users=int(end), difference=value, low=finite(value - half), high=finite(value + half)))
    return looks


def _online(mine: dict[str, dict[str, np.ndarray]], row: Row, n: tuple[int, int], known: np.ndarray, a_day: float) -> Online:
    a, b = (float(mine[arm][PRIMARY].var(ddof=1)) if len(mine[arm][PRIMARY]) > 1 else math.nan for arm in ("a", "b"))
    left_a, left_b = (variance_left(mine[arm][PRIMARY], cuped(mine[arm][PRIMARY], known)) for arm in ("a", "b"))
    plain, less, difference = (a, b), (a * left_a, b * left_b), row.paired.difference or 0.0
    return Online(
        difference=difference,
        needed=finite(users_needed(plain, difference)),
        needed_cuped=finite(users_needed(less, difference)),
        power=power_of(plain, difference, n),
        power_cuped=power_of(less, difference, n),
        detectable=detectable(plain, n),
        users_a_day=a_day,
    )


def _same_arms(visits: Visits, outcomes: Outcomes, config: SimulateConfig) -> SameArms | None:
    runs = config.same_arms_runs
    if not runs:
        return None
    some = np.sort(np.random.default_rng(0).permutation(len(visits.users))[:SAME_ARMS_USERS])
    splits = hashed_splits(visits.log.user_ids[visits.users[some]].tolist(), runs, f"{config.salt}/same-arms")
    alarms = false_alarms(outcomes.take(some), splits)
    low, high = binomial_interval(runs)
    verdicts = {name: flat(alarms[name], runs, at_most=name == "always_valid") for name in alarms if name != "peeking"}
    return SameArms(runs=runs, low=low, high=high, alarms=alarms, flat=verdicts)
