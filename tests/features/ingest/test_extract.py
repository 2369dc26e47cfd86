"""A shop's database: read like its files, only what is new, and never whom it is to forget."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from pydantic import ValidationError

from features.errors import DataError
from features.ingest.erased_users import ErasedUsers
from features.ingest.pipeline import ingest
from features.ingest.readers.database import extract
from features.ingest.source import Source
from features.ingest.table_store import load_source, load_tables, unchanged

ITEMS = [("tea", "Green tea", "3.5"), ("cup", "A cup, blue", None), ("pot", "Pot", "20")]
LOG = [
    ("00000000-0000-0000-0000-000000000001", "tea", "2024-05-01 10:00:00", 2, 1),
    ("00000000-0000-0000-0000-000000000002", "cup", "2024-05-02 11:30:00", 1, 2),
    ("00000000-0000-0000-0000-000000000001", "pot", "2024-05-03 09:15:00", 1, 3),
]
Execute = Callable[[str], Any]
SCHEMA = """
CREATE TABLE products (item_id TEXT, title TEXT, price NUMERIC(8, 2));
CREATE TABLE purchases (user_id UUID, item_id TEXT, timestamp TIMESTAMP, quantity INTEGER, id INTEGER, note TEXT);
"""


def row(user: str, item: str, when: str, quantity: int, number: int) -> str:
    return f"INSERT INTO purchases VALUES ('{user}', '{item}', '{when}', {quantity}, {number}, NULL)"


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A PostgreSQL of its own, on a socket; the folder of the socket."""
    pytest.importorskip("adbc_driver_postgresql", reason="the driver is not installed: pip install two-tower-recsys[postgres]")
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb")) or [Path(path) for path in [shutil.which("initdb")] if path]
    if not found:
        pytest.skip("no PostgreSQL on this machine: apt-get install postgresql")
    folder = Path(os.path.realpath(tmp_path_factory.mktemp("pg", numbered=True)))
    short = Path("/tmp") / f"recsys-pg-{os.getpid()}"  # a socket's path has 107 bytes
    short.mkdir(mode=0o777)
    user = ["runuser", "-u", "postgres", "--"] if os.getuid() == 0 else []
    if user:
        shutil.chown(short, "postgres")
    data = short / "data"

    def run(program: str, *words: str) -> None:
        with (folder / "said").open("w") as said:  # a pipe would stay open as long as the server runs
            done = subprocess.run([*user, str(found[-1].with_name(program)), *words], stdout=said, stderr=said, cwd="/", check=False)
        assert done.returncode == 0, (folder / "said").read_text()

    try:
        run("initdb", "-D", str(data), "-U", "shop", "-A", "trust", "--no-sync", "-E", "UTF8")
        run("pg_ctl", "-D", str(data), "-w", "-l", str(short / "log"), "-o", f"-k {short} -c listen_addresses='' -c fsync=off", "start")
        yield str(short)
        run("pg_ctl", "-D", str(data), "-m", "immediate", "stop")
    finally:
        shutil.rmtree(short, ignore_errors=True)


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[str, Execute]]:
    """Its uri, and what carries statements out, one at a time."""
    if request.param == "sqlite":
        with closing(sqlite3.connect(tmp_path / "shop.db", isolation_level=None)) as connection:
            yield f"sqlite:///{tmp_path}/shop.db", connection.execute
        return
    socket = request.getfixturevalue("server")
    from adbc_driver_postgresql import dbapi

    name = f"shop_{abs(hash(request.node.name))}"
    with dbapi.connect(f"postgresql://shop@/postgres?host={socket}", autocommit=True) as admin, admin.cursor() as cursor:
        cursor.execute(f"CREATE DATABASE {name}")
    uri = f"postgresql://shop@/{name}?host={socket}"
    with dbapi.connect(uri, autocommit=True) as connection, connection.cursor() as cursor:
        yield uri, cursor.execute


@pytest.fixture
def shop(database: tuple[str, Execute]) -> tuple[Source, Execute]:
    uri, execute = database
    for statement in SCHEMA.split(";")[:-1]:
        execute(statement)
    for item, title, price in ITEMS:
        execute(f"INSERT INTO products VALUES ('{item}', '{title}', {price or 'NULL'})")
    for values in LOG:
        execute(row(*values))
    sql = {
        "uri": uri,
        "items": "SELECT * FROM products ORDER BY item_id;",
        "interactions": "SELECT * FROM purchases ORDER BY id",
        "watermark": "id",
    }
    return Source.model_validate({"sql": sql}), execute


def users(source: Source) -> list[str]:
    assert source.interactions is not None
    return pl.read_parquet(source.interactions)["user_id"].cast(pl.String).to_list()


def test_the_same_tables_as_from_files(shop: tuple[Source, Execute], tmp_path: Path) -> None:
    source, _ = shop
    (tmp_path / "items.csv").write_text("item_id,title,price\n" + "".join(f'{i},"{t}",{p or ""}\n' for i, t, p in sorted(ITEMS)))
    (tmp_path / "log.csv").write_text(
        "user_id,item_id,timestamp,quantity\n" + "".join(",".join(map(str, values[:4])) + "\n" for values in LOG)
    )
    ingest(Source(items=tmp_path / "items.csv", interactions=tmp_path / "log.csv"), tmp_path / "of_files")
    files = extract(source, tmp_path / "extract", ErasedUsers())
    said = ingest(source, tmp_path / "of_database", files=files)
    assert (said.items.kept, said.interactions.kept, said.interactions.quarantined) == (3, 3, 0)
    for ours, theirs in zip(load_tables(tmp_path / "of_database"), load_tables(tmp_path / "of_files"), strict=True):
        assert ours.equals(theirs)
    assert load_source(tmp_path / "of_database") == source.absolute(), "so that the database is asked again"


def test_only_what_is_new_is_asked_for(shop: tuple[Source, Execute], tmp_path: Path) -> None:
    source, execute = shop
    folder = tmp_path / "extract"
    first = extract(source, folder, ErasedUsers())
    ingest(source, tmp_path / "data", files=first)
    assert unchanged(tmp_path / "data", extract(source, folder, ErasedUsers())), "nothing is new"
    execute("UPDATE purchases SET quantity = 9 WHERE id = 1")  # old: not asked for again
    late, new = "00000000-0000-0000-0000-000000000007", "00000000-0000-0000-0000-000000000008"
    execute(row(late, "cup", "2024-05-03 08:00:00", 1, 3))  # as new as the newest known, which came first
    execute(row(new, "tea", "2024-05-04 08:00:00", 1, 10))
    files = extract(source, folder, ErasedUsers())
    assert not unchanged(tmp_path / "data", files)
    assert files.interactions is not None
    found = pl.read_parquet(files.interactions).sort("id", "user_id")
    assert found["id"].to_list() == [1, 2, 3, 3, 10]
    assert found["user_id"].cast(pl.String).to_list()[2:] == [LOG[2][0], late, new]
    assert int(found["quantity"][0]) == 2
    everything = source.model_copy(update={"sql": source.sql and source.sql.model_copy(update={"watermark": None})})
    files = extract(everything, folder, ErasedUsers())
    assert files.interactions is not None
    assert int(pl.read_parquet(files.interactions).sort("id")["quantity"][0]) == 9
    assert len(list(folder.iterdir())) == 2, "what other queries gave is gone"


def test_erased_users_are_not_written_down(shop: tuple[Source, Execute], tmp_path: Path) -> None:
    source, execute = shop
    gone = LOG[0][0]
    erased = ErasedUsers().with_users([gone])
    assert users(extract(source, tmp_path / "extract", erased)) == [LOG[1][0]]
    execute(row(gone, "cup", "2024-05-05 08:00:00", 1, 11))
    execute(row(LOG[1][0], "cup", "2024-05-05 08:00:00", 1, 12))
    assert users(extract(source, tmp_path / "extract", erased)) == [LOG[1][0]] * 2


@pytest.mark.parametrize("name", ["USER_ID", "User Id", "userid"])
def test_erased_users_are_not_written_down_whatever_the_spelling_of_the_column(
    name: str, shop: tuple[Source, Execute], tmp_path: Path
) -> None:
    source, _ = shop
    assert source.sql is not None
    query = f'SELECT user_id AS "{name}", item_id, timestamp FROM purchases'
    other = source.model_copy(update={"sql": source.sql.model_copy(update={"interactions": query, "watermark": None})})
    files = extract(other, tmp_path / "extract", ErasedUsers().with_users([LOG[0][0]]))
    assert files.interactions is not None
    assert pl.read_parquet(files.interactions)[name].cast(pl.String).to_list() == [LOG[1][0]]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"interactions": "SELECT * FROM nowhere"}, "the database refuses"),
        ({"interactions": "DELETE FROM purchases"}, "the database refuses"),
        ({"watermark": "seq"}, "no column 'seq'; it has: user_id, item_id"),
        ({"watermark": "note"}, "the watermark 'note'"),
    ],
)
def test_what_cannot_be_read_is_one_line(changes: dict[str, str], said: str, shop: tuple[Source, Execute], tmp_path: Path) -> None:
    source, _ = shop
    assert source.sql is not None
    wrong = source.model_copy(update={"sql": source.sql.model_copy(update=changes)})
    with pytest.raises(DataError, match=said) as told:
        extract(wrong, tmp_path / "extract", ErasedUsers())
    assert "\n" not in str(told.value)
    assert users(extract(source, tmp_path / "extract", ErasedUsers())) == [values[0] for values in LOG], "and it can be read after that"


def test_a_database_that_is_not_there(tmp_path: Path) -> None:
    sql = {"uri": f"sqlite:///{tmp_path}/none.db", "interactions": "SELECT 1"}
    with pytest.raises(DataError, match="the database refuses"):
        extract(Source.model_validate({"sql": sql}), tmp_path / "extract", ErasedUsers())
    assert not (tmp_path / "none.db").exists()


@pytest.mark.parametrize(
    ("uri", "said"),
    [
        ("postgresql://shop:secret@host/name", "holds a password"),
        ("postgresql://host/name?user=shop&password=secret", "holds a password"),
        ("mysql://host/name", "no supported database"),
        ("sqlite:///", "no supported database"),
    ],
)
def test_an_address_that_is_refused(uri: str, said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        Source.model_validate({"sql": {"uri": uri, "interactions": "SELECT 1"}})


def test_more_rows_of_one_watermark_than_are_compared(
    shop: tuple[Source, Execute], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("features.ingest.readers.database.MOST_SAME", 1)
    source, execute = shop
    for number in range(4):
        execute(row(LOG[1][0], "cup", "2024-05-04 08:00:00", 1, 20))
        files = extract(source, tmp_path / "extract", ErasedUsers())
        assert len(users(files)) == 4 + number
    execute(row(LOG[1][0], "cup", "2024-05-05 08:00:00", 1, 21))
    assert len(users(extract(source, tmp_path / "extract", ErasedUsers()))) == 8


def test_an_erased_id_in_a_column_of_fractions(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "shop.db")) as connection, connection:
        connection.execute("CREATE TABLE log (user_id REAL, item_id TEXT, timestamp TEXT)")
        connection.executemany("INSERT INTO log VALUES (?, 'tea', '2024-05-01')", [(7,), (8,)])
    source = Source.model_validate({"sql": {"uri": f"sqlite:///{tmp_path}/shop.db", "interactions": "SELECT * FROM log"}})
    assert users(extract(source, tmp_path / "extract", ErasedUsers().with_users(["7"]))) == ["8.0"]
