"""The simulated cluster does all work once, and failures cost time; the page's tables follow from the measured rows."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.scale.cluster import Cluster, Stage, simulate
from benchmarks.scale.report import page
from benchmarks.write_performance import read_rows

DOCS = Path(__file__).resolve().parents[2] / "docs"
CALM = Cluster(4, cores=2, days_between_failures=0, dispatch_seconds=0)
STAGES = [Stage("one", 24_000), Stage("two", 2_400)]


def test_without_failures_machines_share_the_work() -> None:
    found = simulate(CALM, STAGES)
    assert found.stage_seconds == {"one": pytest.approx(24_000 / 8), "two": pytest.approx(300)}
    assert (found.tasks, found.repeated, found.lost_seconds) == (80 + 8, 0, 0)


def test_failures_repeat_tasks_and_lose_nothing() -> None:
    failing = replace(CALM, days_between_failures=0.02, repair_seconds=60)
    runs = [simulate(failing, STAGES, seed) for seed in range(5)]
    assert all(run.repeated > 0 for run in runs)
    assert all(run.tasks == 88 for run in runs)
    # Cores do the work, and what was lost once more.
    assert all(8 * run.seconds >= 26_400 + run.lost_seconds for run in runs)


def test_the_same_seed_gives_the_same_run() -> None:
    failing = replace(CALM, days_between_failures=0.02)
    assert simulate(failing, STAGES, 3) == simulate(failing, STAGES, 3)
    assert simulate(failing, STAGES, 3) != simulate(failing, STAGES, 4)


def test_a_head_that_hands_tasks_out_slowly_bounds_the_cluster() -> None:
    many = Cluster(100, cores=8, days_between_failures=0, dispatch_seconds=1)
    assert simulate(many, [Stage("short", 800, task_seconds=1)]).seconds >= 800


def test_transfers_take_what_the_store_gives_to_all() -> None:
    narrow = replace(CALM, store_bytes_a_second=1e6, node_bytes_a_second=1e9)
    found = simulate(narrow, [Stage("one", 2_400, bytes=3e8)])
    assert found.seconds == pytest.approx(300 + 300)


def test_the_page_has_the_costs_of_its_rows() -> None:
    text = (DOCS / "scale.md").read_text(encoding="utf-8")
    assert page(text, read_rows(DOCS / "scale" / "unit_costs.jsonl"), simulated=False) == text
