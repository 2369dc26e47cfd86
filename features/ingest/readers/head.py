"""The head of a file: its columns and first rows, by which its format is recognised and its columns are described."""

from __future__ import annotations

import csv
import json
from itertools import islice
from typing import TYPE_CHECKING

import polars as pl

from features.ingest.readers.delimited import header
from features.ingest.readers.raw_table import TableHead, text_column
from features.ingest.readers.text import open_text

if TYPE_CHECKING:
    from pathlib import Path

SAMPLE = 1_000  # rows


def read_head(path: Path, suffix: str, encoding: str) -> TableHead:
    """Return the columns and first rows of a file.

    Raises
    ------
    DataError
        If the file cannot be read, or has no header.
    """
    if suffix == ".parquet":
        frame = pl.scan_parquet(path).head(SAMPLE).collect()
        return TableHead(frame.select(_as_shown(column) for column in frame))
    with open_text(path, encoding) as text:
        if suffix in (".csv", ".tsv"):
            names, separator = header(path, text, "\t" if suffix == ".tsv" else None)
            rows = list(islice(csv.reader(text, delimiter=separator), SAMPLE))
            columns = {name: text_column([row[i] if i < len(row) else None for row in rows]) for i, name in enumerate(names)}
            return TableHead(pl.DataFrame(columns), encoding, separator)
        records = []
        for line in islice(text, SAMPLE):
            try:
                record = json.loads(line)
            except (ValueError, RecursionError):
                continue
            if isinstance(record, dict):
                records.append(record)
        found = dict.fromkeys(name for record in records for name in record)
        columns = {name: text_column([_shown(record.get(name)) for record in records]) for name in found}
        return TableHead(pl.DataFrame(columns), encoding)


def _as_shown(column: pl.Series) -> pl.Series:
    if column.dtype.is_nested():
        return pl.Series(column.name, [_shown(value) for value in column.to_list()], dtype=pl.String)
    return column.cast(pl.String, strict=False)


def _shown(value: object) -> str | None:
    return value if value is None or isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
