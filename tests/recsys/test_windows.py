"""The windows that the parts of a model are fitted on: in order, of one length, none over another, none after the end."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.errors import DataError
from features.interactions import DAY
from recsys.windows import MOST_DAYS, STRETCHES, Windows, moment

ORDER = ["towers", "validation", "early", "late", "correction", "calibration"]
HOUR = 3600


@given(st.integers(0, 2_000_000_000), st.integers(STRETCHES * HOUR, 2_000 * DAY))
def test_one_after_another_up_to_the_end(start, length):
    windows = Windows.plan(start, start + length)
    parts = [getattr(windows, name) for name in ORDER]
    assert parts[0].start == start
    assert parts[-1].end == start + length
    assert all(before.end == after.start for before, after in itertools.pairwise(parts))
    lengths = {part.end - part.start for part in parts[1:]}
    assert len(lengths) == 1
    assert HOUR <= lengths.pop() <= MOST_DAYS * DAY
    assert parts[0].days >= parts[1].days * (STRETCHES - 5) - 1


def test_a_year_has_windows_of_four_weeks():
    assert Windows.plan(0, 365 * DAY).calibration.days == MOST_DAYS


@pytest.mark.parametrize("length", [STRETCHES * HOUR - 1, 0, -DAY])
def test_too_short_a_log_is_refused_in_one_line(length):
    with pytest.raises(DataError, match=f"expected at least {STRETCHES}.*bring a longer log") as error:
        Windows.plan(0, length)
    assert "\n" not in str(error.value)


def test_the_card_names_every_window():
    told = Windows.plan(0, 100 * DAY).to_dict()
    assert list(told) == ORDER
    assert told["calibration"] == f"{moment(90 * DAY)} to {moment(100 * DAY)}" == "1970-04-01T00:00 to 1970-04-11T00:00"
