"""The reader of records: JSON in lines, arrays, answers of an interface or one object after the other, and whatever gives mappings.

Each record is a mapping of names to values, and a layout may make several rows of it. Lines are read one by one; JSON in one piece is
held whole.
"""

from __future__ import annotations

import ast
import html
import json
import re
import warnings
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING, Any

import polars as pl

from features.errors import DataError
from features.ingest.readers.raw_table import RawTable, Spool, TableSpec, text_column
from features.ingest.values.named_values import attributes_of, holds_attributes
from features.ingest.values.nested import DECODER, Losses, names_for, parsed, separator_for, text_of

if TYPE_CHECKING:
    import io
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

BATCH = 20_000  # records held at once
LARGEST = 256 << 20  # characters of JSON that is not in lines; in memory it takes up to ten times as much
_BETWEEN = re.compile(r"[\s,]*")
_ID = re.compile(
    r"(^|_)(id|ids|gid|sku|asin|user|customer|client|visitor|account|email|item|product|title|name|timestamp|date)$|[a-z](Id|ID)$"
)

Numbered = tuple[int, Any, str]  # number of the record, the record, its text


def read_records(numbered: Iterator[Numbered], spool: Spool) -> RawTable:
    """Store records; one that is no mapping is set aside."""
    spec = spool.spec
    seen: dict[str, None] = {}
    losses = {ours: Losses() for ours in spec.columns}
    read = 0
    while batch := list(islice(numbered, BATCH)):
        rows: list[int] = []
        records: list[dict[str, Any]] = []
        for number, record, text in batch:
            if isinstance(record, dict):
                found = [record] if spec.layout.records is None else list(spec.layout.records(record))
                reason = None if found else "a record without rows"
            else:
                found, reason = [], "not a JSON object"
            if reason:
                read += 1
                spool.reject(number, reason, text.strip() or json.dumps(record, ensure_ascii=False, default=str))
            rows += [number] * len(found)
            records += found
            read += len(found)
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


def json_records(path: Path, reopen: Callable[[], AbstractContextManager[io.TextIOWrapper]], python: bool = False) -> Iterator[Numbered]:
    """Yield the records of a JSON text. Records in lines are numbered by their lines, others by their order.

    Raises
    ------
    DataError
        If a text that is not in lines is damaged, or larger than `LARGEST`.
    """
    with reopen() as text:
        lines = _in_lines(text)
    with reopen() as text:
        if lines:
            yield from ((i, _parse(line, python), line) for i, line in enumerate(text, start=1) if line.strip())
        else:
            yield from ((i, record, "") for i, record in enumerate(_elements(path, text), start=1))


def _in_lines(text: io.TextIOWrapper) -> bool:
    """Whether a text has one object a line. A text that is no JSON from its start on is read in lines too, to set its bad ones aside."""
    first = next((line for line in text if line.strip()), "").strip()
    if first.startswith("["):
        return False
    try:
        value = parsed(first)
    except json.JSONDecodeError as error:
        if error.msg == "Extra data":  # another object in the same line
            return False
        # An object over several lines, unless the next line is one by itself.
        return not first.startswith("{") or error.pos < len(first) or isinstance(_parse(text.readline(), python=False), dict)
    except RecursionError:
        return True
    return not (isinstance(value, dict) and _list_inside(value))


def _elements(path: Path, text: io.TextIOWrapper) -> Iterator[Any]:
    """Yield the elements of arrays and of lists inside objects, and other values as they are."""
    content = text.read(LARGEST + 1)
    if len(content) > LARGEST:
        raise DataError(f"{path} is JSON of more than {LARGEST >> 20} MiB in one piece: write one object a line, say with jq -c '.[]'")
    at = 0
    while (at := _match_end(_BETWEEN, content, at)) < len(content):
        try:
            value, at = DECODER.raw_decode(content, at)
        except json.JSONDecodeError as error:
            cut = "is cut short" if error.pos >= len(content.rstrip()) else f"is damaged JSON in line {error.lineno:,} ({error.msg})"
            raise DataError(f"{path} {cut}: export it again, or one object a line") from error
        except RecursionError as error:
            raise DataError(f"{path} is damaged JSON, too deeply nested: export it again, or one object a line") from error
        elements = value if isinstance(value, list) else _list_inside(value) if isinstance(value, dict) else None
        yield from [value] if elements is None else elements


def _match_end(pattern: re.Pattern[str], text: str, at: int) -> int:
    match = pattern.match(text, at)
    return match.end() if match else at


def _list_inside(value: dict[str, Any]) -> list[Any] | None:
    """Return the list of records of an answer like {"products": [...], "count": 2}, also below other names; None for a record."""
    lists = [one for one in value.values() if isinstance(one, list) and one and all(isinstance(element, dict) for element in one)]
    if any(_ID.search(name) for name, one in value.items() if not isinstance(one, list | dict)):
        return None
    if len(lists) == 1:
        nodes = [element["node"] for element in lists[0] if set(element) in ({"node"}, {"node", "cursor"})]  # GraphQL's edges
        return nodes if len(nodes) == len(lists[0]) else lists[0]
    deeper = [] if lists else [found for one in value.values() if isinstance(one, dict) and (found := _list_inside(one))]
    return deeper[0] if len(deeper) == 1 else None


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
        of_attributes = holds_attributes(ours)
        text = attributes_of(value, losses) if of_attributes else text_of(value, separator_for(ours), losses, names_for(ours))
    except RecursionError:
        losses.drop("thousands of objects in one another")
        text = None
    return html.unescape(text) if text and spec.layout.python else text
