"""The reader of json lines: one object a line."""

from __future__ import annotations

import ast
import html
import warnings
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING, Any

import polars as pl

from features.ingest.readers.json_text import Losses, names_for, parsed, separator_for, text_of
from features.ingest.readers.raw_table import RawTable, Spool, TableSpec, text_column

if TYPE_CHECKING:
    import io

BATCH = 20_000  # json lines held at once


def read_json(text: io.TextIOWrapper, spool: Spool) -> RawTable:
    """Read a text with one JSON object a line."""
    spec = spool.spec
    seen: dict[str, None] = {}
    losses = {ours: Losses() for ours in spec.columns}
    read = 0
    lines = enumerate(text, start=1)
    while batch := list(islice(lines, BATCH)):
        rows: list[int] = []
        records: list[dict[str, Any]] = []
        for number, line in batch:
            if not line.strip():
                continue
            record = _parse(line, python=spec.layout.python)
            if isinstance(record, dict):
                found = [record] if spec.layout.records is None else list(spec.layout.records(record))
                rows += [number] * len(found)
                records += found
                read += len(found)
            else:
                read += 1
                spool.reject(number, "not a JSON object", line.strip())
        if spool.full:
            raise spool.error()
        for record in records:
            seen.update(dict.fromkeys(record))
        columns = {
            ours: text_column([_value(record, theirs, spec, ours, losses[ours]) for record in records])
            for ours, theirs in spec.columns.items()
        }
        spool.add(pl.DataFrame({"row": pl.Series(rows, dtype=pl.Int64), **columns}))
    table = spool.table(read)
    found = spec.find(list(seen)) if seen else {}
    notes = tuple(note for ours in found for note in losses[ours].notes(ours))
    return replace(table, frame=table.frame.select("row", *found), notes=notes)


def _parse(line: str, python: bool) -> Any:
    """Return the value of a line of JSON, or None. `python` allows Python literals, as in some Amazon files of 2014."""
    try:
        return parsed(line)
    except (ValueError, RecursionError):
        pass
    if python:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # odd escapes within titles
                return ast.literal_eval(line.strip())
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            pass
    return None


def _value(record: dict[str, Any], names: tuple[str, ...], spec: TableSpec, ours: str, losses: Losses) -> str | None:
    value = next((record[name] for name in names if record.get(name) is not None), None)
    try:
        text = text_of(value, separator_for(ours), losses, names_for(ours))
    except RecursionError:
        losses.drop("thousands of objects in one another")
        text = None
    return html.unescape(text) if text and spec.layout.python else text
