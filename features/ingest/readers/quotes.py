"""The mender of csv files whose quotes do not follow RFC 4180: written without quoting, or with backslashes.

A parser of csv takes a quote at the beginning of a field for the beginning of a quoted one, and every row up to the next quote for its
content. Here each line with a quote is looked at by itself, and again with the lines below it.
"""

from __future__ import annotations

import re
from collections import deque
from typing import TYPE_CHECKING

import polars as pl

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from features.ingest.readers.dialect import Dialect

LONGEST = 1_000  # lines of one quoted field
ENOUGH = 3  # lines that look like rows: so many in a quoted field are rows
FEW = 3  # values that tell what a column holds
FAILURES = 100  # fields without an end, after which no field is followed over many lines
_NUMBER = re.compile(r"\s*[-+]?[\d.,]*\d\s*")
_LINE_END = re.compile(r"(?:\r\n|\n|\r)?\Z")


class QuoteSurvey:
    """Signs in a text, seen block by block, that its quotes do not follow the standard.

    A quote of the standard stands beside a separator, a line end or another quote. Others are `stray`.
    """

    def __init__(self, separator: str) -> None:
        other = rf'[^{re.escape(separator)}"\r\n]'
        self._pattern = f'{other}"{other}'
        self._last = ""
        self._feeds = self._returns = 0
        self.quoted = self.stray = False

    @property
    def lines(self) -> int:
        """Number of line ends so far."""
        return self._feeds or self._returns

    def see(self, block: str) -> None:
        self._feeds += block.count("\n")
        if not self._feeds:
            self._returns += block.count("\r")
        if '"' in block:
            self.quoted = True
            self.stray = self.stray or bool(pl.Series([self._last + block]).str.contains(self._pattern)[0])
        self._last = block[-2:]


class QuoteMender:
    """A filter of lines, after which every row follows the standard.

    Attributes
    ----------
    mended : number of rows whose quotes were read as text.
    example : the first of them.
    """

    def __init__(self, dialect: Dialect) -> None:
        self._separator = s = dialect.separator
        self._width = len(dialect.names)
        s = re.escape(s)
        field = rf'(?>"(?>(?:[^"]|"")*)"|[^"{s}\r\n][^{s}\r\n]*|)'
        self._good = re.compile(rf"{field}(?:{s}{field}){{{self._width - 1}}}")
        inside = (r'[^"\\]|\\.|""|"(?!{e})', r'[^"]|""|"(?!{e})', r'[^"]|"(?!{e})')
        end = rf" *(?:{s}|\Z)"
        self._quoted = [re.compile(rf' *"((?>(?:{one.format(e=end)})*))"(?={end}) *', re.S) for one in inside]
        self._closing = re.compile(rf'" *(?:{s}|[\r\n]|\Z)')
        self._traits = _traits(dialect.sample, self._width)
        self._pending: deque[str] = deque()
        self._failures = 0
        self.mended = 0
        self.example = ""

    def lines(self, lines: Iterable[str]) -> Iterator[str]:
        source = iter(lines)
        while (line := self._next(source)) is not None:
            yield line if '"' not in line or self._good.fullmatch(line.rstrip("\r\n")) else self._repaired(line, source)

    def _next(self, source: Iterator[str]) -> str | None:
        return self._pending.popleft() if self._pending else next(source, None)

    def _repaired(self, line: str, source: Iterator[str]) -> str:
        """Return the row that begins with a line; lines below that do not belong to it go back."""
        if (row := self._standard(line, source)) is not None:
            return row
        alone = self._closed(line)
        if alone:
            return self._written(line, alone)
        plain = self._split(line)
        fits = self._fits(plain)
        if fits and line.count('"') % 2 == 0:
            return self._written(line, plain)
        run, fields, rows = self._followed(line, source, fits)
        if fields and not rows:
            joined = "".join(run)
            return joined if self._good.fullmatch(joined.rstrip("\r\n")) else self._written(joined, fields)
        cut = not fields and not run[-1].endswith(("\n", "\r"))
        if cut and not any(self._fits(self._alone(below)) for below in run[1:]):
            return "".join(run)  # the parser sees that its quote is never closed
        self._pending.extendleft(reversed(run[1:]))
        self._failures += not fields
        return self._written(line, plain)

    def _standard(self, line: str, source: Iterator[str]) -> str | None:
        """Return a row of the standard over several lines, none of which is a row itself; None if there is none."""
        run, quotes = [line], line.count('"')
        longest = LONGEST if self._failures < FAILURES else ENOUGH
        while quotes % 2 == 1 and len(run) <= longest and (below := self._next(source)) is not None:
            run.append(below)
            ends = (quotes + below.count('"')) % 2 == 0
            # Where nothing tells rows from prose, the line that ends a field is no row.
            if self._fits(self._alone(below)) and (not ends or any(self._traits)):
                break
            quotes += below.count('"')
        # Only a field that has ended, after an even number of quotes, may end a row: a long text is joined once.
        if quotes % 2 == 0 and len(run) > 1 and self._good.fullmatch((row := "".join(run)).rstrip("\r\n")):
            return row
        self._pending.extendleft(reversed(run[1:]))
        return None

    def _followed(self, line: str, source: Iterator[str], fits: bool) -> tuple[list[str], list[str] | None, bool]:
        """Follow a quoted field over lines. Return them, the fields of the row if it ends, and whether the lines are rows themselves."""
        run, alike, size = [line], True, len(line)
        longest = LONGEST if self._failures < FAILURES else ENOUGH
        while len(run) <= longest and size < 1 << 20 and (below := self._next(source)) is not None:
            run.append(below)
            size += len(below)
            alike = alike and (not below.strip() or self._fits(self._alone(below)))
            if fits and alike and len(run) > ENOUGH:
                return run, None, True
            if self._closing.search(below) and (fields := self._closed("".join(run))):
                itself = below.count('"') % 2 == 0 and self._good.fullmatch(below.rstrip("\r\n"))
                return run, fields, alike and (fits or bool(itself))
        return run, None, False

    def _alone(self, line: str) -> list[str]:
        return self._closed(line) or self._split(line)

    def _closed(self, row: str) -> list[str] | None:
        """Return the fields of a row if its quoted ones end before separators and their number is right."""
        row = _LINE_END.sub("", row, count=1)
        for way, quoted in enumerate(self._quoted):
            if way == 0 and '\\"' not in row:
                continue
            fields, at = [], 0
            while True:
                if match := quoted.match(row, at):
                    fields.append(_unescaped(match[1], way))
                    at = match.end()
                elif row[at:].lstrip(" ").startswith('"'):
                    break
                else:
                    end = row.find(self._separator, at)
                    end = len(row) if end < 0 else end
                    fields.append(row[at:end])
                    at = end
                if at >= len(row):
                    if len(fields) == self._width:
                        return fields
                    break
                at += len(self._separator)
        return None

    def _split(self, line: str) -> list[str]:
        return line.rstrip("\r\n").split(self._separator)

    def _fits(self, fields: list[str]) -> bool:
        """Whether fields look like a row of this file."""
        return len(fields) == self._width > 1 and all(
            trait is None or not field.strip('" ') or trait.fullmatch(field.strip('" '))
            for field, trait in zip(fields, self._traits, strict=True)
        )

    def _written(self, line: str, fields: list[str]) -> str:
        if len(fields) == self._width:
            self.mended += 1
            self.example = self.example or line.strip()
        end = line[len(line.rstrip("\r\n")) :] or "\n"
        return self._separator.join('"' + field.replace('"', '""') + '"' for field in fields) + end


def _unescaped(text: str, way: int) -> str:
    return (text.replace('\\"', '"').replace('""', '"'), text.replace('""', '"'), text)[way]


def _traits(sample: list[list[str]], width: int) -> list[re.Pattern[str] | None]:
    """Return for each column what all its first values are, numbers or single words, by which lines of prose differ from rows."""
    rows = [row for row in sample if len(row) == width and not any("\n" in field or "\r" in field for field in row)]
    traits: list[re.Pattern[str] | None] = []
    for column in zip(*rows, strict=True) if rows else [()] * width:
        values = [value.strip() for value in column if value.strip()]
        number = bool(values) and all(_NUMBER.fullmatch(value) for value in values)
        word = len(values) >= FEW and not any(re.search(r"\s", value) for value in values)
        traits.append(_NUMBER if number else re.compile(r"\S+") if word else None)
    return traits
