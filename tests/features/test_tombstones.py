"""Who was erased is known again by nothing but a salted hash."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from features.errors import DataError
from features.ingest import ingest
from features.source import Source
from features.stored import forget, load_tables, remove_leftovers
from features.tombstones import Tombstones


def test_the_file_names_nobody_and_still_knows_them(tmp_path: Path) -> None:
    path = tmp_path / "work" / "erased.json"
    Tombstones.read(path).with_users(["anna@example.org", "k\ud800"]).write(path)
    found = Tombstones.read(path)
    assert found.pending
    assert found.among(["bea", "anna@example.org", "k\ud800"]) == ["anna@example.org", "k\ud800"]
    assert b"anna" not in path.read_bytes()
    assert [entry.name for entry in path.parent.iterdir()] == ["erased.json"]
    other = Tombstones().with_users(["anna@example.org"])
    assert set(other.users).isdisjoint(found.users), "two shops' lists must not be comparable"


def test_erased_again_they_keep_their_first_date() -> None:
    once = Tombstones().with_users(["a"])
    early = once.model_copy(update={"users": {key: datetime(2020, 1, 1, tzinfo=UTC) for key in once.users}})
    assert early.with_users(["a"]).users == early.users
    assert early.since(datetime(2020, 1, 1, tzinfo=UTC)) == 1
    assert early.since(datetime(2020, 1, 1, tzinfo=UTC) + timedelta(seconds=1)) == 0


@pytest.mark.parametrize("content", [b"", b"{}x", b'{"salt": "00"}', b"\xff\xfe"])
def test_a_damaged_list_is_not_taken_for_an_empty_one(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "erased.json").write_bytes(content)
    with pytest.raises(DataError, match="is damaged.*backup"):
        Tombstones.read(tmp_path / "erased.json")


LOG = 'user_id,item_id,timestamp\nanna,A,2024-01-01\nbea,A,2024-01-02\nanna,A,yesterday\nanna,A\n"anna,A,2024-01-01\n'


@pytest.fixture
def source(tmp_path: Path) -> Source:
    (tmp_path / "items.csv").write_text("item_id,title\nA,=Apple()\n,nobody\n")
    (tmp_path / "log.csv").write_text(LOG)
    return Source(items=tmp_path / "items.csv", interactions=tmp_path / "log.csv")


def everything(folder: Path) -> str:
    log = load_tables(folder)[1]
    return log.write_csv() + (folder / "quarantine.csv").read_text() + (folder / "source.json").read_text()


def test_their_rows_go_and_do_not_come_back(source: Source, tmp_path: Path) -> None:
    out = tmp_path / "work" / "data"
    ingest(source, out)
    assert everything(out).count("anna") == 3
    erased = Tombstones().with_users(["anna"])
    assert forget(out, erased) == 1
    assert "anna" not in everything(out)
    assert "bea" in everything(out)
    assert pl.read_csv(out / "quarantine.csv")["table"].to_list() == ["items"]
    summary = ingest(source, out, erased)
    assert "anna" not in everything(out)
    assert summary.interactions.read == summary.interactions.kept + summary.interactions.quarantined
    assert summary.interactions.reasons["of an erased user"] == 2
    assert [path.name for path in out.parent.iterdir()] == ["data"]


def test_what_a_killed_writer_left_is_removed(source: Source, tmp_path: Path) -> None:
    out = tmp_path / "work" / "data"
    ingest(source, out)
    (out.parent / ".data.abc" / "out").mkdir(parents=True)
    (out.parent / ".data.before").mkdir()
    remove_leftovers(out)
    assert [path.name for path in out.parent.iterdir()] == ["data"]
    out.rename(out.parent / ".data.before")
    remove_leftovers(out)
    assert load_tables(out)[1].height, "killed between the two renames the old tables are all there is"
