"""Help pages as a folder of Markdown files: each heading with the text below it is one entry.

The parser is markdown-it's, by the rules of CommonMark with tables. It finds a meaning in any text, so that no page is broken; a file that
is no text, an empty page, and text that no heading stands above are set aside with their reason.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any

import polars as pl
import yaml
from markdown_it import MarkdownIt
from mdit_py_plugins.anchors import anchors_plugin
from mdit_py_plugins.front_matter import front_matter_plugin

from features.errors import DataError, disk_error
from features.ingest.readers.kinds import BINARY, WRITTEN
from features.ingest.readers.raw_table import Spool, TableHead, text_column
from features.ingest.readers.text import expected_encoding, found_encoding, open_text
from features.ingest.summary import NOTE
from features.names import ANSWER, LANGUAGE, LINK, QUESTION, TAGS
from features.text.plain import agree, counted

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from markdown_it.token import Token

    from features.ingest.readers.raw_table import RawTable, TableSpec

SUFFIXES = (".md", ".markdown")
LARGEST = 8 << 20  # bytes of a page; a help page of that size is something else
_NO_TEXT = (b"PK\x03\x04", b"\x1f\x8b", b"%PDF", b"\x89PNG", b"\xff\xd8\xff", b"SQLite format 3")
_SAMPLE = 1_000  # entries by which the profile describes the columns
_BREAKS = {"softbreak": " ", "hardbreak": "\n"}
_LINES = {"paragraph_close", "tr_close", "list_item_close"}


@dataclass
class _Entry:
    """A heading, and the text below it up to the next heading."""

    level: int
    question: str
    anchor: str
    above: tuple[str, ...]
    parts: list[str] = field(default_factory=list)
    has_parts: bool = False  # headings below it

    @property
    def answer(self) -> str:
        return "".join(self.parts).strip()


def is_pages(path: Path) -> bool:
    """Return whether a path is a folder of pages, or one page, and no table."""
    return path.is_dir() or (path.suffix.lower() in SUFFIXES and path.is_file())


def page_files(path: Path) -> list[Path]:
    """Return the Markdown files in a folder and its subfolders, hidden ones excepted, in order of their names; a page is its own file."""
    return sorted(file for file in _visible(path) if file.suffix.lower() in SUFFIXES) if path.is_dir() else [path]


def _visible(folder: Path) -> Iterator[Path]:
    return (
        path for path in folder.rglob("*") if not any(part.startswith(".") for part in path.relative_to(folder).parts) and path.is_file()
    )


def read_pages(spec: TableSpec, folder: Path) -> RawTable:
    """Read a folder of Markdown pages, or one page; rows are its entries, numbered from 1. `folder` is for the spool.

    Raises
    ------
    DataError
        If the folder holds no Markdown file, or a file cannot be read.
    """
    files = page_files(spec.path)
    all_files = _visible(spec.path) if spec.path.is_dir() else []
    others = sorted(path.relative_to(spec.path).as_posix() for path in all_files if path.suffix.lower() not in SUFFIXES)
    if not files:
        held = f"; it holds {', '.join(others[:5])}" if others else ""
        raise DataError(f"{spec.path} has no Markdown file{held}: name a folder of .md files, or a table of questions and answers")
    reader = _Reader(Spool(spec, folder), spec)
    for path in files:
        try:
            reader.read(path)
        except OSError as error:
            raise DataError(disk_error(error, path, "read")) from error
    return reader.table(others)


@dataclass
class _Reader:
    spool: Spool
    spec: TableSpec
    row: int = 0
    rows: list[dict[str, Any]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    headers: list[str] = field(default_factory=list)  # pages whose front matter is damaged

    def read(self, path: Path) -> None:
        name = path.name if path == self.spec.path else path.relative_to(self.spec.path).as_posix()
        text = self._text(path, name)
        if text is None:
            return
        before = self.row
        page, entries, loose = _parsed(text)
        if page is None:
            self.headers.append(name)
        about = page or {}
        if loose and (title := _plain(about.get("title"))):
            entries = [_Entry(1, title, "", (), [loose]), *entries]
        elif loose:
            self._reject("text without a heading above it", f"{name}: {loose}")
        tags = _tags(about.get("tags"))
        for entry in entries:
            if not entry.answer and entry.has_parts:
                continue  # the title of a section
            if not entry.answer:
                self._reject("no text below the heading", f"{name}: {entry.question}")
                continue
            self.row += 1
            link = f"{name}#{entry.anchor}" if entry.anchor else name
            words = ", ".join(dict.fromkeys((*tags, *entry.above)))
            values = {QUESTION: entry.question, ANSWER: entry.answer, TAGS: words, LANGUAGE: _plain(about.get("language")), LINK: link}
            self.rows.append({"row": self.row, **values})
        if self.row == before:
            self._reject("the page is empty", name)

    def _text(self, path: Path, name: str) -> str | None:
        size = path.stat().st_size
        with path.open("rb") as file:
            head = file.read(1 << 16)
        if size > LARGEST:
            return self._reject(f"the page is larger than {LARGEST >> 20} MB", name)
        if head.startswith(_NO_TEXT) or len(head.translate(None, WRITTEN)) > BINARY * len(head):
            return self._reject("the file is no text", name)
        try:
            encoding = expected_encoding(path, self.spec.encoding)
            if b"\0" in head and "utf-8" in encoding.name:
                return self._reject("the file is no text", name)
            with open_text(path, encoding) as text:
                return text.read()
        except UnicodeDecodeError:
            pass
        try:
            encoding = found_encoding(path, self.spec.encoding)
        except DataError:
            return self._reject("the encoding cannot be told", name)
        self.notes += encoding.notes
        with open_text(path, encoding) as text:
            return text.read()

    def _reject(self, reason: str, value: str) -> None:
        self.row += 1
        self.spool.reject(self.row, reason, value)

    def table(self, others: Sequence[str]) -> RawTable:
        names = list(self.spec.columns)
        frame = pl.DataFrame(
            {"row": pl.Series([row["row"] for row in self.rows], dtype=pl.Int64)}
            | {name: text_column([row[name] or None for row in self.rows]) for name in names}
        )
        self.spool.add(frame)
        if others:
            what = f"{counted(len(others), 'file')} in {self.spec.path.name} {agree(len(others), 'is', 'are')} no Markdown (.md)"
            self.notes.append(f"{NOTE}{what} and not read, such as {others[0]}")
        if self.headers:
            what = f"the front matter of {counted(len(self.headers), 'page')} is no YAML"
            self.notes.append(f"{NOTE}{what}, such as that of {self.headers[0]}: its language and tags are left out")
        table = self.spool.table(self.row)
        head = TableHead(frame.select(names).head(_SAMPLE))
        return type(table)(table.frame, table.malformed, table.read, "markdown", head, tuple(dict.fromkeys(self.notes)), self.spec)


@cache
def _parser() -> MarkdownIt:
    return MarkdownIt("commonmark").enable(["table", "strikethrough"]).use(front_matter_plugin).use(anchors_plugin, max_level=6)


def _parsed(text: str) -> tuple[dict[str, Any] | None, list[_Entry], str]:
    """Return a page's front matter (None if it is damaged), its entries, and the text above the first heading."""
    about: dict[str, Any] | None = {}
    loose: list[str] = []
    entries: list[_Entry] = []
    heading: Token | None = None
    for token in _parser().parse(text.lstrip("\ufeff")):
        if token.type == "front_matter":
            about = _front_matter(token.content)
        elif token.type == "heading_open":
            heading = token
        elif token.type == "heading_close":
            heading = None
        elif heading is not None:
            level = int(heading.tag[1:])
            parents = _parents(entries, level)
            for parent in parents:
                parent.has_parts = True
            above = tuple(parent.question for parent in parents)
            entries.append(_Entry(level, _inline(token), str(heading.attrs.get("id", "")), above))
        else:
            (entries[-1].parts if entries else loose).append(_block(token))
    return about, entries, "".join(loose).strip()


def _parents(entries: Sequence[_Entry], level: int) -> list[_Entry]:
    """Return the headings that a new one of this level stands below, outermost first."""
    found: list[_Entry] = []
    for entry in reversed(entries):
        if entry.level < level:
            found.insert(0, entry)
            level = entry.level
    return found


def _front_matter(text: str) -> dict[str, Any] | None:
    try:
        # The base loader leaves all values as they are written: "no" is Norwegian, and 2026-01-01 a word.
        found = yaml.load(text, Loader=yaml.BaseLoader)  # noqa: S506 - it makes strings, lists and dicts alone
    except (yaml.YAMLError, RecursionError):
        return None
    if found is None or found == "":
        return {}
    return {str(name).lower(): value for name, value in found.items()} if isinstance(found, dict) else None


def _plain(value: object) -> str:
    return value.strip() if isinstance(value, str) else ""


def _tags(value: object) -> list[str]:
    tags = value if isinstance(value, list) else _plain(value).split(",")
    return [text for tag in tags if (text := _plain(tag))]


def _block(token: Token) -> str:
    """Return the text of a token of a block; what ends a line or a cell gives its sign."""
    if token.type == "inline":
        return _inline(token)
    if token.type in ("fence", "code_block", "html_block"):
        return f"{token.content}\n"
    if token.type in ("th_close", "td_close"):
        return " | "
    if token.type == "list_item_open":
        return f"{token.info}{token.markup} " if token.info else "- "
    return "\n" if token.type in _LINES else ""


def _inline(token: Token) -> str:
    return "".join(_BREAKS.get(child.type, child.content) for child in token.children or []).strip()
