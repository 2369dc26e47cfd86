"""Shops whose times tell nothing but the order, and the clock of steps that such a log is put on.

Published benchmark sets, and exports that lost their dates, number each user's events from the same first day. A cut in time then parts
the users, not their pasts. In step time every user's last step falls on the log's last moment and each step before it lies a day
further back, so that a cut a day before the end is exactly "leave the last one out", and all that reads ages, windows and cuts works on.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from features.data.interactions import DAY, Interactions

SAME_START = 0.5  # share of users who begin at one and the same moment
RETURNING = 0.02  # share of users seen again in the last tenth of the events, below which time windows have nobody to learn from
ENOUGH_USERS = 1_000  # who do come back: then time windows work, however few they are among all
LEAST_USERS = 100  # with two steps or more; a smaller log tells nothing about its clock
MOST_STEPS = 5_000


def with_step_time(log: Interactions) -> Interactions:
    """The log as it is, or in step time if its times carry only the order (see `is_ordinal`)."""
    return to_step_time(log) if is_ordinal(log) else log


def is_ordinal(log: Interactions) -> bool:
    """Whether half of the users begin at the very same moment, or next to nobody of before comes again in the last tenth of the events."""
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
    # Of the events, not of the time: one that is dated years ahead by mistake would make a last tenth of itself alone.
    cut = np.quantile(log.time, 0.9)
    returning = int(((first < cut) & (last >= cut)).sum())
    return returning < min(RETURNING * len(first), ENOUGH_USERS)


def to_step_time(log: Interactions) -> Interactions:
    """Each user's distinct times become days that count back from the log's last second; what happened at one time stays together.

    Beyond `MOST_STEPS` steps back everything lies on one day.
    """
    if not len(log):
        return replace(log, ordinal=True)
    fresh = (np.diff(log.time, prepend=log.time[0]) != 0) | (np.diff(log.user, prepend=-1) != 0)
    step = np.cumsum(fresh)  # counts on from user to user
    last = step[log.offsets[1:] - 1][log.user]
    back = np.minimum(last - step, MOST_STEPS)
    return replace(log, time=(log.end - 1 - back * DAY).astype(np.int64), ordinal=True)
