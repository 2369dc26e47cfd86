"""Results of benchmarks in a workspace."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest

from recsys.workspace.workspace import Workspace

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("name", ["intents", "reviews-zh", "online_retail"])
def test_a_result_lies_in_the_reports_under_its_name_and_the_log_says_where(
    name: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    workspace = Workspace(tmp_path / "work")
    with caplog.at_level(logging.INFO):
        path = workspace.write_benchmark(name, '{"rows": 1}\n')
    assert path == tmp_path / "work" / "reports" / f"benchmark-{name}.json"
    assert path.read_text(encoding="utf-8") == '{"rows": 1}\n'
    assert caplog.messages == [f"result: {path}"]
    workspace.write_benchmark(name, "{}\n")  # of a later run
    assert [found.read_text(encoding="utf-8") for found in workspace.reports.iterdir()] == ["{}\n"]
