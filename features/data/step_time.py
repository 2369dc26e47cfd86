"""Step time, for logs whose times carry only the order of each user's events.

Published benchmark sets, and exports that lost their dates, number each user's events from the same first day. A cut in
time then separates users instead of their past and future. In step time, every user's last step falls on the log's last
second, and each earlier step lies one day further back. A cut one day before the end is then exactly leave-one-out, and
ages, windows and cuts work unchanged.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from features.data.interactions import DAY, Interactions

SAME_START = 0.5  # share of users that begin in the same second
# Below this share of users seen again in the last tenth of the events, time windows have no users to learn from.
RETURNING = 0.02
ENOUGH_USERS = 1_000  # with this many returning users, time windows work whatever their share
LEAST_USERS = 100  # with two steps or more; a smaller log does not show what its times mean
MOST_STEPS = 5_000  # all earlier steps lie on one day


def with_step_time(log: Interactions) -> Interactions:
    """Convert an ordinal log to step time; return any other log unchanged."""
    return to_step_time(log) if is_ordinal(log) else log


def is_ordinal(log: Interactions) -> bool:
    """Return whether the times of a log carry only the order of each user's events.

    They do if half of the users begin in the same second, or almost no user returns in the last tenth of the events.
    """
    if not len(log):
        return False
    begins = log.offsets[:-1][np.diff(log.offsets) > 0]
    ends = log.offsets[1:][np.diff(log.offsets) > 0] - 1
    first, last = log.time[begins], log.time[ends]
    several = first < last
    if several.sum() < LEAST_USERS:
        return False
    _, counts = np.unique(first[several], return_counts=True)
    if counts.max() >= SAME_START * several.sum():
        return True
    # A tenth of the events, not of the time: one event dated years ahead by mistake would be the whole last tenth.
    cut = np.quantile(log.time, 0.9)
    returning = int(((first < cut) & (last >= cut)).sum())
    return returning < min(RETURNING * len(first), ENOUGH_USERS)


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
    time = (log.end - 1 - back * DAY).astype(np.int64)
    return replace(log, time=time, ordinal=True, dislikes=_dislikes(log, time))


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
