"""Step time, for logs in which windows of time have no users to learn from.

Published benchmark sets, and exports that lost their dates, number each user's events from the same first day; where each user id
is a visit, nobody returns. A cut in time then separates users instead of their past and future. In step time, every user's last
step falls on the log's last second, and each earlier step lies one day further back. A cut one day before the end is then exactly
leave-one-out, and ages, windows and cuts work unchanged. Real times stay in `Interactions.calendar`, for what is said of an event.
`features.data.times.clock` decides.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from features.data.interactions import DAY, Interactions
from features.data.times.clock import LogClock, clock

if TYPE_CHECKING:
    from features.data.times.clock import Kind

MOST_STEPS = 5_000  # all earlier steps lie on one day


def with_step_time(log: Interactions, kind: Kind | None = None) -> Interactions:
    """Return the log with its clock, in step time if the clock asks for it.

    Parameters
    ----------
    kind : what the user says that the times are; None judges the log.
    """
    found = clock(log.user, log.time) if kind is None else LogClock(kind, "set by events.clock", kind in {"steps", "visits"})
    judged = replace(log, clock=found)
    return to_step_time(judged) if found.step_time else judged


def to_step_time(log: Interactions) -> Interactions:
    """Replace each user's distinct times by days that count back from the log's last second.

    Events of one time stay together. Steps further back than `MOST_STEPS` lie on one day. A dislike lies on the day of
    the step that it follows.
    """
    if not len(log):
        return replace(log, ordinal=True)
    fresh = (np.diff(log.time, prepend=log.time[0]) != 0) | (np.diff(log.user, prepend=-1) != 0)
    step = np.cumsum(fresh)  # numbered across users
    last = step[log.offsets[1:] - 1][log.user]
    back = np.minimum(last - step, MOST_STEPS)
    real = log.clock is not None and log.clock.kind != "steps"
    time = (log.end - 1 - back * DAY).astype(np.int64)
    dislikes = _dislikes(log, time)
    if dislikes is not None and log.dislikes is not None and real:
        dislikes = replace(dislikes, calendar=log.dislikes.moments)
    return replace(log, time=time, ordinal=True, calendar=log.moments if real else None, dislikes=dislikes)


def _dislikes(log: Interactions, time: np.ndarray) -> Interactions | None:
    """Return the dislikes of a log whose events get the times `time`; those before a user's first step precede it."""
    dislikes = log.dislikes
    if dislikes is None:
        return None
    first, last = min(log.time.min(), dislikes.time.min()), max(log.time.max(), dislikes.time.max())
    keys, own = (one.user * np.int64(last - first + 1) + (one.time - first) for one in (log, dislikes))
    before = np.searchsorted(keys, own, side="right") - 1  # the event that each follows
    begin, end = log.offsets[:-1][dislikes.user], log.offsets[1:][dislikes.user]
    nearest = np.minimum(np.maximum(before, begin), len(time) - 1)
    day = np.where(before < begin, time[nearest] - DAY, time[nearest])
    return replace(dislikes, time=np.where(begin < end, day, log.end - 1).astype(np.int64), ordinal=True)
