"""One step of the watch for all series at once: e-detectors, and alerts that are raised, worsen and end.

Each series has a Shiryaev-Roberts e-detector for each effect. On each day, one unit of wealth is split over the series that are watched and
over the effects, added, and multiplied by the day's e-values. A series whose wealth reaches `false_alarm_days` raises an alert, and its
wealth returns to 0. The sum of all wealth and of `false_alarm_days` times the alerts so far, less the days so far, does not rise in
expectation without a surge. So the expected number of false alarms in T days is at most T / false_alarm_days over all series together,
whatever depends on what among them, and also after alarms.

All arrays have the shape (..., series); axes before the last are independent shops.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Self

import numpy as np

from eval.monitoring.e_values import log_binomial, log_e_values
from eval.monitoring.reference import Reference, Usual

if TYPE_CHECKING:
    from eval.monitoring.config import WatchConfig

FEWEST = 1e-9  # divides what may be 0


@dataclass
class Run:
    """Days since a moment: how many, and their reviews."""

    days: np.ndarray
    negatives: np.ndarray
    totals: np.ndarray

    @classmethod
    def empty(cls, shape: tuple[int, ...]) -> Self:
        """Return runs of no day."""
        return cls(np.zeros(shape), np.zeros(shape), np.zeros(shape))

    def add(self, negatives: np.ndarray, totals: np.ndarray) -> None:
        """Add a day."""
        self.days += 1
        self.negatives += negatives
        self.totals += totals

    def clear(self, where: np.ndarray) -> None:
        """Begin anew."""
        for values in (self.days, self.negatives, self.totals):
            values[where] = 0

    def copy(self, other: Run, where: np.ndarray) -> None:
        """Take over another run."""
        for field in fields(self):
            getattr(self, field.name)[where] = getattr(other, field.name)[where]

    def chosen(self, place: np.ndarray) -> Run:
        """Return the runs at these places of the last axis."""
        values = (getattr(self, field.name) for field in fields(self))
        return Run(*(np.take_along_axis(array, place[..., None], axis=-1)[..., 0] for array in values))

    def share(self) -> np.ndarray:
        """Return the share of negative reviews; 0 without reviews."""
        return self.negatives / np.maximum(self.totals, 1)


@dataclass
class SurgeEvents:
    """What happened on a day: bool (..., series), and the wealth that raised alerts."""

    raised: np.ndarray
    worsened: np.ndarray
    ended: np.ndarray
    settled: np.ndarray
    e_value: np.ndarray


@dataclass
class Detector:
    """State of all series.

    Attributes
    ----------
    reference : the past
    wealth : float64 (..., series, effects)
    score : logarithm of the evidence of the current run of each effect, a CUSUM; (..., series, effects)
    run : days since it was 0
    open : alerts that have not ended: 0, or how often they were raised
    surge : days that say what the surge's share is: those of the run that raised the alert, and later ones
    whole : days since the alert's surge began
    since : days since the alert was raised
    calm, calm_run : logarithm of the evidence that the surge is over, a CUSUM, and the days since it was 0
    before : share before the alert
    """

    reference: Reference
    wealth: np.ndarray
    score: np.ndarray
    run: Run
    open: np.ndarray
    surge: Run
    whole: Run
    since: np.ndarray
    calm: np.ndarray
    calm_run: Run
    before: np.ndarray

    @classmethod
    def empty(cls, shape: tuple[int, ...], config: WatchConfig) -> Self:
        """Return the state of series without a past."""
        surge, whole, calm_run = (Run.empty(shape) for _ in range(3))
        is_open, since, calm, before = (np.zeros(shape) for _ in range(4))
        of_effects = (*shape, len(config.effects))
        wealth, score = np.zeros(of_effects), np.zeros(of_effects)
        return cls(Reference.empty(shape), wealth, score, Run.empty(of_effects), is_open, surge, whole, since, calm, calm_run, before)

    def step(self, negatives: np.ndarray, totals: np.ndarray, weekday: int, config: WatchConfig) -> SurgeEvents:
        """Read a day's counts of all series; a day without reviews is 0 of 0."""
        usual = self.reference.usual(weekday, config)
        is_open = self.open > 0
        now = self._surge_level(usual, config)
        against = Usual(
            *(np.where(is_open, getattr(now, name), getattr(usual, name)) for name in ("share", "week", "precision", "correlation"))
        )
        watched = is_open | (self.reference.totals.sum(-1) >= config.at_least)
        logs = log_e_values(negatives, totals, against, config)
        logs[~watched] = 0
        self.wealth += self._stakes(watched, config)[..., None] / len(config.effects)
        self.wealth *= np.exp(logs)
        self._lengthen_runs(negatives, totals, logs, is_open)
        self._look_for_calm(negatives, totals, usual, now, is_open)
        self.reference.learn(negatives, totals, weekday, usual, ~is_open, config)
        return self._decide(is_open, config)

    def _stakes(self, watched: np.ndarray, config: WatchConfig) -> np.ndarray:
        """Return the shares of the day's unit of wealth.

        A series with few negative reviews cannot show a surge of a week, and one with many shows it with any wealth. So the shares are
        largest for what lies between. They know the past alone.
        """
        a_day = self.reference.negatives.sum(-1) * np.log(2) / config.half_life
        use = watched * (a_day + 0.01) / (a_day + config.stake_peak) ** 2
        return use / np.maximum(use.sum(-1, keepdims=True), FEWEST)

    def _surge_level(self, usual: Usual, config: WatchConfig) -> Usual:
        """Return what a day is like if an open alert's surge goes on."""
        total = self.surge.totals + config.prior / usual.share
        share = (self.surge.negatives + config.prior) / total
        return Usual(np.minimum(share * usual.week, 0.95), usual.week, np.minimum(total, usual.precision), usual.correlation)

    def _lengthen_runs(self, negatives: np.ndarray, totals: np.ndarray, logs: np.ndarray, is_open: np.ndarray) -> None:
        """Add the day to the runs, and begin those anew whose evidence has gone."""
        for run in (self.surge, self.whole):
            run.add(negatives, totals)
        self.run.add(negatives[..., None], totals[..., None])
        self.since += is_open
        self.score += logs
        over = self.score <= 0
        self.score[over] = 0
        self.run.clear(over)

    def _look_for_calm(self, negatives: np.ndarray, totals: np.ndarray, usual: Usual, now: Usual, is_open: np.ndarray) -> None:
        """Add the day to the evidence that open alerts' surges are over."""
        self.calm += log_binomial(negatives, totals, usual.share) - log_binomial(negatives, totals, now.share)
        self.calm_run.add(negatives, totals)
        none = ~is_open | (self.calm <= 0)
        self.calm[none] = 0
        self.calm_run.clear(none)

    def _decide(self, is_open: np.ndarray, config: WatchConfig) -> SurgeEvents:
        """Raise and end alerts."""
        e_value = self.wealth.sum(-1)
        alarm = e_value >= config.false_alarm_days
        raised, worsened = alarm & ~is_open, alarm & is_open
        settled = is_open & ~alarm & (self.since >= config.settle_days)
        calm = (self.calm >= np.log(config.end_odds)) & (self.calm_run.days >= config.end_days)
        ended = is_open & ~alarm & calm & ~settled
        self._raise_alerts(raised, worsened)
        self._end_alerts(ended, settled)
        return SurgeEvents(raised, worsened, ended, settled, e_value)

    def _raise_alerts(self, raised: np.ndarray, worsened: np.ndarray) -> None:
        """Open alerts, or count them up; the days of the surge leave the past."""
        alarm = raised | worsened
        past, run = self.reference, self.run.chosen(self.score.argmax(-1))
        for counts, gone in ((past.negatives, run.negatives), (past.totals, run.totals)):
            total = counts.sum(-1)
            counts[raised] *= (np.maximum(total - gone, 0) / np.maximum(total, FEWEST))[raised][:, None]
        self.before[raised] = (past.negatives.sum(-1) / np.maximum(past.totals.sum(-1), FEWEST))[raised]
        self.whole.copy(run, raised)
        self.surge.copy(run, alarm)
        self.open[alarm] += 1
        self.since[alarm] = 0
        self._forget(alarm)

    def _end_alerts(self, ended: np.ndarray, settled: np.ndarray) -> None:
        """Close alerts. `whole` and `calm_run` stay until the next step, for the report."""
        over = ended | settled
        self.open[over] = 0
        self._forget(over)
        self._settle(settled)

    def _forget(self, where: np.ndarray) -> None:
        """Let all evidence begin anew."""
        for values in (self.wealth, self.score, self.calm):
            values[where] = 0
        self.run.clear(where)

    def _settle(self, settled: np.ndarray) -> None:
        """Let the surge's share be the usual one; the pattern of the week stays."""
        past = self.reference
        for name in ("negatives", "totals"):
            counts = getattr(past, name)[settled]
            total = np.maximum(counts.sum(-1, keepdims=True), FEWEST)
            getattr(past, name)[settled] = counts / total * getattr(self.surge, name)[settled][:, None]
