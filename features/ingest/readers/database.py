"""The extract of a database: results of queries as Parquet files, which are read like a shop's own.

With a watermark, only rows at or above the highest known one are queried: more rows with that same value may have arrived since.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any, Protocol

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from features.errors import DataError, disk_errors, one_line
from features.ingest.optional_tables import OPTIONAL
from features.ingest.profile.column_names import other_spellings
from features.ingest.values.ids import as_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from features.ingest.erased_users import ErasedUsers
    from features.ingest.source import Source, SqlSource

BATCH = 50_000  # rows held at once
MOST_SAME = 100_000  # rows with the newest watermark that are compared, to detect that nothing is new
_TYPES = {"integer": pa.int64(), "real": pa.float64()}  # of a watermark, by SQLite's type


class Database(Protocol):
    """An open connection for reading."""

    def read(self, query: str, watermark: str | None, since: object = None) -> pa.RecordBatchReader:
        """Return rows of a query, those at or above `since`. Columns other than numbers and times are text."""
        ...


def extract(source: Source, folder: Path, erased: ErasedUsers) -> Source:
    """Run a source's queries without erased users, and return the source with files in `folder` in their place.

    Raises
    ------
    DataError
        If the database cannot be reached or refuses a query, or the watermark's column has a type that cannot grow.
    """
    sql = source.sql
    assert sql is not None
    key = hashlib.sha256(sql.model_dump_json().encode()).hexdigest()[:16]
    paths = {"interactions": folder / f"interactions-{key}.parquet"}
    users = source.interactions_columns.get("user_id", "user_id")
    try:
        with disk_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
            with _connected(sql) as database:
                _update(paths["interactions"], database, sql, lambda batch: _without(batch, users, erased))
                if sql.items is not None:
                    paths["items"] = folder / f"items-{key}.parquet"
                    _write(database.read(sql.items, None), paths["items"], lambda batch: batch)
                for name in OPTIONAL:
                    if (query := getattr(sql, name)) is not None:
                        paths[name] = folder / f"{name}-{key}.parquet"
                        theirs = getattr(source, f"{name}_columns").get("user_id", "user_id")
                        _write(database.read(query, None), paths[name], lambda batch, theirs=theirs: _without(batch, theirs, erased))
            for path in set(folder.iterdir()) - set(paths.values()):  # of other queries, or of a killed process
                path.unlink()
    except (pa.ArrowException, pl.exceptions.PolarsError) as error:
        raise DataError(f"{folder} is damaged ({one_line(error)[:200]}): remove it") from error
    return source.model_copy(update={"sql": None} | paths)


def _update(path: Path, database: Database, sql: SqlSource, keep: Callable[[pa.RecordBatch], pa.RecordBatch]) -> None:
    column = sql.watermark
    since = pl.scan_parquet(path).select(pl.col(column).max()).collect().item() if column and path.is_file() else None
    if since is None:
        _write(database.read(sql.interactions, column), path, keep)
        if column and (empty := pl.scan_parquet(path).select(pl.col(column).null_count()).collect().item()):
            path.unlink()
            raise DataError(f"the watermark {column!r} is empty in {empty:,} rows: expected a value in each row, or no watermark")
        return
    new = path.with_name(f".new-{path.name}")
    _write(database.read(sql.interactions, column, since), new, keep)
    known, later = pl.scan_parquet(path), pl.scan_parquet(new)
    newest = known.filter(pl.col(str(column)) == since)
    seen, now = (frame.head(MOST_SAME + 1).collect() for frame in (newest, later))
    if now.height > MOST_SAME or not now.equals(seen):
        whole = path.with_name(f".whole-{path.name}")
        pl.concat([known.filter(pl.col(str(column)) < since), later]).sink_parquet(whole)
        os.replace(whole, path)


def _write(rows: pa.RecordBatchReader, path: Path, keep: Callable[[pa.RecordBatch], pa.RecordBatch]) -> None:
    temporary = path.with_name(f".tmp-{path.name}")
    with pq.ParquetWriter(temporary, rows.schema) as writer:
        for batch in rows:
            writer.write_batch(keep(batch))
    os.replace(temporary, path)


def _without(batch: pa.RecordBatch, users: str, erased: ErasedUsers) -> pa.RecordBatch:
    users = other_spellings([users], batch.schema.names).get(users, users)
    if not erased.users or users not in batch.schema.names:
        return batch
    raw = pl.Series(batch.column(users))
    ids = pl.select(as_text(pl.lit(raw), raw.dtype)).to_series()
    gone = erased.among(ids.unique().drop_nulls())
    return batch.filter(pa.array(~ids.is_in(gone).fill_null(value=False)))


@contextmanager
def _connected(sql: SqlSource) -> Iterator[Database]:
    """Connect, and turn errors of drivers into one line."""
    if sql.sqlite is not None:
        with _refusals(sqlite3.Error), closing(sqlite3.connect(f"{sql.sqlite.absolute().as_uri()}?mode=ro", uri=True)) as connection:
            yield _SQLite(connection.cursor())
        return
    try:
        from adbc_driver_postgresql import dbapi
    except ImportError:
        advice = 'pip install "two-tower-recsys[postgres]"'
        raise DataError(f"PostgreSQL is read through its ADBC driver, which is not installed: `{advice}`") from None
    with _refusals(dbapi.Error), dbapi.connect(sql.uri) as connection, connection.cursor() as cursor:
        yield _PostgreSQL(cursor)


@contextmanager
def _refusals(error: type[Exception]) -> Iterator[None]:
    try:
        yield
    except error as refused:
        raise DataError(f"the database refuses ({' '.join(str(refused).split())[:300]}): check source.sql") from refused


def _query(query: str, columns: list[str], watermark: str | None, since: object) -> str:
    """Compose the query. The value is quoted, not bound: PostgreSQL gives a quoted value the column's type."""
    where = ""
    if since is not None and watermark is not None:
        value = str(since) if isinstance(since, int | float) else f"'{str(since).replace(chr(39), chr(39) * 2)}'"
        where = f" WHERE {_quoted(watermark)} >= {value}"
    return f"SELECT {', '.join(columns)} FROM ({query.rstrip().rstrip(';')}) AS result{where}"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _as_text(name: str) -> str:
    return f"CAST({_quoted(name)} AS TEXT) AS {_quoted(name)}"


def _known(watermark: str | None, names: list[str]) -> None:
    if watermark is not None and watermark not in names:
        raise DataError(f"the log's query has no column {watermark!r}; it has: {', '.join(names[:20])}: check source.sql.watermark")


class _SQLite:
    """SQLite. A column may hold values of any type, so all but the watermark are read as text."""

    def __init__(self, cursor: sqlite3.Cursor) -> None:
        self._cursor = cursor

    def read(self, query: str, watermark: str | None, since: object = None) -> pa.RecordBatchReader:
        names = [about[0] for about in self._cursor.execute(_query(query, ["*"], None, None) + " LIMIT 0").description]
        _known(watermark, names)
        kind: pa.DataType = pa.string()
        if watermark is not None:
            kinds = {row[0] for row in self._cursor.execute(_query(query, [f"DISTINCT typeof({_quoted(watermark)})"], None, None))}
            if len(kinds) > 1 or kinds - {"integer", "real", "text"}:
                raise DataError(
                    f"the watermark {watermark!r} holds {' and '.join(sorted(kinds))} values: expected one type in all rows, and none empty"
                )
            kind = _TYPES.get(next(iter(kinds), ""), kind)
        schema = pa.schema([(name, kind if name == watermark else pa.string()) for name in names])
        columns = [_quoted(name) if name == watermark else _as_text(name) for name in names]
        rows = self._cursor.execute(_query(query, columns, watermark, since))

        def batches() -> Iterator[pa.RecordBatch]:
            while batch := rows.fetchmany(BATCH):
                columns = zip(*batch, strict=True)
                yield pa.record_batch([pa.array(column, field.type) for column, field in zip(columns, schema, strict=True)], schema=schema)

        return pa.RecordBatchReader.from_batches(schema, batches())


class _PostgreSQL:
    """PostgreSQL. Numbers and times keep their types; types that Arrow lacks (numeric, uuid, json) are read as text."""

    def __init__(self, cursor: Any) -> None:
        self._cursor = cursor

    def read(self, query: str, watermark: str | None, since: object = None) -> pa.RecordBatchReader:
        self._cursor.execute(_query(query, ["*"], None, None) + " LIMIT 0")
        schema = self._cursor.fetch_arrow_table().schema
        _known(watermark, schema.names)
        if watermark is not None and not _grows(schema.field(watermark).type):
            raise DataError(
                f"the watermark {watermark!r} is of type {schema.field(watermark).type}: expected a whole number, a date or a time"
            )
        columns = [_quoted(field.name) if _plain(field.type) else _as_text(field.name) for field in schema]
        self._cursor.execute(_query(query, columns, watermark, since))
        return self._cursor.fetch_record_batch()


def _grows(kind: pa.DataType) -> bool:
    return pa.types.is_integer(kind) or pa.types.is_timestamp(kind) or pa.types.is_date(kind)


def _plain(kind: pa.DataType) -> bool:
    return _grows(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind) or pa.types.is_string(kind)
