"""Four files as one: whatever fails, what was there before is still there."""

from __future__ import annotations

import os
from pathlib import Path

import polars as pl
import pytest

import features.ingest.pipeline
import features.ingest.table_versions
from features.errors import DataError
from features.ingest.pipeline import ingest
from features.ingest.source import Source
from features.ingest.table_store import is_ingested, load_quarantine, load_source, load_tables, table_digests, unchanged
from features.ingest.table_versions import in_use, versions

FILES = {"items.parquet", "interactions.parquet", "quarantine.csv", "source.json", "profile.json", "log_ids.parquet"}


@pytest.fixture
def source(tmp_path: Path) -> Source:
    (tmp_path / "items.csv").write_text("item_id,title\nA,Apple\n")
    (tmp_path / "log.csv").write_text("user_id,item_id,timestamp\nu,A,2024-01-01\n")
    return Source(items=tmp_path / "items.csv", interactions=tmp_path / "log.csv")


def state(out: Path) -> dict[str, bytes]:
    """Of the version in use."""
    return {path.name: path.read_bytes() for path in in_use(out).iterdir()}


def bare(out: Path) -> None:
    """As the tables lay before there were versions: the four files in the folder itself."""
    for path in in_use(out).iterdir():
        path.rename(out / path.name)
    for path in versions(out):
        path.rmdir()
    (out / "CURRENT").unlink()


def grow(source: Source) -> None:
    assert source.interactions is not None
    with source.interactions.open("a") as log:
        log.write("v,A,2024-01-02\n")


def add(source: Source, item: str) -> None:
    """A product, and its first purchase."""
    assert source.items is not None
    assert source.interactions is not None
    with source.items.open("a") as items, source.interactions.open("a") as log:
        items.write(f"{item},New\n")
        log.write(f"v,{item},2024-01-02\n")


def test_it_replaces_everything_and_keeps_the_version_before(source: Source, tmp_path: Path) -> None:
    out = tmp_path / "work" / "data"
    for height in (1, 2, 3):
        ingest(source, out)
        grow(source)
        assert set(state(out)) == FILES
        assert load_tables(out)[1].height == height
    assert [path.name for path in out.parent.iterdir()] == ["data"]
    assert sorted(path.name for path in out.iterdir()) == sorted(["CURRENT", *(path.name for path in versions(out))])
    assert [pl.read_parquet(path / "interactions.parquet").height for path in versions(out)] == [3, 2]


@pytest.mark.parametrize(
    ("module", "step"),
    [
        (features.ingest.pipeline, "_write_tables"),
        (features.ingest.pipeline, "publish"),
        (features.ingest.table_versions, "sync"),
        (os, "rename"),
        (features.ingest.table_versions, "replace_durably"),
    ],
)
def test_a_failure_at_any_step_changes_nothing(module, step: str, source: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "work" / "data"
    ingest(source, out)
    before = state(out)
    grow(source)

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(module, step, fail)
        with pytest.raises(DataError, match="cannot be written .*No space left on device"):
            ingest(source, out)
    assert state(out) == before
    assert not list(out.glob(".tmp-*"))
    ingest(source, out)
    assert [pl.read_parquet(path / "interactions.parquet").height for path in versions(out)] == [2, 1]


def test_a_reader_takes_both_tables_from_one_version_whatever_a_writer_does(
    source: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "data"
    ingest(source, out)
    right, calls = pl.read_parquet, []

    def interrupted(path: Path) -> pl.DataFrame:
        calls.append(path)
        if len(calls) == 2:  # between the two tables
            add(source, "B")
            ingest(source, out)
        return right(path)

    monkeypatch.setattr(pl, "read_parquet", interrupted)
    items, log = load_tables(out)
    assert (items["item_id"].to_list(), log["item_id"].to_list()) == (["A"], ["A"])
    assert len({path.parent for path in calls}) == 1
    items, log = load_tables(out)
    assert (items["item_id"].to_list(), log["item_id"].to_list()) == (["A", "B"], ["A", "B"])


def test_a_reader_whose_version_went_reads_the_one_in_use_once(source: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "data"
    ingest(source, out)
    right, calls = pl.read_parquet, []

    def overtaken(path: Path) -> pl.DataFrame:
        calls.append(path)
        if len(calls) == 1:
            grow(source)
            ingest(source, out)
            ingest(source, out)
        return right(path)

    monkeypatch.setattr(pl, "read_parquet", overtaken)
    assert load_tables(out)[1].height == 2
    assert len(calls) == 3

    def always(path: Path) -> pl.DataFrame:
        ingest(source, out)
        ingest(source, out)
        return right(path)

    monkeypatch.setattr(pl, "read_parquet", always)
    with pytest.raises(DataError, match="does not exist"):
        load_tables(out)


def test_readers_write_nothing_and_mend_nothing(source: Source, tmp_path: Path) -> None:
    out = tmp_path / "data"
    ingest(source, out)
    (out / ".tmp-killed" / "out").mkdir(parents=True)
    (tmp_path / ".data.before").mkdir()
    ways = (load_source, load_tables, load_quarantine, table_digests, is_ingested, lambda out: unchanged(out, source))
    before = sorted(tmp_path.rglob("*"))
    for read in ways:
        assert read(out) is not None
    assert sorted(tmp_path.rglob("*")) == before
    out.rename(tmp_path / "gone")
    for read in (load_source, load_tables):
        with pytest.raises(DataError, match="does not exist: run `recsys ingest` first"):
            read(out)
    assert not out.exists()


@pytest.mark.parametrize("named", [True, False])
def test_what_killed_writers_left_goes_with_the_next(named: bool, source: Source, tmp_path: Path) -> None:
    out = tmp_path / "data"
    ingest(source, out)
    now = in_use(out)
    orphan = now.with_name("99990101T000000000000Z")  # it had its name, and CURRENT was not replaced any more
    for path in (orphan, out / ".tmp-killed" / "out", tmp_path / ".data.killed"):
        path.mkdir(parents=True)
    (out / ".tmp-CURRENT").write_text("9")
    if not named:
        (out / "CURRENT").unlink()
    ingest(source, out)
    left = [in_use(out), now] if named else [in_use(out)]
    assert sorted(out.iterdir()) == sorted([out / "CURRENT", *left])
    assert not (tmp_path / ".data.killed").exists()


def test_tables_of_before_versions_are_read_as_they_are_and_go_with_the_second_writer(source: Source, tmp_path: Path) -> None:
    out = tmp_path / "data"
    ingest(source, out)
    bare(out)
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    assert set(before) == FILES
    assert (load_source(out), load_tables(out)[1].height, is_ingested(out), unchanged(out, source)) == (source, 1, True, True)
    grow(source)
    ingest(source, out)
    assert load_tables(out)[1].height == 2
    assert {path.name: path.read_bytes() for path in out.iterdir() if path.name in FILES} == before, "somebody may be reading them"
    ingest(source, out)
    assert sorted(path.name for path in out.iterdir()) == sorted(["CURRENT", *(path.name for path in versions(out))])


def test_a_damaged_current_is_told_and_mended_by_the_next_ingest(source: Source, tmp_path: Path) -> None:
    out = tmp_path / "data"
    for content in (b"", b"\xff\n", b"../elsewhere\n"):
        ingest(source, out)
        (out / "CURRENT").write_bytes(content)
        with pytest.raises(DataError, match="CURRENT is damaged: .* run `recsys ingest` again"):
            load_tables(out)
        ingest(source, out)
        assert load_tables(out)[1].height == 1
        assert len(versions(out)) == 1


def test_other_files_in_the_folder_stay(source: Source, tmp_path: Path) -> None:
    for _ in range(3):
        ingest(source, tmp_path)
    assert {"items.csv", "log.csv"} < {path.name for path in tmp_path.iterdir()}
    with pytest.raises(DataError, match="cannot be written .*File exists"):
        ingest(source, tmp_path / "items.csv")


def test_nothing_ingested_and_damage_are_told(source: Source, tmp_path: Path) -> None:
    for load in (load_source, load_tables):
        with pytest.raises(DataError, match="does not exist: run `recsys ingest` first"):
            load(tmp_path / "data")
    ingest(source, tmp_path / "data")
    (in_use(tmp_path / "data") / "source.json").write_text("{}")
    (in_use(tmp_path / "data") / "items.parquet").write_bytes(b"PAR1")
    for load in (load_source, load_tables):
        with pytest.raises(DataError, match="is damaged"):
            load(tmp_path / "data")


def test_quarantine_is_a_csv_whatever_stood_in_the_row(source: Source, tmp_path: Path) -> None:
    assert source.interactions is not None
    with source.interactions.open("a") as log:
        log.write('"u\n,""x""",A,"ne\nver, ""said"""\n')
    ingest(source, tmp_path / "data")
    assert load_quarantine(tmp_path / "data").rows() == [
        ("interactions", "2", "timestamp not understood", 'ne ver, "said"'),
    ]
