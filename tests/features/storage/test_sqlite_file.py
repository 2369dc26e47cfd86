"""SQLite files that threads and processes share, and from which a person's rows go for good."""

from __future__ import annotations

import sqlite3
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from features.errors import DataError
from features.storage.sqlite_file import SqliteFile


def made(connection: sqlite3.Connection) -> None:
    connection.execute("CREATE TABLE IF NOT EXISTS notes (person TEXT, note TEXT)")


@pytest.fixture
def file(tmp_path: Path) -> SqliteFile:
    return SqliteFile(tmp_path / "notes" / "notes.sqlite", "notes", made)


def add(file: SqliteFile, person: str, note: str) -> None:
    with file.writing() as connection:
        connection.execute("INSERT INTO notes VALUES (?, ?)", (person, note))


def test_only_its_owner_reads_it(file: SqliteFile) -> None:
    assert not file.exists
    add(file, "anna", "hello")
    assert file.exists
    assert stat.S_IMODE(file.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.path.parent.stat().st_mode) == 0o700


def test_threads_write_at_once(file: SqliteFile) -> None:
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda number: add(file, "anna", str(number)), range(40)))
    with file.connected() as connection:
        assert connection.execute("SELECT count(*) FROM notes").fetchone() == (40,)


def test_what_was_erased_stands_nowhere(file: SqliteFile) -> None:
    for number in range(50):
        add(file, "anna", f"secret-{number} " * 50)
        add(file, "ben", "kept")
    assert file.erase("DELETE FROM notes WHERE person = ?", ["anna", "nobody"]) == 50
    content = b"".join(path.read_bytes() for path in file.path.parent.iterdir())
    assert b"secret-" not in content
    assert b"kept" in content
    assert file.erase("DELETE FROM notes WHERE person = ?", []) == 0


def test_a_reader_is_not_hurt_and_the_erasure_says_to_repeat_it(file: SqliteFile, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("features.storage.sqlite_file.BUSY_SECONDS", 0.1)
    add(file, "anna", "secret")
    other = SqliteFile(file.path, "notes", made)
    with other.connected() as reader:
        reader.execute("BEGIN")
        assert reader.execute("SELECT note FROM notes").fetchall() == [("secret",)]
        with pytest.raises(DataError, match="erase again"):
            file.erase("DELETE FROM notes WHERE person = ?", ["anna"])
        reader.rollback()
    assert file.erase("DELETE FROM notes WHERE person = ?", ["anna"]) == 0
    assert b"secret" not in b"".join(path.read_bytes() for path in file.path.parent.iterdir())


def test_nothing_is_made_by_erasing(file: SqliteFile) -> None:
    assert file.erase("DELETE FROM notes WHERE person = ?", ["anna"]) == 0
    assert not file.exists


def test_what_is_no_database_is_said_in_one_line(file: SqliteFile) -> None:
    file.path.parent.mkdir()
    file.path.write_bytes(b"no database at all" * 100)
    with pytest.raises(DataError, match=r"the notes in .*notes\.sqlite cannot be read or written"), file.connected():
        pass
