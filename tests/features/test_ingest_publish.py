"""Four files as one: whatever fails, what was there before is still there."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

import features.ingest
import features.stored
from features.errors import DataError
from features.ingest import ingest
from features.source import Source
from features.stored import load_source, load_tables

FILES = {"items.parquet", "interactions.parquet", "quarantine.csv", "source.json"}


@pytest.fixture
def source(tmp_path: Path) -> Source:
    (tmp_path / "items.csv").write_text("item_id,title\nA,Apple\n")
    (tmp_path / "log.csv").write_text("user_id,item_id,timestamp\nu,A,2024-01-01\n")
    return Source(items=tmp_path / "items.csv", interactions=tmp_path / "log.csv")


def state(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def grow(source: Source) -> None:
    assert source.interactions is not None
    with source.interactions.open("a") as log:
        log.write("v,A,2024-01-02\n")


def test_it_replaces_everything_and_leaves_nothing_behind(source: Source, tmp_path: Path) -> None:
    out = tmp_path / "work" / "data"
    ingest(source, out)
    first = state(out)
    grow(source)
    ingest(source, out)
    assert set(first) == set(state(out)) == FILES
    assert load_tables(out)[1].height == 2
    assert [path.name for path in out.parent.iterdir()] == ["data"]


@pytest.mark.parametrize(
    ("module", "step"), [(features.ingest, "_write_tables"), (features.ingest, "replace_folder"), (features.stored, "sync")]
)
def test_a_failure_at_any_step_changes_nothing(module, step: str, source: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "work" / "data"
    ingest(source, out)
    before = state(out)
    grow(source)

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module, step, fail)
    with pytest.raises(DataError, match="cannot be written .*No space left on device"):
        ingest(source, out)
    assert state(out) == before
    assert [path.name for path in out.parent.iterdir()] == ["data"]


@pytest.mark.parametrize("failing", [1, 2])
def test_a_failing_rename_brings_the_old_tables_back(failing: int, source: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "data"
    ingest(source, out)
    before = state(out)
    rename, calls = Path.rename, []

    def sometimes(self: Path, target: Path) -> Path:
        calls.append(target)
        if len(calls) == failing:
            raise PermissionError(13, "Permission denied")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", sometimes)
    with pytest.raises(DataError, match="Permission denied"):
        ingest(source, out)
    assert state(out) == before


def test_a_crash_between_the_renames_is_mended_by_the_next_reader(source: Source, tmp_path: Path) -> None:
    out = tmp_path / "data"
    ingest(source, out)
    before = state(out)
    out.rename(tmp_path / ".data.before")
    assert load_source(out) == source
    assert state(out) == before


def test_a_crash_after_the_renames_leaves_the_new_tables(source: Source, tmp_path: Path) -> None:
    out = tmp_path / "data"
    ingest(source, out)
    (tmp_path / ".data.before").mkdir()  # the old ones, not yet removed
    grow(source)
    ingest(source, out)
    assert load_tables(out)[1].height == 2
    assert not (tmp_path / ".data.before").exists()


def test_a_folder_with_other_files_is_not_touched(source: Source, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="also holds 'items.csv', which would be lost"):
        ingest(source, tmp_path)
    assert (tmp_path / "items.csv").exists()
    with pytest.raises(DataError, match="cannot be written .*Not a directory"):
        ingest(source, tmp_path / "items.csv")


def test_nothing_ingested_and_damage_are_told(source: Source, tmp_path: Path) -> None:
    for load in (load_source, load_tables):
        with pytest.raises(DataError, match="is not there: run `recsys ingest` first"):
            load(tmp_path / "data")
    ingest(source, tmp_path / "data")
    (tmp_path / "data" / "source.json").write_text("{}")
    (tmp_path / "data" / "items.parquet").write_bytes(b"PAR1")
    for load in (load_source, load_tables):
        with pytest.raises(DataError, match="is damaged"):
            load(tmp_path / "data")


def test_quarantine_is_a_csv_whatever_stood_in_the_row(source: Source, tmp_path: Path) -> None:
    assert source.interactions is not None
    with source.interactions.open("a") as log:
        log.write('"u\n,""x""",A,"ne\nver, ""said"""\n')
    ingest(source, tmp_path / "data")
    assert pl.read_csv(tmp_path / "data" / "quarantine.csv").rows() == [
        ("interactions", 2, "timestamp not understood", 'ne ver, "said"'),
    ]
