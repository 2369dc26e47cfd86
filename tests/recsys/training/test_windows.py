"""The windows that the parts of a model are fitted on: in order, of one length, none over another, none after the end."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.data.interactions import DAY, Interactions
from features.errors import DataError
from recsys.offline.evaluate import evaluation_cut
from recsys.training.windows import BUYERS, LENGTHS, SHARES, STRETCHES, Windows, moment

ORDER = ["towers", "validation", "early", "late", "correction", "calibration"]
HOUR = 3600


def log_of(user: np.ndarray, time: np.ndarray, ordinal: bool = False) -> Interactions:
    """Purchases of one item."""
    order = np.lexsort((time, user))
    user, time = user[order].astype(np.int32), time[order].astype(np.int64)
    n = len(user)
    ids = np.array([f"u{i}" for i in range(int(user.max()) + 1)], dtype=object)
    ones = np.ones(n, np.float32)
    return Interactions(ids, user, np.zeros(n, np.int32), time, np.zeros(n, np.int8), ones, ones, 1, ordinal)


def lasting(start: int, length: int, users: int = 1) -> Interactions:
    """Every user buys at the beginning and at 500 times until the end."""
    time = np.concatenate([np.linspace(start, start + length - 1, 500)] * users)
    return log_of(np.repeat(np.arange(users), 500), time)


@given(st.integers(0, 2_000_000_000), st.integers(STRETCHES * HOUR, 2_000 * DAY))
def test_one_after_another_up_to_the_end(start, length):
    windows = Windows.plan(lasting(start, length), start + length)
    parts = [getattr(windows, name) for name in ORDER]
    assert parts[0].start == start
    assert parts[-1].end == start + length
    assert all(before.end == after.start for before, after in itertools.pairwise(parts))
    lengths = {part.end - part.start for part in parts[1:]}
    assert len(lengths) == 1
    assert HOUR <= lengths.pop() <= LENGTHS[-1] * DAY
    assert parts[0].days >= parts[1].days * (STRETCHES - 5) - 1


def test_a_year_has_windows_of_four_weeks():
    assert Windows.plan(lasting(0, 365 * DAY), 365 * DAY).calibration.days == LENGTHS[0]


def test_windows_are_as_long_as_it_takes_to_meet_buyers():
    length = 3_000 * DAY
    assert Windows.plan(lasting(0, length, users=BUYERS), length).calibration.days == LENGTHS[0]
    # Each buys once in 80 days, one after the other: 28 and 56 days see too few of them.
    users = BUYERS + 20
    user = np.tile(np.arange(users), 30)
    time = np.arange(30).repeat(users) * 80 * DAY + user * 80 * DAY // users
    assert Windows.plan(log_of(user, time), 30 * 80 * DAY).calibration.days == LENGTHS[2]


def test_a_shop_that_was_closed_has_windows_of_equal_purchases():
    """The last window of time holds two late buyers, the one before it nobody."""
    users = np.arange(200)
    time = np.concatenate([users * DAY, users * DAY + HOUR, [399 * DAY, 400 * DAY]])
    log = log_of(np.concatenate([users, users, [0, 1]]), time)
    windows = Windows.plan(log, log.end)
    parts = [getattr(windows, name) for name in ORDER]
    assert all(before.end == after.start for before, after in itertools.pairwise(parts))
    assert [len(part.split(log).labels) for part in parts[1:]] == pytest.approx([40] * 5, abs=2)
    assert evaluation_cut(log) == windows.calibration.start


@pytest.mark.parametrize("length", [STRETCHES * HOUR - 1, 3, 2])
def test_too_short_a_log_is_refused_in_one_line(length):
    with pytest.raises(DataError, match=f"expected at least {STRETCHES}.*bring a longer log") as error:
        Windows.plan(lasting(0, length), length)
    assert "\n" not in str(error.value)


def test_the_card_names_every_window():
    told = Windows.plan(lasting(0, 100 * DAY), 100 * DAY).to_dict()
    assert list(told) == ORDER
    assert told["calibration"] == f"{moment(90 * DAY)} to {moment(100 * DAY)}" == "1970-04-01T00:00 to 1970-04-11T00:00"


class TestClockOfSteps:
    LOG = log_of(np.repeat(np.arange(200), 4), np.tile(np.arange(4) * DAY + DAY - 1, 200), ordinal=True)

    def test_each_model_is_fitted_on_the_last_step_of_users_of_its_own(self):
        windows = Windows.plan(self.LOG, self.LOG.end)
        users = [set(getattr(windows, name).split(self.LOG).users.tolist()) for name in SHARES]
        assert sum(map(len, users)) == len(set().union(*users)) == 200
        assert [len(some) for some in users] == [20, 80, 60, 20, 20]

    def test_towers_learn_from_all_steps_but_the_last(self):
        windows = Windows.plan(self.LOG, self.LOG.end)
        assert windows.towers.end == self.LOG.end - DAY
        split = windows.late.split(self.LOG)
        assert len(split.history) == 600
        assert (split.labels.time == self.LOG.end - 1).all()
