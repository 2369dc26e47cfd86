"""Watches many series of day counts for surges of negative reviews, day by day."""

from __future__ import annotations

from dataclasses import fields, is_dataclass, replace
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np

from eval.monitoring.alerts import NEGATIVES, SERIES, TOTAL, Alert
from eval.monitoring.config import WatchConfig
from eval.monitoring.detector import Detector
from features.errors import DataError

if TYPE_CHECKING:
    import polars as pl


class SurgeWatch:
    """Raises alerts for series whose share of negative reviews surges.

    An alert is raised once, again where the share rises beyond that of the surge, and ends by itself.
    """

    def __init__(self, config: WatchConfig | None = None) -> None:
        self.config = config or WatchConfig()
        self.day: date | None = None
        self._keys: list[str] = []
        self._place: dict[str, int] = {}
        self._detector = Detector.empty((0,), self.config)
        self._alerts: dict[str, Alert] = {}

    @property
    def alerts(self) -> list[Alert]:
        """Alerts that have not ended, in order of the day on which they were raised."""
        return sorted(self._alerts.values(), key=lambda alert: (alert.raised, alert.series))

    def update(self, day: date, counts: pl.DataFrame) -> list[Alert]:
        """Read one day, and return the alerts that it raised, made worse or ended, in order of series.

        Days since the last one count as days without reviews.

        Parameters
        ----------
        counts : series, negatives, total; series that are missing have no reviews on this day

        Raises
        ------
        DataError
            The day is not after the last one, a series comes twice, or it has more negative reviews than reviews.
        """
        self._check(day, counts)
        found: list[Alert] = []
        if self.day is not None:
            for passed in range(1, (day - self.day).days):
                found += self._step(self.day + timedelta(passed), *self._columns(counts.clear()))
        found += self._step(day, *self._columns(counts))
        self.day = day
        return found

    def _check(self, day: date, counts: pl.DataFrame) -> None:
        if self.day is not None and day <= self.day:
            raise DataError(f"the watch has read the days up to {self.day}, and was given {day}: give it the day after")
        if counts[SERIES].is_duplicated().any():
            twice = counts[SERIES].filter(counts[SERIES].is_duplicated())[0]
            raise DataError(f"series {twice!r} stands twice in the counts of {day}: sum its rows first")
        wrong = counts.filter((counts[NEGATIVES] < 0) | (counts[NEGATIVES] > counts[TOTAL]))
        if len(wrong):
            key, negatives, total = wrong.select(SERIES, NEGATIVES, TOTAL).row(0)
            raise DataError(f"series {key!r} has {negatives} negative of {total} reviews on {day}: expected 0 to {total}, check the counts")

    def _columns(self, counts: pl.DataFrame) -> tuple[np.ndarray, np.ndarray]:
        """Return the counts of all series in the order of the detector; series that are new are added."""
        keys = counts[SERIES].to_list()
        self._add([key for key in keys if key not in self._place])
        rows = [self._place[key] for key in keys]
        out = np.zeros((2, len(self._keys)))
        out[0, rows], out[1, rows] = counts[NEGATIVES].to_numpy(), counts[TOTAL].to_numpy()
        return out[0], out[1]

    def _add(self, keys: list[str]) -> None:
        self._place |= {key: len(self._keys) + number for number, key in enumerate(keys)}
        self._keys = [*self._keys, *keys]
        self._detector = _longer(self._detector, Detector.empty((len(keys),), self.config))

    def _step(self, day: date, negatives: np.ndarray, totals: np.ndarray) -> list[Alert]:
        detector = self._detector
        events = detector.step(negatives, totals, day.weekday(), self.config)
        found = []
        for row in np.flatnonzero(events.raised | events.worsened | events.ended | events.settled).tolist():
            key = self._keys[row]
            if events.raised[row] or events.worsened[row]:
                self._alerts[key] = self._raised(key, row, day, float(events.e_value[row]))
                found.append(self._alerts[key])
            else:
                found.append(self._ended(self._alerts.pop(key), row, day, bool(events.settled[row])))
        return sorted(found, key=lambda alert: alert.series)

    def _raised(self, key: str, row: int, day: date, e_value: float) -> Alert:
        """Return the alert that a day raised or made worse."""
        detector, old = self._detector, self._alerts.get(key)
        now = replace(
            old
            or Alert(key, "raised", day - timedelta(int(detector.whole.days[row]) - 1), day, float(detector.before[row]), 0.0, 0, 0, 0.0),
            share_now=float(detector.surge.share()[row]),
            e_value=e_value,
            severity=int(detector.open[row]),
            **self._counts(row),
        )
        return replace(now, event="worsened") if old else now

    def _ended(self, alert: Alert, row: int, day: date, settled: bool) -> Alert:
        share = self._detector.surge.share() if settled else self._detector.calm_run.share()
        return replace(alert, event="ended", ended=day, settled=settled, share_now=float(share[row]), **self._counts(row))

    def _counts(self, row: int) -> dict[str, int]:
        whole = self._detector.whole
        return {"negatives": int(whole.negatives[row]), "total": int(whole.totals[row])}


def _longer(first: Any, second: Any) -> Any:
    """Return the state of the series of both."""
    pairs = {field.name: (getattr(first, field.name), getattr(second, field.name)) for field in fields(first)}
    return replace(first, **{name: _longer(a, b) if is_dataclass(a) else np.concatenate([a, b]) for name, (a, b) in pairs.items()})
