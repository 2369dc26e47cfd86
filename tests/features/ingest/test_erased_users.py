"""Who was erased is known again by nothing but a salted hash."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import features.ingest.table_versions
from features.errors import DataError
from features.ingest.erased_users import ErasedUsers
from features.ingest.pipeline import ingest
from features.ingest.source import Source
from features.ingest.table_store import forget, load_quarantine, load_tables, users_among
from features.ingest.table_versions import in_use, versions


def test_the_file_names_nobody_and_still_knows_them(tmp_path: Path) -> None:
    path = tmp_path / "work" / "erased.json"
    ErasedUsers.read(path).with_users(["anna@example.org", "k\ud800"]).write(path)
    found = ErasedUsers.read(path)
    assert found.pending
    assert found.among(["bea", "anna@example.org", "k\ud800"]) == ["anna@example.org", "k\ud800"]
    assert b"anna" not in path.read_bytes()
    assert [entry.name for entry in path.parent.iterdir()] == ["erased.json"]
    other = ErasedUsers().with_users(["anna@example.org"])
    assert set(other.users).isdisjoint(found.users), "two shops' lists must not be comparable"


def test_erased_again_they_keep_their_first_date() -> None:
    once = ErasedUsers().with_users(["a"])
    early = once.model_copy(update={"users": {key: datetime(2020, 1, 1, tzinfo=UTC) for key in once.users}})
    assert early.with_users(["a"]).users == early.users
    assert early.since(datetime(2020, 1, 1, tzinfo=UTC)) == 1
    assert early.since(datetime(2020, 1, 1, tzinfo=UTC) + timedelta(seconds=1)) == 0


@pytest.mark.parametrize("content", [b"", b"{}x", b'{"salt": "00"}', b"\xff\xfe"])
def test_a_damaged_list_is_not_taken_for_an_empty_one(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "erased.json").write_bytes(content)
    with pytest.raises(DataError, match="is damaged.*backup"):
        ErasedUsers.read(tmp_path / "erased.json")


LOG = 'user_id,item_id,timestamp\nanna,A,2024-01-01\nbea,A,2024-01-02\nanna,A,yesterday\nanna,A\n"anna,A,2024-01-01\n'


@pytest.fixture
def source(tmp_path: Path) -> Source:
    (tmp_path / "items.csv").write_text("item_id,title\nA,=Apple()\n,nobody\n")
    (tmp_path / "log.csv").write_text(LOG)
    return Source(items=tmp_path / "items.csv", interactions=tmp_path / "log.csv")


def everything(folder: Path) -> str:
    """Text of all tables of every version."""
    found = [pl.read_parquet(path).write_csv() for path in sorted(folder.rglob("*.parquet"))]
    return "".join(found + [path.read_text() for path in sorted(folder.rglob("*")) if path.suffix in (".csv", ".json")])


def test_their_rows_go_and_do_not_come_back(source: Source, tmp_path: Path) -> None:
    out = tmp_path / "work" / "data"
    ingest(source, out)
    assert everything(out).count("anna") == 3
    erased = ErasedUsers().with_users(["anna"])
    assert forget(out, erased) == 2
    assert "anna" not in everything(out)
    assert "bea" in everything(out)
    assert load_quarantine(out)["table"].to_list() == ["items"]
    summary = ingest(source, out, erased)
    assert "anna" not in everything(out)
    assert summary.interactions.read == summary.interactions.kept + summary.interactions.quarantined
    assert summary.interactions.reasons["of an erased user"] == 3
    assert [path.name for path in out.parent.iterdir()] == ["data"]


@pytest.mark.parametrize("damaged", [False, True])
def test_they_leave_every_version_that_is_kept(damaged: bool, source: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "work" / "data"
    ingest(source, out)
    first = in_use(out)
    for path in first.iterdir():  # and the tables of before there were versions, and of writers that were killed
        for other in (out, out / ".tmp-killed" / "out", out.parent / ".data.before", first.with_name("99990101T000000000000Z")):
            other.mkdir(parents=True, exist_ok=True)
            (other / path.name).write_bytes(path.read_bytes())
    assert source.interactions is not None
    source.interactions.write_text("user_id,item_id,timestamp\nbea,A,2024-01-02\n")
    monkeypatch.setattr(features.ingest.table_versions, "remove_but", lambda *_: None)
    ingest(source, out)
    monkeypatch.undo()
    if damaged:
        (first / "interactions.parquet").write_bytes(b"PAR1 anna")
    erased = ErasedUsers().with_users(["anna"])
    assert users_among(out, erased) == {"anna"}
    assert forget(out, erased) == 0, "in the version in use they are no more"
    assert "anna" not in everything(out.parent)
    assert [path.name for path in out.parent.iterdir()] == ["data"]
    assert sorted(out.iterdir()) == sorted([out / "CURRENT", in_use(out)])
    assert load_tables(out)[1]["user_id"].to_list() == ["bea"]


def test_a_version_that_stays_is_told(source: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "work" / "data"
    ingest(source, out)
    first, right = in_use(out), shutil.rmtree

    def denied(path: Path, *given: Any, **options: Any) -> None:
        if path == first:
            raise PermissionError(13, "Permission denied")
        right(path, *given, **options)

    with monkeypatch.context() as patch:
        patch.setattr(shutil, "rmtree", denied)
        with pytest.raises(DataError, match="cannot be read or written .*Permission denied"):
            forget(out, ErasedUsers().with_users(["anna"]))
    forget(out, ErasedUsers().with_users(["anna"]))
    assert versions(out) == [in_use(out)]


def test_a_folder_without_tables_has_nobody_to_forget(tmp_path: Path) -> None:
    erased = ErasedUsers().with_users(["anna"])
    assert (users_among(tmp_path / "data", erased), forget(tmp_path / "data", erased)) == (set(), 0)
    assert not list(tmp_path.iterdir())
