"""What this process may use of the machine."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from recsys.environment import usable_cores

ROOT = Path(__file__).parents[2]


def test_cores_are_those_that_the_process_may_run_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 64)
    monkeypatch.delattr(os, "process_cpu_count", raising=False)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {2, 5}, raising=False)
    assert usable_cores() == 2
    monkeypatch.setattr(os, "process_cpu_count", lambda: 3, raising=False)
    assert usable_cores() == 3
    monkeypatch.delattr(os, "process_cpu_count")
    monkeypatch.delattr(os, "sched_getaffinity")
    assert usable_cores() == 64, "where the system does not say"


def test_cores_are_counted_in_one_place() -> None:
    folders = ("features", "retrieval", "ranking", "eval", "recsys")
    counting = [path.name for folder in folders for path in (ROOT / folder).rglob("*.py") if "cpu_count" in path.read_text()]
    assert counting == ["environment.py"]
