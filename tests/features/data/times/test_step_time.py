"""Ordinal logs and step time."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from features.data.catalog import Catalog
from features.data.interactions import DAY, Interactions
from features.data.split import Split
from features.data.times.step_time import MOST_STEPS, to_step_time, with_step_time

START = 1_700_000_000


def log_of(rows: list[tuple[str, str, int]]) -> Interactions:
    """(user, item, seconds) purchases."""
    items = sorted({item for _, item, _ in rows})
    catalog = Catalog.from_frame(pl.DataFrame({"item_id": items, "title": items}))
    frame = pl.DataFrame(rows, schema=["user_id", "item_id", "seconds"], orient="row")
    return Interactions.from_frame(frame.select("user_id", "item_id", timestamp=pl.from_epoch("seconds")), catalog)


def steps(n_users: int, starts: np.ndarray) -> Interactions:
    """Users with three to six items, a day apart, each from its own start."""
    rows = [(f"u{u:03}", f"i{(u + s) % 7}", int(starts[u]) + s * DAY) for u in range(n_users) for s in range(3 + u % 4)]
    return log_of(rows)


def test_a_log_whose_users_all_begin_at_one_time_is_ordinal() -> None:
    assert with_step_time(steps(150, np.full(150, START))).ordinal


def test_a_log_whose_users_never_overlap_is_ordinal() -> None:
    assert with_step_time(steps(150, START + np.arange(150) * 10 * DAY)).ordinal


def test_a_log_with_returning_users_is_unchanged() -> None:
    rng = np.random.default_rng(0)
    rows = [(f"u{u:03}", f"i{u % 7}", START + int(t)) for u in range(150) for t in rng.integers(0, 100 * DAY, 12)]
    log = log_of(rows)
    assert not with_step_time(log).ordinal
    assert with_step_time(log).time is log.time


def test_a_few_wrong_dates_do_not_make_a_log_ordinal() -> None:
    rng = np.random.default_rng(0)
    rows = [(f"u{u:03}", f"i{u % 7}", START + int(t)) for u in range(150) for t in rng.integers(0, 100 * DAY, 12)]
    assert not with_step_time(log_of([*rows, ("u000", "i1", START + 30_000 * DAY), ("v", "i2", START + 29_000 * DAY)])).ordinal
    assert not with_step_time(log_of([*rows, ("u000", "i1", 1), ("v", "i2", 2)])).ordinal


@pytest.mark.parametrize("users", [1, 99])
def test_a_small_log_is_unchanged(users: int) -> None:
    assert not with_step_time(steps(users, np.full(users, START))).ordinal


def test_a_cut_one_day_before_the_end_is_leave_one_out() -> None:
    log = with_step_time(steps(150, np.full(150, START)))
    split = Split.by_time(log, log.end - DAY)
    assert len(split.labels) == 150
    assert len(split.users) == 150
    before = Split.by_time(split.history, log.end - 2 * DAY)
    assert len(before.labels) == 150
    assert (before.labels.item != split.labels.item).all()  # items change with every step


def test_events_of_one_time_stay_together_and_in_order() -> None:
    log = to_step_time(log_of([("a", "x", 10), ("a", "y", 10), ("a", "z", 500), ("b", "x", 3)]))
    assert log.time.tolist() == [log.end - 1 - DAY, log.end - 1 - DAY, log.end - 1, log.end - 1]
    assert log.ordinal


def test_conversion_is_idempotent() -> None:
    once = to_step_time(steps(5, np.arange(5) * 1000))
    np.testing.assert_array_equal(to_step_time(once).time, once.time)


def test_the_oldest_steps_lie_on_one_day() -> None:
    log = to_step_time(log_of([("a", "x", second) for second in range(MOST_STEPS + 10)]))
    assert log.end - log.start <= MOST_STEPS * DAY + 1


def test_files_store_whether_a_log_is_ordinal() -> None:
    log = to_step_time(steps(5, np.arange(5)))
    assert Interactions.from_files(log.to_files()).ordinal
