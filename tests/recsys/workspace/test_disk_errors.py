"""What the disk refuses while a workspace or its bundles are changed: the file is named, and reading is told from writing."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from features.errors import BundleError, DataError
from features.ingest.erased_users import ErasedUsers
from features.ingest.source import Source
from features.ingest.table_store import ITEMS, forget
from features.ingest.table_versions import in_use
from recsys.artifacts.publish import publish, rewrite
from recsys.workspace.workspace import Workspace


def test_a_file_that_cannot_be_read_under_the_lock_is_not_called_unwritable(tmp_path: Path) -> None:
    for read in (Path.read_bytes, pl.read_parquet):
        with pytest.raises(DataError, match=r"gone cannot be read \(No such file or directory\)"), Workspace(tmp_path / "work").alone():
            read(tmp_path / "gone")


def test_a_lock_that_cannot_be_made_and_a_second_holder(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match="file cannot be written"), Workspace(tmp_path / "file").alone():
        pass
    workspace = Workspace(tmp_path / "work")
    for _ in range(2):  # an error inside leaves no lock behind
        with pytest.raises(ZeroDivisionError), workspace.alone():
            raise ZeroDivisionError
    with workspace.alone(), pytest.raises(DataError, match="at work in"), workspace.alone():
        pass


def test_a_full_disk_beside_a_source_is_not_a_fault_of_the_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = pl.DataFrame.write_parquet
    monkeypatch.setattr(pl.DataFrame, "write_parquet", lambda frame, _, **options: write(frame, "/dev/full", **options))
    (tmp_path / "log.csv").write_text("user_id,item_id,timestamp,title\nu,i,2024-01-01,tea\n")
    with pytest.raises(DataError, match=r"cannot be written \(No space left on device\)") as raised:
        Workspace(tmp_path / "work").ingest(Source(interactions=tmp_path / "log.csv"))
    assert "log.csv" not in str(raised.value)


def test_a_full_disk_does_not_make_the_tables_damaged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "log.csv").write_text("user_id,item_id,timestamp,title\nu,i,2024-01-01,tea\nv,i,2024-01-01,tea\n")
    workspace = Workspace(tmp_path / "work")
    workspace.ingest(Source(interactions=tmp_path / "log.csv"))
    sink = pl.LazyFrame.sink_parquet
    monkeypatch.setattr(pl.LazyFrame, "sink_parquet", lambda frame, _, **options: sink(frame, "/dev/full", **options))
    with pytest.raises(DataError, match=r"data cannot be written \(No space left on device\)"):
        forget(workspace.data, ErasedUsers().with_users(["u"]))


def test_damaged_tables_are_not_called_missing(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text("user_id,item_id,timestamp,title\nu,i,2024-01-01,tea\n")
    workspace = Workspace(tmp_path / "work")
    with pytest.raises(DataError, match="no data in"):
        workspace.load()
    workspace.ingest(Source(interactions=tmp_path / "log.csv"))
    (in_use(workspace.data) / ITEMS).write_bytes(b"PAR1")
    with pytest.raises(DataError, match="is damaged"):
        workspace.load()


def test_what_a_change_cannot_read_is_not_called_unwritable(tmp_path: Path) -> None:
    publish(tmp_path / "bundles", {"text": b"one"}, {})

    def change(_: object) -> None:
        (tmp_path / "gone").read_bytes()

    with pytest.raises(BundleError, match=r"gone cannot be read \(No such file or directory\).*the bundle in use is still whole"):
        rewrite(tmp_path / "bundles", change)
