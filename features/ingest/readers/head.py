"""The head of a file: its columns and first rows, by which its format is recognised and its columns are described."""

from __future__ import annotations

import json
from decimal import Decimal
from itertools import islice
from typing import TYPE_CHECKING

import polars as pl

from features.ingest.readers.dialect import LOOK, sniff
from features.ingest.readers.json_records import json_records
from features.ingest.readers.raw_table import TableHead, text_column
from features.ingest.readers.text import open_text
from features.ingest.readers.xml_records import xml_records

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from features.ingest.readers.kinds import FileKind
    from features.ingest.readers.text import Encoding

SAMPLE = LOOK  # rows


def read_head(path: Path, kind: FileKind, encoding: Encoding) -> TableHead:
    """Return the columns and first rows of a file.

    Raises
    ------
    DataError
        If the file cannot be read, or has no header.
    """
    if kind.kind == "parquet":
        frame = pl.scan_parquet(path).head(SAMPLE).collect()
        return TableHead(frame.select(_as_shown(column) for column in frame))
    if kind.kind == "xml":
        return TableHead(_sample(record for _, record, _ in xml_records(path)))
    if kind.kind == "json":
        return TableHead(_sample(record for _, record, _ in json_records(path, lambda: open_text(path, encoding))), encoding.name)
    with open_text(path, encoding) as text:
        dialect = sniff(path, text, kind.separator)
    columns = {
        name: text_column([row[i] if i < len(row) else None for row in dialect.sample]) for i, name in enumerate(dialect.names) if name
    }
    return TableHead(pl.DataFrame(columns), encoding.name, dialect.separator)


def _sample(records: Iterable[object]) -> pl.DataFrame:
    first = [record for record in islice(records, SAMPLE) if isinstance(record, dict)]
    found = dict.fromkeys(name for record in first for name in record)
    return pl.DataFrame({name: text_column([_shown(record.get(name)) for record in first]) for name in found})


def _as_shown(column: pl.Series) -> pl.Series:
    if column.dtype.is_nested():
        return pl.Series(column.name, [_shown(value) for value in column.to_list()], dtype=pl.String)
    return column.cast(pl.String, strict=False)


def _shown(value: object) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return str(value) if isinstance(value, Decimal) else json.dumps(value, ensure_ascii=False, default=str)
