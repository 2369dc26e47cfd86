"""A shop's own polarities: what is read, what is left out and said, and when there are enough."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from features.errors import DataError
from features.reviews.polarities import FEWEST, Polarities, read_polarities

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

GOOD = [
    {"sentence": "The screen is bright, the battery weak.", "term": "battery", "polarity": "negative"},
    {"sentence": "The screen is bright, the battery weak.", "term": "screen", "polarity": "positive"},
    {"sentence": "It came with a charger.", "term": "charger", "polarity": "neutral"},
]


def read(folder: Path, rows: Sequence[Mapping[str, str | None]]) -> Polarities:
    path = folder / "labels.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return read_polarities(path)


def terms(found: Polarities) -> list[str]:
    return [sentence[begin:end] for sentence, begin, end, _ in found.rows.select("sentence", "begin", "end", "polarity").rows()]


@pytest.mark.parametrize("name", ["labels.csv", "labels.tsv", "labels.jsonl", "labels.parquet"])
def test_each_format_gives_the_same(tmp_path: Path, name: str) -> None:
    frame, path = pl.DataFrame(GOOD), tmp_path / name
    if path.suffix in (".csv", ".tsv"):
        frame.write_csv(path, separator="," if path.suffix == ".csv" else "\t")
    else:
        (frame.write_ndjson if path.suffix == ".jsonl" else frame.write_parquet)(path)
    found = read_polarities(path)
    assert terms(found) == ["battery", "screen", "charger"]
    assert found.rows["polarity"].to_list() == ["negative", "positive", "neutral"]
    assert found.notes == ()
    assert found.digest == read(tmp_path, GOOD).digest != read(tmp_path, GOOD[:2]).digest


@pytest.mark.parametrize(
    ("sentence", "term", "told"),
    [
        ("Great Battery life", "battery", "Battery"),
        ("Das Café  war\nlaut", "cafe", "Café"),
        ("die Hülle fühlt sich an, die Hülle", "HÜLLE", "Hülle"),
        ("no earpiece, but one ear", "ear", "ear"),
        ("the wi-fi drops", "Wi-Fi", "wi-fi"),
        ("电池很好，屏幕不好", "屏幕", "屏幕"),
        ("the “hard disk” is loud", "hard disk", "hard disk"),
    ],
)
def test_a_term_is_found_at_its_first_place(tmp_path: Path, sentence: str, term: str, told: str) -> None:
    assert terms(read(tmp_path, [{"sentence": sentence, "term": term, "polarity": " Negative "}])) == [told]


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ({"term": "mouse"}, "(The screen is bright, the battery weak., mouse, negative), left out: expected a term that stands in its"),
        ({"term": "cree"}, "expected a term that stands in its sentence, word for word"),
        ({"term": "Batterie"}, "expected a term that stands in its sentence, word for word"),
        ({"polarity": "conflict"}, "expected negative, neutral or positive as polarity"),
        ({"polarity": None}, "expected negative, neutral or positive as polarity"),
        ({"polarity": "-1"}, "expected negative, neutral or positive as polarity"),
        ({"term": "!"}, "expected a text as sentence and as term"),
        ({"term": None}, "expected a text as sentence and as term"),
        ({"sentence": " "}, "expected a text as sentence and as term"),
        ({}, "expected each label once"),
        ({"term": "BATTERY"}, "expected each label once"),
        ({"sentence": " The screen is  bright, the battery weak."}, "expected each label once"),
    ],
)
def test_what_is_left_out_is_said(tmp_path: Path, row: dict[str, str | None], told: str) -> None:
    found = read(tmp_path, [*GOOD, GOOD[0] | row])
    assert len(found.rows) == 3
    (note,) = found.notes
    assert note.startswith("note: labels.jsonl: 1 of 4 rows, such as row 4 (")
    assert told in note


def test_labels_that_contradict_each_other_are_left_out(tmp_path: Path) -> None:
    found = read(tmp_path, [*GOOD, GOOD[0] | {"polarity": "positive"}])
    assert terms(found) == ["screen", "charger"]
    (note,) = found.notes
    assert "2 of 4 rows, such as row 1 " in note
    assert note.endswith("expected one polarity for a term of a sentence")


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["a b", "b é c", "", "ça c"]), st.sampled_from("abcé!"), st.sampled_from(["neutral", "bad"]))))
def test_every_row_is_kept_or_counted(tmp_path: Path, rows: list[tuple[str, str, str]]) -> None:
    found = read(tmp_path, [dict(zip(("sentence", "term", "polarity"), row, strict=True)) for row in rows]) if rows else None
    if found is not None:
        left_out = sum(int(note.split(": ")[2].split(" of ")[0]) for note in found.notes)
        assert len(found.rows) + left_out == len(rows)
        assert all(found.rows["begin"] < found.rows["end"])


def many(count: int, polarities: tuple[str, ...]) -> list[dict[str, str | None]]:
    return [{"sentence": f"battery {i}", "term": "battery", "polarity": polarities[i % len(polarities)]} for i in range(count)]


@pytest.mark.parametrize(
    ("count", "polarities", "told"),
    [
        (FEWEST - 1, ("negative", "positive"), "99 usable labels, expected at least 100"),
        (FEWEST, ("neutral",), "100 usable labels, all neutral, expected at least two polarities"),
        (FEWEST, ("negative", "positive"), ""),
    ],
)
def test_it_says_whether_there_are_enough(tmp_path: Path, count: int, polarities: tuple[str, ...], told: str) -> None:
    assert read(tmp_path, many(count, polarities)).lacking == told


@pytest.mark.parametrize("lacking", ["sentence", "term", "polarity"])
def test_a_missing_column_is_an_error_of_one_line(tmp_path: Path, lacking: str) -> None:
    path = tmp_path / "labels.csv"
    pl.DataFrame(GOOD).rename({lacking: "other"}).write_csv(path)
    with pytest.raises(DataError, match=f"labels.csv has no {lacking}; it has: .*: name the columns sentence, term, polarity") as raised:
        read_polarities(path)
    assert "\n" not in str(raised.value)
