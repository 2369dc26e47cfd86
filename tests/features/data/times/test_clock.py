"""What the times of a log are taken for, on made shops of each kind, and why."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.data.catalog import Catalog
from features.data.interactions import DAY, Interactions
from features.data.times.clock import Kind, LogClock, clock, clock_of
from features.data.times.step_time import with_step_time
from tests.features.data.times import clock_shops
from tests.features.data.times.clock_shops import CASES, SHOPS, START, Made, frame_of

KINDS = list(SHOPS)


def log_of(frame: pl.DataFrame) -> Interactions:
    catalog = Catalog.from_frame(pl.DataFrame({"item_id": ["tea"], "title": ["tea"]}))
    return Interactions.from_frame(frame.with_columns(item_id=pl.lit("tea")), catalog)


@pytest.mark.parametrize(("kind", "made"), [(kind, made) for kind, _, made in CASES], ids=[name for _, name, _ in CASES])
def test_each_shop_is_taken_for_what_it_is(kind: Kind, made: Made) -> None:
    for seed in range(3):
        found = clock_of(frame_of(made(np.random.default_rng(seed))))
        assert found.kind == kind, found
        assert re.search(r"\d", found.why), "figures say why"


@pytest.mark.parametrize(("kind", "made"), [(kind, made) for kind, _, made in CASES], ids=[name for _, name, _ in CASES])
def test_table_and_log_are_judged_alike(kind: Kind, made: Made) -> None:
    frame = frame_of(made(np.random.default_rng(7)))
    log = log_of(frame)
    assert clock_of(frame.sample(fraction=1, shuffle=True, seed=0).lazy()) == clock(log.user, log.time)
    assert with_step_time(log).ordinal == (kind == "steps" or (kind == "visits" and "order numbers" not in _name(made)))


def _name(made: Made) -> str:
    return next(name for _, name, shop in CASES if shop is made)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("users", [0, 1, 2, 40, 99])
def test_a_small_log_is_a_calendar(kind: str, users: int) -> None:
    for made in SHOPS[kind].values():
        frame = frame_of(made(np.random.default_rng(0)))
        few = frame.filter(pl.col("user_id").is_in(frame["user_id"].unique().sort().head(users).implode()))
        assert clock_of(few).kind in {"times", "dates"}


@settings(max_examples=40, deadline=None)
@given(
    name=st.sampled_from([(kind, name) for kind, name, _ in CASES]),
    seed=st.integers(0, 2**32 - 1),
    lines=st.integers(1, 3),
    wrong=st.sampled_from([-5_000, 0, 30_000]),
    prefix=st.sampled_from(["", "u", "Kunde-ä"]),
)
def test_lines_ids_and_a_few_wrong_dates_change_nothing(name: tuple[str, str], seed: int, lines: int, wrong: int, prefix: str) -> None:
    """However many lines an order has, whatever the ids look like, and wherever two of a thousand dates lie."""
    kind, shop = name
    frame = frame_of(SHOPS[kind][shop](np.random.default_rng(seed)))
    if wrong:  # a broken date breaks the one log that is nothing but its numbers
        odd = frame.sample(max(1, len(frame) // 1000), seed=seed % 1000).with_columns(pl.col("timestamp") + pl.duration(days=wrong))
        frame = pl.concat([frame, odd])
    frame = pl.concat([frame] * lines).with_columns(user_id=prefix + pl.col("user_id"))
    assert clock_of(frame.sample(fraction=1, shuffle=True, seed=1)).kind == kind


@settings(max_examples=25, deadline=None)
@given(share=st.floats(0.3, 0.99), week=st.integers(5, 7), days=st.integers(20, 200), closed=st.floats(0, 0.6), seed=st.integers(0, 10**6))
def test_a_daily_shop_is_never_taken_for_steps(share: float, week: int, days: int, closed: float, seed: int) -> None:
    """However often its customers order, and however many of them close."""
    rng = np.random.default_rng(seed)
    assert clock_of(frame_of(clock_shops.daily(rng, share, week=week, days=days, closed=closed))).kind == "dates"


@settings(max_examples=25, deadline=None)
@given(
    step=st.sampled_from([1, 60, 3600, DAY]),
    start=st.integers(1, 20_000),
    lost=st.floats(0, 0.2),
    users=st.integers(150, 400),
    seed=st.integers(0, 10**6),
)
def test_numbered_steps_are_never_taken_for_a_calendar(step: int, start: int, lost: float, users: int, seed: int) -> None:
    """Whatever a step is, wherever the count starts, and though some rows were lost."""
    rng = np.random.default_rng(seed)
    assert clock_of(frame_of(clock_shops.numbered(rng, step, users, 1 - lost, start * DAY))).kind == "steps"


def test_a_large_log_is_judged_by_a_sample_of_its_users(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("features.data.times.clock.SAMPLE", 1_000)
    for kind, name, made in CASES:
        frame = frame_of(made(np.random.default_rng(3)))
        if len(frame) >= 10_000:
            log = log_of(frame)
            for found in (clock_of(frame), clock(log.user, log.time)):
                assert found.kind == kind, name
                assert found.why.startswith("in a sample of ")


def test_the_sentence_names_the_kind_and_the_figures() -> None:
    found = clock_of(frame_of((user, START + n * DAY) for user in range(120) for n in range(3 + user % 4)))
    assert str(found) == (
        "the log's times are taken for an order only, without a calendar: "
        "the times of 100% of 120 users count up from 2026-01-05 by 1 day without a gap; "
        "if that is wrong, set events.clock"
    )


def test_missing_values_are_left_out() -> None:
    frame = frame_of(clock_shops.daily(np.random.default_rng(0), 0.6))
    holes = pl.DataFrame({"user_id": [None, "u00001"], "timestamp": [frame["timestamp"][0], None]}, schema=frame.schema)
    assert clock_of(pl.concat([frame, holes])) == clock_of(frame)


@pytest.mark.parametrize(("kind", "ordinal"), [("times", False), ("dates", False), ("steps", True), ("visits", True)])
def test_what_the_user_says_takes_precedence(kind: Kind, ordinal: bool) -> None:
    log = with_step_time(log_of(frame_of(clock_shops.daily(np.random.default_rng(0), 0.6))), kind)
    assert log.clock == LogClock(kind, "set by events.clock", ordinal)
    assert log.ordinal == ordinal
    assert (log.moments is None) == (kind == "steps")


def test_visits_keep_their_real_times() -> None:
    log = log_of(frame_of(clock_shops.sessions(np.random.default_rng(0))))
    stepped = with_step_time(log)
    assert stepped.ordinal
    np.testing.assert_array_equal(stepped.moments, log.time)
    assert stepped.moments is not None
    late = stepped.where(stepped.moments >= START + 100 * DAY)
    np.testing.assert_array_equal(late.moments, log.time[log.time >= START + 100 * DAY])
    again = Interactions.from_files(stepped.to_files())
    np.testing.assert_array_equal(again.moments, log.time)
    assert again.clock is not None
    assert again.clock.kind == "visits"


def test_a_program_that_comes_every_minute_does_not_make_the_log_an_order() -> None:
    minute = datetime(2025, 1, 1)
    program = [("bot", minute + timedelta(minutes=number)) for number in range(12_000)]
    people = [(f"user-{user}", minute + timedelta(days=day, hours=user % 24)) for user in range(200) for day in (user % 3, 5)]
    frame = pl.DataFrame(program + people, schema=["user_id", "timestamp"], orient="row")
    assert clock_of(frame).kind == "times"
