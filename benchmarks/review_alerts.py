"""False alarms and found surges of the watch over negative reviews: `python -m benchmarks.review_alerts [--years 500]`.

Simulated shops (`eval.simulation.review_stream`) have 200 series with 1, 5, 20 or 50 negative reviews a day, a weekly pattern and growth.
Stable shops measure false alarms; in others, half of the series have the share of negative reviews doubled or tripled for a week. The rules
of `eval.monitoring.baselines` are measured beside it: with settings of textbooks, and with thresholds tuned on other simulated shops to one
false alarm a year over all 200 series, each with the settings that find most there.

A row is a JSON line. `ratio` is the false alarms a year, or the share of surges found within their week; `low` and `high` are its exact
95% interval. Rows of surges have `in_3_days`, the share found by the third day, and `days`, the mean day on which one is found. Rows of
false alarms have `streams`, the share of streams that have one within the year.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import defaultdict
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import polars as pl
from scipy.stats import beta, chi2

from eval.monitoring.baselines import Alarms, FixedThreshold, LikelihoodCusum, RegressionLimit, Rule, StandardisedCusum
from eval.monitoring.config import WatchConfig
from eval.monitoring.detector import Detector
from eval.monitoring.surge_watch import SurgeWatch
from eval.simulation.review_stream import WEEK, ReviewStream, StreamConfig, simulate

if TYPE_CHECKING:
    from collections.abc import Callable

    Factory = Callable[[tuple[int, int]], "Alarming"]

CHUNK = 25  # shops at a time
SEED, TUNING_SEED = 2026, 1
PARTS = ("watch", "rules", "worlds", "speed")
A_YEAR, FOUND = 1.0, 0.9  # the targets: false alarms a year, and triplings found in three days at 20 a day
SAME_RATE = 30.0  # days of the bound at which the watch has 0.7 false alarms a year on the tuning shops, like the tuned rules
TUNABLE: dict[str, list[Callable[[], Rule]]] = {
    "fixed_threshold": [partial(FixedThreshold, least) for least in (3, 5, 10)],
    "cusum": [partial(StandardisedCusum, allowance) for allowance in (0.5, 1.0, 1.5)],
    "likelihood_cusum": [partial(LikelihoodCusum, effect) for effect in (1.6, 2.0, 2.5, 3.0)],
    "regression_limit": [RegressionLimit],
}
WORLDS = {
    "overdispersed": StreamConfig(overdispersion=0.003),
    "very_overdispersed": StreamConfig(overdispersion=0.02),
    "weekly_share": StreamConfig(share_week=0.3),
    "drifting_share": StreamConfig(drift=0.2),
    "no_history": StreamConfig(history=0),
}


class Alarming(Protocol):
    """What raises alarms day by day."""

    def step(self, negatives: np.ndarray, totals: np.ndarray) -> np.ndarray:
        """Read a day's counts, and return where an alarm is raised."""
        ...


class Watch:
    """The detector of `SurgeWatch`, over many shops at once."""

    def __init__(self, shape: tuple[int, int], false_alarm_days: float = 365.0) -> None:
        self._config, self._day = WatchConfig(false_alarm_days=false_alarm_days), 0
        self._detector = Detector.empty(shape, self._config)

    def step(self, negatives: np.ndarray, totals: np.ndarray) -> np.ndarray:
        """Read a day's counts, and return where an alert is raised."""
        events = self._detector.step(negatives, totals, self._day % WEEK, self._config)
        self._day += 1
        return events.raised


@dataclass
class Tally:
    """What a rule did over many shops.

    Attributes
    ----------
    years, alarms : of stable shops
    streams : how many streams of how many had an alarm
    found : (factor, level) -> day of the surge on which each was found, from 1; 0 where it was not
    """

    years: int = 0
    alarms: int = 0
    streams: list[int] = field(default_factory=lambda: [0, 0])
    found: dict[tuple[float, float], list[int]] = field(default_factory=lambda: defaultdict(list))

    def add(self, stream: ReviewStream, raised: np.ndarray, history: int) -> None:
        """Count the alarms of some shops, raised bool (days, shops, series)."""
        if (stream.start < 0).all():
            during = raised[history:]
            self.years += raised.shape[1]
            self.alarms += int(during.sum())
            self.streams = [self.streams[0] + int(during.any(axis=0).sum()), self.streams[1] + during[0].size]
            return
        shop, series = np.nonzero(stream.start >= 0)
        week = stream.start[shop, series] + np.arange(WEEK)[:, None]
        hits = raised[week, shop, series]
        day = np.where(hits.any(axis=0), hits.argmax(axis=0) + 1, 0)
        for cell in sorted(set(zip(stream.factor[shop, series].tolist(), stream.level[series].tolist(), strict=True))):
            here = (stream.factor[shop, series] == cell[0]) & (stream.level[series] == cell[1])
            self.found[cell].extend(day[here].tolist())

    def merge(self, other: Tally) -> None:
        """Add what was counted over other shops."""
        self.years, self.alarms = self.years + other.years, self.alarms + other.alarms
        self.streams = [a + b for a, b in zip(self.streams, other.streams, strict=True)]
        for cell, days in other.found.items():
            self.found[cell].extend(days)


def of_chunk(seed: np.random.SeedSequence, config: StreamConfig, rules: dict[str, Factory]) -> dict[str, Tally]:
    """Run rules over the same shops, and count."""
    stream, out = simulate(config, CHUNK, np.random.default_rng(seed)), {}
    for name, factory in rules.items():
        rule, out[name] = factory(stream.totals.shape[1:]), Tally()
        days = zip(stream.negatives.astype(float), stream.totals.astype(float), strict=True)
        out[name].add(stream, np.stack([rule.step(*day) for day in days]), config.history)
    return out


def measure(rules: dict[str, Factory], config: StreamConfig, shops: int, seed: int, pool: ProcessPoolExecutor) -> dict[str, Tally]:
    """Run rules over shops in several processes, and count."""
    total = {name: Tally() for name in rules}
    seeds = np.random.SeedSequence(seed).spawn(max(shops // CHUNK, 1))
    for part in pool.map(partial(of_chunk, config=config, rules=rules), seeds):
        for name, tally in part.items():
            total[name].merge(tally)
    return total


class Recorded:
    """A statistic that was computed before, as a rule."""

    def __init__(self, statistic: np.ndarray) -> None:
        self._days = iter(statistic)

    def step(self, negatives: np.ndarray, totals: np.ndarray) -> np.ndarray:
        """Return the statistic of the next day."""
        return next(self._days)


def at_threshold(shape: tuple[int, int], make: Callable[[], Rule], threshold: float) -> Alarming:
    """Return the alarms of a rule that begins anew."""
    del shape  # a rule takes any
    return Alarms(make(), threshold)


UNTUNED: dict[str, Factory] = {
    "watch_at_the_same_rate": partial(Watch, false_alarm_days=SAME_RATE),
    "cusum_of_textbooks": partial(at_threshold, make=StandardisedCusum, threshold=5.0),
    "twice_the_mean": partial(at_threshold, make=FixedThreshold, threshold=2.0),
}


def tuned(makers: list[Callable[[], Rule]], config: StreamConfig, shops: int) -> Factory:
    """Return the rule, with the threshold of one false alarm a year on the tuning shops, that finds most there by the third day."""
    rng = np.random.default_rng(TUNING_SEED)
    stable = [simulate(config, CHUNK, rng) for _ in range(max(shops // CHUNK, 1))]
    surging = simulate(config.model_copy(update={"surging": 0.5}), CHUNK, rng)
    found = []
    for make in makers:
        quiet = [_statistic(make, stream) for stream in stable]
        threshold = one_alarm_a_year(quiet, config.history)
        tally = Tally()
        tally.add(surging, _alarms(_statistic(make, surging), threshold), config.history)
        early = float(np.mean([np.mean([1 <= day <= 3 for day in days]) for days in tally.found.values()]))
        found.append((early, partial(at_threshold, make=make, threshold=threshold)))
    return max(found, key=lambda one: one[0])[1]


def one_alarm_a_year(quiet: list[np.ndarray], history: int) -> float:
    """Return the lowest threshold, found by bisection, at which recorded statistics raise at most one alarm a year of a shop."""
    low, high = 0.0, 4 * max(float(statistic[history:].max()) for statistic in quiet)
    years = sum(statistic.shape[1] for statistic in quiet)
    for _ in range(12):
        middle = (low + high) / 2
        alarms = sum(_alarms(statistic, middle)[history:].sum() for statistic in quiet)
        low, high = (middle, high) if alarms > A_YEAR * years else (low, middle)
    return high


def _statistic(make: Callable[[], Rule], stream: ReviewStream) -> np.ndarray:
    """Return a rule's statistic of all days."""
    rule = make()
    return np.stack([rule.step(*day) for day in zip(stream.negatives.astype(float), stream.totals.astype(float), strict=True)])


def _alarms(statistic: np.ndarray, threshold: float) -> np.ndarray:
    """Return where a recorded statistic raises alarms."""
    alarms = Alarms(Recorded(statistic), threshold)
    return np.stack([alarms.step(day, day) for day in statistic])


def say(name: str, value: float, interval: tuple[float, float], target: float | None, **more: Any) -> None:
    """Print a row."""
    figures = {"ratio": value, "low": interval[0], "high": interval[1], "target": target, "kept": None}
    print(json.dumps({"name": name} | {key: one and round(one, 4) for key, one in figures.items()} | more), flush=True)


def say_false_alarms(name: str, tally: Tally, target: float | None) -> None:
    """Print the row of the false alarms, with the interval of a Poisson count."""
    count, years = tally.alarms, tally.years
    low = chi2.ppf(0.025, 2 * count) / 2 / years if count else 0.0
    share = round(tally.streams[0] / tally.streams[1], 4)
    say(
        name,
        count / years,
        (float(low), float(chi2.ppf(0.975, 2 * count + 2) / 2 / years)),
        target,
        years=years,
        alarms=count,
        streams=share,
    )


def say_found(name: str, tally: Tally) -> None:
    """Print a row for each factor and level."""
    for (factor, level), days in sorted(tally.found.items()):
        found, early, n = sum(day > 0 for day in days), sum(1 <= day <= 3 for day in days), len(days)
        interval = (
            float(beta.ppf(0.025, found, n - found + 1)) if found else 0.0,
            float(beta.ppf(0.975, found + 1, n - found)) if found < n else 1.0,
        )
        mean = round(sum(days) / found, 2) if found else None
        target = FOUND if (factor, level) == (3, 20) and name == "watch" else None
        say(f"{name}_found_x{factor:g}_{level:g}_a_day", found / n, interval, target, in_3_days=round(early / n, 4), days=mean, surges=n)


def speed(series: int = 2_000, days: int = 730) -> None:
    """Print how long the watch takes for two years of 2,000 series, as `refresh` runs it."""
    stream = simulate(StreamConfig(series=series, history=0, days=days), 1, np.random.default_rng(SEED))
    keys = [f"series {number}" for number in range(series)]
    watch, begun = SurgeWatch(), time.perf_counter()
    for day, (negatives, totals) in enumerate(zip(stream.negatives[:, 0], stream.totals[:, 0], strict=True)):
        watch.update(date(2025, 1, 1) + timedelta(day), pl.DataFrame({"series": keys, "negatives": negatives, "total": totals}))
    seconds = time.perf_counter() - begun
    print(json.dumps({"name": "watch_seconds", "seconds": round(seconds, 1), "series": series, "days": days}), flush=True)


def main() -> None:
    """Print all rows."""
    parser = argparse.ArgumentParser(description="False alarms and found surges of the watch over negative reviews")
    parser.add_argument(
        "--years",
        type=int,
        default=500,
        help="simulated years of stable shops for the watch; a fifth for the other rules, a tenth for other shops",
    )
    parser.add_argument("--surging", type=int, default=100, help="shops with surges")
    parser.add_argument("--tuning", type=int, default=100, help="stable shops that the other rules are tuned on")
    parser.add_argument("--jobs", type=int, default=2, help="processes")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS, help="which rows")
    options = parser.parse_args()
    plain = StreamConfig()
    with ProcessPoolExecutor(options.jobs) as pool:
        if "watch" in options.parts:
            report("", {"watch": Watch}, plain, (options.years, options.surging), pool)
        if "rules" in options.parts:
            found = pool.map(partial(tuned, config=plain, shops=options.tuning), TUNABLE.values())
            rules = UNTUNED | {f"{name}_tuned": factory for name, factory in zip(TUNABLE, found, strict=True)}
            report("", rules, plain, (options.years // 5, options.surging), pool)
        if "worlds" in options.parts:
            cusum = tuned(TUNABLE["likelihood_cusum"], plain, options.tuning)
            for world, config in WORLDS.items():
                others: dict[str, Factory] = {"watch": Watch, "likelihood_cusum_tuned": cusum}
                report(f"{world}_", others, config, (options.years // 10, options.surging // 4), pool)
    if "speed" in options.parts:
        speed()


def report(world: str, rules: dict[str, Factory], config: StreamConfig, shops: tuple[int, int], pool: ProcessPoolExecutor) -> None:
    """Print the rows of rules: false alarms on so many stable shops, and what is found on so many with surges."""
    stable = measure(rules, config, shops[0], SEED, pool)
    surging = measure(rules, config.model_copy(update={"surging": 0.5}), shops[1], SEED + 1, pool)
    for name in rules:
        say_false_alarms(f"{world}{name}_false_alarms", stable[name], A_YEAR if name == "watch" else None)
        say_found(f"{world}{name}", surging[name])


if __name__ == "__main__":
    main()
