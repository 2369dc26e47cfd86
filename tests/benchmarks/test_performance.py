"""Intervals of paired ratios, and the page of their rows."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import binom

from benchmarks import write_performance
from benchmarks.paired import median_interval, say

ROOT = Path(__file__).parents[2]


def test_fifteen_pairs_leave_three_out_on_each_side() -> None:
    values = np.random.default_rng(0).permutation(15).astype(float)
    assert median_interval(values) == (7, 3, 11)
    assert binom.cdf(3, 15, 0.5) < 0.025  # so the median lies below the fourth value less often than that


def test_few_pairs_give_their_whole_range() -> None:
    assert median_interval(np.array([3.0, 1.0, 2.0])) == (2, 1, 3)
    assert median_interval(np.array([5.0])) == (5, 5, 5)


def test_rows_become_a_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    say("one_user", [50.0, 60.0, 70.0], 50, 1.5, ms=4)
    say("bytes", [0.3], 0.25, 1.0, better="lower")
    say("plain", [2.0], None, None)
    (tmp_path / "rows.log").write_text("a warning\n" + capsys.readouterr().out, encoding="utf-8")
    write_performance.keep([tmp_path / "rows.log"], tmp_path / "kept")
    kept = (tmp_path / "kept" / "rows.jsonl").read_text().splitlines()
    assert [json.loads(line)["name"] for line in kept] == ["one_user", "bytes", "plain"]
    table = write_performance.page(tmp_path / "kept").splitlines()[-3:]
    assert table[0] == "| one user | 60 [50, 70] | ≥ 50 | yes | 1.5 | 3 | ms 4 |"
    assert "| ≤ 0.25 | **no** |" in table[1]
    assert table[2] == "| plain | 2 [2, 2] |  |  |  | 1 |  |"


def test_the_page_in_the_docs_follows_from_the_rows() -> None:
    assert (ROOT / "docs" / "performance.md").read_text(encoding="utf-8") == write_performance.page(ROOT / "docs" / "performance")
