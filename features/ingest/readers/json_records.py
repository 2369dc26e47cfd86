"""The reader of records: JSON in lines, arrays, answers of an interface or one object after the other, and whatever gives mappings.

Each record is a mapping of names to values, and a layout may make several rows of it. Lines are read one by one, arrays element by
element; one object is held whole, so a list inside an object must fit into memory.
"""

from __future__ import annotations

import ast
import html
import json
import re
import warnings
from dataclasses import replace
from itertools import chain, islice
from typing import TYPE_CHECKING, Any

import ijson
import polars as pl

from features.errors import DataError
from features.ingest.readers.raw_table import RawTable, Spool, TableSpec, text_column
from features.ingest.values.nested import Losses, names_for, parsed, separator_for, text_of

if TYPE_CHECKING:
    import io
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

BATCH = 20_000  # records held at once
CHUNK = 1 << 16  # characters read at once
LARGEST = 64 << 20  # characters of one value of JSON; in memory it takes about ten times as much
DEEPEST = 1_000  # values in one another
HELD = 64  # characters that are held back, so that what is replaced is seen whole
_NOT_FINITE = re.compile(r"(?<=[:\[,\s])(?:NaN|-?Infinity)(?=\s*[,\]}])")
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
        If a text that is not in lines is damaged, or one value is larger than `LARGEST`.
    """
    with reopen() as text:
        lines = _in_lines(path, text)
    with reopen() as text:
        if lines:
            yield from ((i, _parse(line, python), line) for i, line in enumerate(text, start=1) if line.strip())
        else:
            yield from ((i, record, "") for i, record in enumerate(_elements(path, text), start=1))


def _in_lines(path: Path, text: io.TextIOWrapper) -> bool:
    """Whether a text has one value a line. A text that is no JSON from its start on is read in lines too, to set its bad ones aside."""
    first = ""
    while not first.strip() and (line := text.readline(LARGEST)):
        first = line.lstrip(" \t\r\n,")
    if first.startswith("["):
        return False
    try:
        value, end = json.JSONDecoder().raw_decode(first)
    except (ValueError, RecursionError):
        try:
            return next(_Feed(path, chain([first], iter(lambda: text.read(CHUNK), ""))).values(""), None) is None
        except ijson.JSONError:
            return True
    return not (isinstance(value, dict) and _list_inside(value)) and not first[end:].lstrip().startswith("{")


def _elements(path: Path, text: io.TextIOWrapper) -> Iterator[Any]:
    """Yield the elements of arrays; in a text of other values those, and the elements of lists inside them."""
    feed = _Feed(path, iter(lambda: text.read(CHUNK), ""))
    try:
        for value in feed.values("item" if feed.array else ""):
            elements = _list_inside(value) if isinstance(value, dict) and not feed.array else None
            yield from [value] if elements is None else elements
    except ijson.JSONError as error:
        what, near = [*map(str.strip, str(error).split("\n")), ""][:2]
        if "EOF" in what or "Incomplete" in what:
            raise DataError(f"{path} is cut short, it ends within a value: fetch it again") from error
        where = f"after {feed.found:,} values{f', near {near}' if near else ''}"
        raise DataError(f"{path} is damaged JSON {where} ({what}): export it again, or one object a line") from error
    if feed.array and feed.end != "]":
        raise DataError(f"{path} holds other values beside its arrays, which are not read: write one object a line")


class _Feed:
    """A text of JSON values as ijson reads it: in bytes, with null for the NaN of Python, without a comma before the last bracket.

    Attributes
    ----------
    array : whether it begins with an array.
    found : number of values so far.
    end : its last character, once it is read.
    """

    def __init__(self, path: Path, blocks: Iterator[str]) -> None:
        self._path = path
        first = next((block for block in (block.lstrip() for block in blocks) if block), "")
        self._blocks = chain([first], blocks)
        self.array = first.startswith("[")
        self.found = self._fed = self._depth = 0
        self.end = ""

    def values(self, prefix: str) -> Iterator[Any]:
        # Numbers stay Decimals, which keep their spelling.
        for value in ijson.items(ijson.from_iter(self._bytes()), prefix, multiple_values=True):
            self.found += 1
            self._fed = self._depth = 0
            yield value

    def _bytes(self) -> Iterator[bytes]:
        held = ""
        for block in self._blocks:
            self._fed += len(block)
            # The brackets of texts count too, but they mostly come in pairs. The time of ijson grows with the square of the depth.
            self._depth += block.count("[") + block.count("{") - block.count("]") - block.count("}")
            if self._depth > DEEPEST:
                raise DataError(f"{self._path} is damaged JSON, too deeply nested: export it again, or one object a line")
            if self._fed > LARGEST:
                what = f"{self._path} holds one JSON value of more than {LARGEST >> 20} MiB"
                raise DataError(f"{what}: write one object a line, say with jq -c '.products[]'")
            held += block
            if "NaN" in held or "Infinity" in held:
                held = _NOT_FINITE.sub("null", held)
            if len(held) > HELD:
                yield held[:-HELD].encode()
                held = held[-HELD:]
        last = re.sub(r",\s*\]\s*$", "]", held)
        self.end = last.rstrip()[-1:]
        yield last.encode()


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
        text = text_of(value, separator_for(ours), losses, names_for(ours))
    except RecursionError:
        losses.drop("thousands of objects in one another")
        text = None
    return html.unescape(text) if text and spec.layout.python else text
