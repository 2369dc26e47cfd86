"""What came of variants: shares, winners, and files that cannot be read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from features.errors import DataError
from recsys.apps.campaigns.copy.results import read_results


def write(path: Path, rates: dict[str, float], letters: int) -> Path:
    rng = np.random.default_rng(0)
    names = rng.choice(list(rates), letters)
    rows = "\n".join(f"{name},{int(rng.random() < rates[name])}" for name in names.tolist())
    file = path / "results.csv"
    file.write_text(f"variant,clicked\n{rows}\n", encoding="utf-8")
    return file


def test_a_better_variant_gets_more_letters_and_wins(tmp_path: Path) -> None:
    state = read_results(write(tmp_path, {"subject-1": 0.05, "subject-2": 0.2}, 3_000))
    assert state.winner == "subject-2"
    assert {one.name: one.share > 0.5 for one in state.variants} == {"subject-1": False, "subject-2": True}
    assert sum(one.share for one in state.variants) == pytest.approx(1)
    assert "subject-2 has won" in state.told


def test_a_few_letters_decide_nothing(tmp_path: Path) -> None:
    state = read_results(write(tmp_path, {"a": 0.0, "b": 1.0}, 60))
    assert state.winner is None
    assert state.to_dict()["winner"] is None


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("", "is no table"),
        ("variant,opened\na,1\n", "lacks clicked"),
        ("variant,clicked\na,1\na,0\n", "has 1 variant"),
        ("variant,clicked\na,1\nb,maybe\n", "line 3"),
        ("variant,clicked,share\na,1,.5\nb,0,0\n", "1 rows whose share"),
    ],
)
def test_a_file_that_cannot_be_judged_is_one_line(tmp_path: Path, content: str, problem: str) -> None:
    file = tmp_path / "results.csv"
    file.write_text(content, encoding="utf-8")
    with pytest.raises(DataError, match=problem) as error:
        read_results(file)
    assert "\n" not in str(error.value)


def test_a_file_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="none"):
        read_results(tmp_path / "none.csv")
