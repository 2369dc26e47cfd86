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
from dataclasses import dataclass, field
from datetime import date, timedelta
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
    from collections.abc import Callable, Iterator

    Factory = Callable[[tuple[int, int]], "Alarming"]

CHUNK = 25  # shops at a time
SEED, TUNING_SEED = 2026, 1
TUNING_SHOPS = 100
A_YEAR, FOUND = 1.0, 0.9  # the targets: false alarms a year, and triplings found in three days at 20 a day
TUNABLE: dict[str, list[Callable[[], Rule]]] = {
    "fixed_threshold": [lambda least=least: FixedThreshold(least) for least in (3, 5, 10)],
    "cusum": [lambda k=k: StandardisedCusum(k) for k in (0.5, 1.0, 1.5)],
    "likelihood_cusum": [lambda effect=effect: LikelihoodCusum(effect) for effect in (1.6, 2.0, 2.5, 3.0)],
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

    def __init__(self, shape: tuple[int, int]) -> None:
        self._config, self._day = WatchConfig(), 0
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


def streams(config: StreamConfig, shops: int, seed: int) -> Iterator[ReviewStream]:
    """Yield simulated shops, some at a time."""
    rng = np.random.default_rng(seed)
    for done in range(0, shops, CHUNK):
        yield simulate(config, min(CHUNK, shops - done), rng)


def measure(rules: dict[str, Factory], config: StreamConfig, shops: int, seed: int, tallies: dict[str, Tally]) -> None:
    """Run rules over the same shops, and count."""
    for stream in streams(config, shops, seed):
        for name, factory in rules.items():
            rule = factory(stream.totals.shape[1:])
            days = zip(stream.negatives.astype(float), stream.totals.astype(float), strict=True)
            tallies[name].add(stream, np.stack([rule.step(*day) for day in days]), config.history)


class Recorded:
    """A statistic that was computed before, as a rule."""

    def __init__(self, statistic: np.ndarray) -> None:
        self._days = iter(statistic)

    def step(self, negatives: np.ndarray, totals: np.ndarray) -> np.ndarray:
        """Return the statistic of the next day."""
        return next(self._days)


def tuned(makers: list[Callable[[], Rule]], stable: list[ReviewStream], surging: list[ReviewStream], history: int) -> Factory:
    """Return the rule, with the threshold of one false alarm a year on the tuning shops, that finds most there by the third day."""
    best: tuple[float, Callable[[], Rule], float] | None = None
    for make in makers:
        quiet = [_statistic(make, stream) for stream in stable]
        low, high = 0.0, 4 * max(float(statistic[history:].max()) for statistic in quiet)
        years = sum(stream.totals.shape[1] for stream in stable)
        for _ in range(14):
            middle = (low + high) / 2
            alarms = sum(_alarms(statistic, middle)[history:].sum() for statistic in quiet)
            low, high = (middle, high) if alarms > A_YEAR * years else (low, middle)
        tally = Tally()
        for stream in surging:
            tally.add(stream, _alarms(_statistic(make, stream), high), history)
        early = float(np.mean([np.mean([1 <= day <= 3 for day in days]) for days in tally.found.values()]))
        if best is None or early > best[0]:
            best = early, make, high
    assert best
    _, make, threshold = best
    return lambda _: Alarms(make(), threshold)


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
    parser.add_argument("--years", type=int, default=500, help="simulated years of stable shops")
    parser.add_argument("--surging", type=int, default=100, help="shops with surges")
    parser.add_argument("--tuning", type=int, default=TUNING_SHOPS, help="stable shops that the other rules are tuned on")
    options = parser.parse_args()
    plain, surging = StreamConfig(), StreamConfig(surging=0.5)
    rules: dict[str, Factory] = {
        "watch": Watch,
        "cusum_of_textbooks": lambda _: Alarms(StandardisedCusum(), 5.0),
        "twice_the_mean": lambda _: Alarms(FixedThreshold(), 2.0),
    }
    tuning = [
        list(streams(config, shops, TUNING_SEED + int(config.surging > 0))) for config, shops in ((plain, options.tuning), (surging, CHUNK))
    ]
    rules |= {f"{name}_tuned": tuned(makers, *tuning, plain.history) for name, makers in TUNABLE.items()}
    del tuning
    tallies = {name: Tally() for name in rules}
    measure(rules, surging, options.surging, SEED + 1, tallies)
    measure(rules, plain, options.years, SEED, tallies)
    for name, tally in tallies.items():
        say_false_alarms(f"{name}_false_alarms", tally, A_YEAR if name == "watch" else None)
        say_found(name, tally)
    others = {name: rules[name] for name in ("watch", "likelihood_cusum_tuned")}
    for world, config in WORLDS.items():
        tallies = {name: Tally() for name in others}
        measure(others, config, options.years // 5, SEED + 2, tallies)
        measure(others, config.model_copy(update={"surging": 0.5}), options.surging // 4, SEED + 3, tallies)
        for name, tally in tallies.items():
            say_false_alarms(f"{world}_{name}_false_alarms", tally, None)
            say_found(f"{world}_{name}", tally)
    speed()


if __name__ == "__main__":
    main()
