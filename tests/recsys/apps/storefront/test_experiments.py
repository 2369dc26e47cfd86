"""Experiments: who sees what stays, what changes midway is said in one line, and the read-out finds what there is."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.errors import ConfigError, DataError
from recsys.apps.storefront.experiments import assignment
from recsys.apps.storefront.experiments.assignment import ExperimentBook, arm_of
from recsys.apps.storefront.experiments.definition import Experiment, day, read_experiments
from recsys.apps.storefront.experiments.read_out import read_out
from recsys.workspace.impressions import ImpressionStore
from recsys.workspace.served_pages import Action, ArmExposure, Impression, PageOutcome, ServedPage, ShownItem
from recsys.workspace.workspace import Workspace

DAY = 86_400
BEGIN = 1_780_272_000  # 2026-06-01
FILE = """
[experiments.diverse]
from = 2026-06-01
to = 2026-06-15
arms.a = {}
arms.b = {weight = 1, settings = {diversity = 0.3}}
"""


def experiment(**changed: object) -> Experiment:
    values = {"name": "diverse", "from": "2026-06-01", "to": "2026-06-15", "arms": {"a": {}, "b": {"settings": {"diversity": 0.3}}}}
    return Experiment.model_validate(values | changed)


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    (tmp_path / "experiments.toml").write_text(FILE)
    return Workspace(tmp_path)


def refused(path: Path, text: str) -> str:
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        read_experiments(path)
    assert "\n" not in str(caught.value)
    return str(caught.value).removeprefix(f"{path}: ")


def test_the_file_is_read(workspace: Workspace, tmp_path: Path) -> None:
    (found,) = read_experiments(workspace.experiments)
    assert (found.name, found.begin, found.end, found.base) == ("diverse", BEGIN, BEGIN + 14 * DAY, "a")
    assert found.shares == {"a": 0.5, "b": 0.5}
    assert found.arms["b"].settings.given == {"diversity": 0.3}
    assert read_experiments(tmp_path / "none.toml") == ()


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ("diversity = 0.3", "diversty = 0.3", "experiment 'diverse': unknown key arms.b.settings.diversty, did you mean 'diversity'"),
        ("diversity = 0.3", "diversity = 3", "arms.b.settings.diversity is 3, should be less than or equal to 1"),
        ("diversity = 0.3", 'rows = {home = ["for_yu"]}', "arms.b.settings.rows.home.0 is 'for_yu', should be 'for_you', 'buy_again'"),
        ("diversity = 0.3", "rows = {home = []}", "arms.b.settings.rows.home is [], expected at least one row"),
        (
            "diversity = 0.3",
            'rows = {home = ["popular", "for_you", "popular"]}',
            "arms.b.settings.rows.home is ['popular', 'for_you', 'popular'], found 'popular' 2 times, expected each row once",
        ),
        ("arms.a = {}", 'arms.a = {}\npages = ["front"]', "pages.0 is 'front', should be 'home', 'product'"),
        ("weight = 1", "weight = 0", "arms.b.weight is 0, should be greater than 0"),
        ("arms.a = {}", "", "experiment 'diverse': found b, expected two arms or more"),
        ("to = 2026-06-15", "to = 2026-05-15", "`from` is not before `to`"),
        ("to = 2026-06-15", "", "experiment 'diverse': to is missing"),
        ("from = 2026-06-01", 'from = "soon"', "from is 'soon', expected a date or time such as 2026-12-01"),
        ("from = 2026-06-01", "from = 2026", "from is 2026, expected a date or time such as 2026-12-01"),
        ("from = 2026-06-01", "from = true", "from is True, expected a date or time such as 2026-12-01"),
        ("from = 2026-06-01", "from = 08:00:00", "expected a date or time such as 2026-12-01"),
        ("from = 2026-06-01", "from = 0001-01-01T00:00:00+14:00", "expected a date or time such as 2026-12-01"),
        ("arms.a = {}", 'arms.a = {}\ncontrol = "c"', "the control 'c' is none of its arms a, b"),
        ("arms.a = {}", "arms.a = {}\nguardrail = 1", "unknown key guardrail, did you mean 'guardrails'"),
        ("[experiments.diverse]", "[diverse]", "found 'diverse', expected tables [experiments.NAME]"),
        ("[experiments.diverse]", "[experiments.diverse", "not readable as TOML"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(tmp_path: Path, old: str, new: str, line: str) -> None:
    assert line in refused(tmp_path / "experiments.toml", FILE.replace(old, new))


def test_two_experiments_on_one_setting_at_one_time_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "experiments.toml"
    other = FILE.replace("diverse", "other").replace("06-01", "06-10").replace("06-15", "06-20")
    line = refused(path, FILE + other)
    assert line == (
        "experiments 'diverse' and 'other' both change diversity from 2026-06-10 to 2026-06-15: let one end before the other begins"
    )
    later = other.replace("06-10", "06-15")
    another = other.replace("diversity = 0.3", "exploration = 0.1")
    elsewhere = (
        (FILE + other)
        .replace("arms.a = {}", 'arms.a = {}\npages = ["home"]', 1)
        .replace("[experiments.other]", '[experiments.other]\npages = ["basket"]')
    )
    for text in (FILE + later, FILE + another, elsewhere):
        path.write_text(text)
        assert len(read_experiments(path)) == 2


names = st.text(st.characters(codec="utf-8"), min_size=1, max_size=12)


@given(names, st.lists(st.floats(0.01, 100), min_size=2, max_size=5))
def test_a_unit_keeps_its_arm_in_whatever_order_the_file_names_them(unit: str, weights: list[float]) -> None:
    arms = {f"arm{i}": {"weight": weight} for i, weight in enumerate(weights)}
    one, other = experiment(arms=arms), experiment(arms=dict(reversed(arms.items())))
    assert arm_of(one, unit) == arm_of(other, unit) == arm_of(one, unit)
    assert arm_of(one, unit) in arms


def test_arms_get_their_shares_and_experiments_are_independent() -> None:
    users = [f"user-{i}" for i in range(6000)]
    three = experiment(arms={"a": {"weight": 2}, "b": {"weight": 1}, "c": {"weight": 1}})
    counts = Counter(arm_of(three, user) for user in users)
    assert abs(counts["a"] - 3000) < 150
    assert abs(counts["b"] - 1500) < 130
    both = Counter((arm_of(experiment(), user), arm_of(experiment(name="x"), user)) for user in users)
    assert all(abs(count - 1500) < 130 for count in both.values())


def book_of(workspace: Workspace, now: int = BEGIN) -> ExperimentBook:
    book = ExperimentBook(workspace)
    book.catch_up(now)
    return book


def test_the_book_assigns_who_takes_part(workspace: Workspace) -> None:
    book = book_of(workspace)
    users = [f"user-{i}" for i in range(50)]
    found = {user: book.assign("home", user, "s1", BEGIN) for user in users}
    assert {one.exposures[0].arm: one.settings.given for one in found.values()} == {"a": {}, "b": {"diversity": 0.3}}
    assert found == {user: book_of(workspace).assign("product", user, None, BEGIN + DAY) for user in users}
    for user, now in ((None, BEGIN), ("user-1", BEGIN - 1), ("user-1", BEGIN + 14 * DAY)):
        assert book.assign("home", user, "s1", now).exposures == ()
    workspace.experiments.write_text(FILE.replace("arms.a", 'pages = ["basket"]\nunit = "session"\narms.a').replace("diverse", "two"))
    book.catch_up(BEGIN)
    assert book.assign("home", None, "s1", BEGIN).exposures == ()
    assert [one.unit for one in book.assign("basket", None, "s1", BEGIN).exposures] == ["session"]


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        (
            "arms.b",
            "arms.c",
            "arm 'b' has been shown since 2026-06-01 and is not in the file: put it back, or end the experiment with `to`",
        ),
        ("weight = 1", "weight = 3", "the shares have been a 0.5, b 0.5 since 2026-06-01 and are a 0.25, b 0.75 now"),
        ("arms.b", "arms.c = {}\narms.b", "the shares have been a 0.5, b 0.5 since 2026-06-01 and are a 0.333, b 0.333, c 0.333 now"),
        ("0.3", "0.4", 'the settings of arm b have been {"diversity": 0.3} since 2026-06-01 and are {"diversity": 0.4} now'),
        ("arms.a", 'unit = "session"\narms.a', '`unit` have been "user" since 2026-06-01 and are "session" now'),
    ],
)
def test_what_changes_midway_turns_the_experiment_off_and_is_said(
    workspace: Workspace, caplog: pytest.LogCaptureFixture, old: str, new: str, line: str
) -> None:
    book = book_of(workspace)
    before = book.assign("home", "user-1", "s1", BEGIN)
    assert before.exposures
    workspace.experiments.write_text(FILE.replace(old, new))
    book.catch_up(BEGIN + DAY)
    assert book.assign("home", "user-1", "s1", BEGIN + DAY).exposures == ()
    book.catch_up(BEGIN + DAY)
    assert [line in record.message for record in caplog.records] == [True]
    (changed,) = read_experiments(workspace.experiments)
    assert any(line in note for note in read_out(changed, workspace.impressions, BEGIN + DAY).notes)
    workspace.experiments.write_text(FILE + "# restored\n")
    book.catch_up(BEGIN + DAY)
    assert book.assign("home", "user-1", "s1", BEGIN + DAY) == before


def test_a_file_that_is_wrong_leaves_the_experiments_as_they_were(workspace: Workspace, caplog: pytest.LogCaptureFixture) -> None:
    book = book_of(workspace)
    before = book.assign("home", "user-1", "s1", BEGIN)
    workspace.experiments.write_text("[experiments")
    book.catch_up(BEGIN)
    book.catch_up(BEGIN)
    assert book.assign("home", "user-1", "s1", BEGIN) == before
    assert ["stay as they were" in record.message for record in caplog.records] == [True]


def test_an_experiment_begins_once_its_design_is_stored_and_a_page_waits_for_nothing(
    workspace: Workspace, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[str] = []

    def locked(_: ImpressionStore, name: str, *__: object) -> tuple[str, int]:
        tried.append(name)
        raise DataError("database is locked")

    with monkeypatch.context() as patched:
        patched.setattr(ImpressionStore, "register", locked)
        book = book_of(workspace, BEGIN - DAY)
        assert tried == [], "it has not begun"
        for _ in range(3):
            book.catch_up(BEGIN)
            assert book.assign("home", "user-1", "s1", BEGIN).exposures == ()
        assert tried == ["diverse"]
        assert ["is off, and is tried again in 60 seconds" in message for message in caplog.messages] == [True]
    book.catch_up(BEGIN)
    assert book.assign("home", "user-1", "s1", BEGIN).exposures == (), "a failure is remembered for a while"
    monkeypatch.setattr(assignment.time, "monotonic", lambda: float("inf"))
    book.catch_up(BEGIN)
    assert book.assign("home", "user-1", "s1", BEGIN).exposures
    assert book.bundles(BEGIN) == set()


def run(workspace: Workspace, one: Experiment, units: int, rates: dict[str, float], outcome: dict[str, PageOutcome] | None = None) -> None:
    """Let units see pages over ten days, with clicks at each arm's rate."""
    rng = np.random.default_rng(3)
    pages, actions = [], []
    for number in range(units):
        unit, time = f"u{number}", BEGIN + int(number / units * 10 * DAY)
        arm = arm_of(one, unit)
        rows = (Impression(f"i{number}", "for_you", (ShownItem("x"), ShownItem("y"))),)
        kind = (outcome or {}).get(arm, "ok")
        exposures = (ArmExposure(one.name, arm, "user"),)
        pages.append(ServedPage(f"p{number}", "home", time, rows, unit, f"s{number}", exposures=exposures, milliseconds=20, outcome=kind))
        if rng.random() < rates[arm]:
            actions.append(Action(f"i{number}", "x", "click", time + 60))
            actions.append(Action(f"i{number}", "x", "purchase", time + 2 * DAY, value=9.0))
    workspace.impressions.add_served(pages)
    workspace.impressions.register(one.name, one.design, BEGIN)
    workspace.impressions.add_actions(actions, BEGIN + 14 * DAY)


def test_an_effect_is_found_and_its_day_said(workspace: Workspace) -> None:
    one = experiment(units=2000)
    run(workspace, one, 2000, {"a": 0.1, "b": 0.4})
    early, late = (read_out(one, workspace.impressions, BEGIN + days * DAY) for days in (2, 12))
    (comparison,) = late.comparisons
    assert comparison.better
    assert comparison.latest is not None
    assert abs(comparison.latest.difference - 0.3) < 0.08
    assert late.verdict.startswith(f"b is better than a since {comparison.decided}")
    assert len(late.comparisons[0].looks) > len(early.comparisons[0].looks)
    assert late.comparisons[0].looks[: len(early.comparisons[0].looks)] == early.comparisons[0].looks, "a look never changes"
    assert late.ratio_kept
    assert late.state == "running"
    assert read_out(one, workspace.impressions, BEGIN + 20 * DAY).state == "ended"
    assert json.loads(json.dumps(late.to_dict(), allow_nan=False))["verdict"] == late.verdict
    assert [arm.revenue for arm in late.arms] == [0.0, 0.0], "the purchases came after the window"
    assert sum(arm.counted for arm in late.arms) == 2000
    assert any("units are not counted yet" in note for note in early.notes)


def test_three_arms_are_compared_with_the_control(workspace: Workspace) -> None:
    one = experiment(arms={"a": {}, "b": {}, "c": {"weight": 2}}, control="c", units=2000)
    run(workspace, one, 2000, {"a": 0.1, "b": 0.5, "c": 0.5})
    found = read_out(one, workspace.impressions, BEGIN + 12 * DAY)
    assert [(comparison.arm, comparison.decided is not None, comparison.better) for comparison in found.comparisons] == [
        ("a", True, False),
        ("b", False, False),
    ]
    assert found.verdict.startswith("a is worse than c since")


def test_missing_units_are_a_mismatch_and_nothing_else_counts(workspace: Workspace) -> None:
    one = experiment(units=2000)
    run(workspace, one, 2000, {"a": 0.1, "b": 0.4})
    for number in range(2000):
        if arm_of(one, f"u{number}") == "b" and number % 4 == 0:
            workspace.impressions.erase(f"u{number}")
    found = read_out(one, workspace.impressions, BEGIN + 12 * DAY)
    assert not found.ratio_kept
    assert found.verdict.startswith("no result is valid: the arms have a ")


def test_a_guardrail_that_breaks_comes_before_the_metric(workspace: Workspace) -> None:
    limits = {"error_share": 0.01, "latency_p95_ms": 10, "revenue": 0.05}
    one = experiment(units=2000, guardrails=limits, window_days=3)
    run(workspace, one, 2000, {"a": 0.5, "b": 0.1}, {"b": "failed"})
    found = read_out(one, workspace.impressions, BEGIN + 14 * DAY)
    assert {guardrail.name for guardrail in found.broken} == {"error_share", "latency_p95_ms", "revenue"}
    assert found.verdict.startswith("b breaks error_share, b breaks latency_p95_ms, b breaks revenue")
    calm = experiment(guardrails={"error_share": 1.0, "latency_p95_ms": 100, "revenue": 1.0}, window_days=3)
    assert read_out(calm, workspace.impressions, BEGIN + 14 * DAY).broken == ()


def test_units_of_two_arms_and_pages_of_nobody_are_said(workspace: Workspace) -> None:
    one = experiment()
    pages = [
        ServedPage("p1", "home", BEGIN, (), "ann", exposures=(ArmExposure("diverse", "a"),)),
        ServedPage("p2", "home", BEGIN + 1, (), "ann", exposures=(ArmExposure("diverse", "b"),)),
        ServedPage("p3", "home", BEGIN + 1, (), None, "s1"),
    ]
    workspace.impressions.add_served(pages)
    found = read_out(one, workspace.impressions, BEGIN + DAY)
    assert sum(arm.units for arm in found.arms) == 0
    assert any(note.startswith("1 of 3 pages in its time are not part of it: they came without a user") for note in found.notes)
    assert any(note.startswith("1 units saw two arms") for note in found.notes)


def test_pages_that_are_no_longer_kept_are_said(workspace: Workspace) -> None:
    one = experiment(units=2000)
    run(workspace, one, 500, {"a": 0.1, "b": 0.4})
    assert not any("kept" in note for note in read_out(one, workspace.impressions, BEGIN + 12 * DAY).notes)
    workspace.impressions.expire(BEGIN + 5 * DAY)
    (note,) = [note for note in read_out(one, workspace.impressions, BEGIN + 12 * DAY).notes if "kept" in note]
    assert note.startswith("its pages are kept from 2026-06-06 on, though it was first shown on 2026-06-01: raise impressions.keep_days")


def test_before_anything_was_shown_nothing_is_decided(workspace: Workspace) -> None:
    found = read_out(experiment(), workspace.impressions, BEGIN - DAY)
    assert (found.state, found.verdict) == ("planned", "nothing is decided after 0 users: the difference may be 0")
    json.dumps(found.to_dict(), allow_nan=False)


@settings(max_examples=20, deadline=None)
@given(st.integers(BEGIN - DAY, BEGIN + 30 * DAY))
def test_a_moment_reads_as_it_is_written(moment: int) -> None:
    written = day(moment - moment % 60)
    one = experiment(**{"from": written, "to": "2027-01-01"})
    assert one.begin == moment - moment % 60
