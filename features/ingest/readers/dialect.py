"""The dialect of a csv file: its separator, the names in its header, and what stands above it."""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass
from itertools import chain, islice
from typing import TYPE_CHECKING

from features.errors import DataError
from features.text.plain import agree, counted

if TYPE_CHECKING:
    import io
    from pathlib import Path

SEPARATORS = ",;\t|"
LOOK = 1_000  # lines that show the dialect
ABOVE = 30  # lines that may stand above the header


@dataclass(frozen=True)
class Dialect:
    """How a file with separators is written.

    Attributes
    ----------
    start : number of lines before the first row of data.
    sample : the first rows, as fields.
    """

    names: list[str]
    separator: str
    start: int
    sample: list[list[str]]
    notes: tuple[str, ...] = ()


def sniff(path: Path, text: io.TextIOWrapper, separator: str | None = None) -> Dialect:
    """Return the dialect of a text: of the separators , ; tab | the one that its header uses most.

    Raises
    ------
    DataError
        If the text has no header.
    """
    lines = list(islice(text, LOOK))
    at, named = _first(lines)
    separator = named or separator
    head, used = _header(lines, at, separator)
    own = separator if separator and separator in lines[head] else None
    separator = own or max(SEPARATORS, key=_bare(lines[head]).count) if lines[head:] else ","
    reader = csv.reader(chain(lines[head:], text), delimiter=separator)
    names = [name.strip(" \t\ufeff") for name in next(reader, [])]
    if not any(names):
        raise DataError(f"{path} is empty: the first row must name the columns")
    start = head + reader.line_num
    sample = [row for row in islice(csv.reader(lines[start:], delimiter=separator), LOOK) if row]
    above = f"{counted(used, 'line')} above the header {agree(used, 'is', 'are')} not read"
    notes = [f"note: {path.name}: {above} (e.g. {lines[at].strip()[:40]!r})"] if used else []
    names, more = _named(path, names, sample, lines[head], lines[start] if start < len(lines) else "")
    return Dialect(names, separator, start, sample, (*notes, *more))


def _first(lines: list[str]) -> tuple[int, str | None]:
    """Return the place of the first line with content, and the separator that a line `sep=;` above it names, as Excel writes it."""
    at = next((i for i, line in enumerate(lines) if line.strip()), 0)
    found = re.fullmatch(r'"?sep=(.)"?', lines[at].rstrip("\r\n"), re.I) if lines else None
    if not found:
        return at, None
    return next((i for i in range(at + 1, len(lines)) if lines[i].strip()), at), found[1]


def _header(lines: list[str], at: int, separator: str | None) -> tuple[int, int]:
    """Return the place of the header, and the number of lines of text above it: titles and comments of an export."""
    places = [i for i in range(at, min(len(lines), at + ABOVE)) if lines[i].strip()]
    for k, i in enumerate(places[:-1]):
        width, (below, *rest) = _width(lines[i], separator), [_width(lines[j], separator) for j in places[k + 1 : k + 3]]
        comment = lines[i].startswith("#") and not lines[places[k + 1]].startswith("#") and below >= 2 and width != below
        comments = lines[i].startswith("#") and lines[places[k + 1]].startswith("#")
        title = width <= 1 and any(_width(lines[j], separator) >= 2 for j in places[k + 1 :])
        short = width * 2 <= below and all(one == below for one in rest) and bool(rest)
        if not (comment or comments or title or short):
            return i, k
    return at, 0


def _width(line: str, separator: str | None) -> int:
    """Return the number of fields with content."""
    bare = _bare(line.strip("\r\n"))
    separator = separator if separator and separator in bare else max(SEPARATORS, key=bare.count)
    return sum(bool(field.strip()) for field in bare.split(separator))


def _bare(line: str) -> str:
    """Return a line without what its quotes hold."""
    return re.sub(r'"[^"]*"', '""', line)


def _named(path: Path, names: list[str], sample: list[list[str]], header: str, first: str) -> tuple[list[str], list[str]]:
    """Complete the names where each row has one field more: a separator at its end, or R's names of rows."""
    if len(names) < 2 or not sample or any(len(row) != len(names) + 1 for row in sample[:-1] or sample):
        return names, []
    if all(not row[-1] for row in sample):
        return [*names, ""], []
    numbered = all(row[0] == str(i) for i, row in enumerate(sample, start=1))
    if numbered and header.startswith('"') and first.startswith('"1"'):
        return ["", *names], [f"note: {path.name}: the first field of each row has no name in the header and is taken for a row name"]
    return names, []
