"""The kind of a file by its content, whatever its name says, and its bytes out of gzip or zip."""

from __future__ import annotations

import difflib
import gzip
import re
import zipfile
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Literal, cast

from features.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

Kind = Literal["csv", "json", "xml", "parquet"]
SUFFIXES = (".csv", ".tsv", ".txt", ".jsonl", ".ndjson", ".json", ".xml", ".parquet")
BEGIN = 1 << 16  # bytes that tell the kind
BINARY = 0.15  # share of control characters, zeros aside, that no text has in any encoding
WRITTEN = bytes({0, *b"\t\n\r\f\x1b", *range(32, 256)})
_JSON = (".json", ".jsonl", ".ndjson")
_EXCEL = "an Excel workbook: save its sheet as CSV UTF-8, and name that file"
_OTHERS = (
    (b"\xd0\xcf\x11\xe0", _EXCEL),
    (b"%PDF", "a PDF: export the table itself, as csv, json lines or Parquet"),
    (b"PK\x05\x06", "an empty zip: fetch it again"),
    (b"BZh", "compressed by bzip2: unpack it, or compress it with gzip"),
    (b"\xfd7zXZ", "compressed by xz: unpack it, or compress it with gzip"),
    (b"\x28\xb5\x2f\xfd", "compressed by zstd: unpack it, or compress it with gzip"),
    (b"7z\xbc\xaf", "a 7z archive: unpack it"),
    (b"Rar!", "a rar archive: unpack it"),
    (b"SQLite format 3", "an SQLite database: give its queries under [source.sql]"),
    (b"ARROW1", "an Arrow (Feather) file: save it as Parquet"),
    (b"\x89PNG", "a picture: name the table's file"),
    (b"\xff\xd8\xff", "a picture: name the table's file"),
)


@dataclass(frozen=True)
class FileKind:
    """What a file is.

    Attributes
    ----------
    separator : the separator that its name promises; None where the header shows it.
    """

    kind: Kind
    separator: str | None = None


def kind_of(path: Path, name: str) -> FileKind:
    """Return what a file is. `name` is the table's, for messages.

    Raises
    ------
    DataError
        If there is no such file, or it holds no table that can be read.
    """
    _require_file(path, name)
    with path.open("rb") as file:
        packed = file.read(4) == b"PK\x03\x04"
    inner = _member(path) if packed else path.name
    with open_bytes(path) as raw:
        head = raw.read(BEGIN)
    if head.startswith(b"PAR1"):
        if packed or _is_gzip(path):
            raise DataError(f"{path} is a packed Parquet file: unpack it, Parquet is compressed already")
        return FileKind("parquet")
    what = next((what for magic, what in _OTHERS if head.startswith(magic)), None)
    if what is None and len(head.translate(None, WRITTEN)) > BINARY * len(head):
        what = "a binary file of an unknown kind: export the table as csv, json lines or Parquet"
    if what is not None:
        raise DataError(f"{path} is {what}")
    suffixes = [part.lower() for part in inner.split(".")[1:]]
    suffix = "." + next((part for part in reversed(suffixes) if part not in ("gz", "zip")), "")
    if suffix == ".parquet":
        raise DataError(f"{path} cannot be read as parquet (it does not begin like one): check or export it again")
    return _text_kind(path, head, suffix)


@contextmanager
def open_bytes(path: Path) -> Iterator[IO[bytes]]:
    """Open a file for reading, out of gzip or zip if it is packed, whatever its name."""
    if _is_gzip(path) or path.suffix.lower() == ".gz":
        with gzip.open(path) as unpacked:
            yield cast("IO[bytes]", unpacked)
    elif _begins(path, b"PK\x03\x04"):
        with zipfile.ZipFile(path) as archive, archive.open(_member(path)) as raw:
            yield raw
    else:
        with path.open("rb") as raw:
            yield raw


def _begins(path: Path, magic: bytes) -> bool:
    with path.open("rb") as file:
        return file.read(len(magic)) == magic


def _is_gzip(path: Path) -> bool:
    return _begins(path, b"\x1f\x8b")


def _member(path: Path) -> str:
    """Return the name of the only table in a zip."""
    with zipfile.ZipFile(path) as archive:
        entries = archive.infolist()
    names = [entry.filename for entry in entries]
    if "[Content_Types].xml" in names or "mimetype" in names:
        raise DataError(f"{path} is {_EXCEL}" if any(name.startswith("xl/") for name in names) else f"{path} is a document, no table")
    real = [entry for entry in entries if not entry.is_dir() and not re.match(r"__MACOSX/|(.*/)?\.", entry.filename)]
    tables = [entry for entry in real if entry.filename.lower().removesuffix(".gz").endswith(SUFFIXES)] or real
    if len(tables) != 1:
        listed = ", ".join(entry.filename for entry in tables[:10]) or "nothing"
        raise DataError(f"{path} is a zip that holds {listed}, expected one table: unpack it, and name the table's file")
    if tables[0].flag_bits & 1:
        raise DataError(f"{path} is a zip with a password: unpack it, and name the table's file")
    return tables[0].filename


def _text_kind(path: Path, head: bytes, suffix: str) -> FileKind:
    text = head.replace(b"\0", b"").decode("utf-8", "replace").lstrip("\ufeff\ufffd \t\r\n")
    first = re.split(r"[\r\n]", text, maxsplit=1)[0]
    if re.match(r"<!doctype html|<html|<head|<body|<table", text, re.I):
        title = re.search(r"<title[^>]*>\s*([^<]{1,60})", text, re.I)
        called = f" ({title[1].strip()!r})" if title else ""
        raise DataError(f"{path} is a web page{called}, perhaps of an error or a login: fetch the file itself again")
    if re.match(r"<\?xml|<[A-Za-z][\w:.-]*[\s>/]|<!--|<!doctype", text, re.I):
        return FileKind("xml")
    if re.match(r"\{\s*[\"'}]|\[\s*([\[{\]]|$)", text):
        return FileKind("json")
    if suffix in _JSON and not re.search(r"^[^{\[\"']*[,;\t|]", first):
        return FileKind("json")
    if suffix == ".xml" and text:
        raise DataError(f"{path} does not begin like XML ({first[:40]!r}): check or export it again")
    if suffix not in SUFFIXES and not re.search(r"[,;\t|]", first):
        raise DataError(f"{path} is of an unknown format; known: {', '.join(SUFFIXES)}, text also as .gz or .zip: convert or rename it")
    return FileKind("csv", "\t" if suffix == ".tsv" else None)


def _require_file(path: Path, name: str) -> None:
    if path.is_file():
        return
    if path.is_dir():
        inside = sorted(one.name for one in path.iterdir() if one.is_file() and not one.name.startswith("."))
        held = f"; it holds {', '.join(inside[:10])}" if inside else ""
        raise DataError(f"{path} is a folder, expected a file{held}: name the file of the {name}")
    if path.exists():
        raise DataError(f"{path} is no regular file: write it to a file first, and name that as the {name}")
    near: list[str] = []
    if path.parent.is_dir():
        near = difflib.get_close_matches(path.name.lower(), [one.name for one in path.parent.iterdir()], n=1, cutoff=0.6)
    elif path.parent != path:
        raise DataError(f"{path} does not exist, nor does its folder: check the path of the {name}")
    meant = f"did you mean {near[0]}? " if near else ""
    raise DataError(f"{path} does not exist: {meant}check the path of the {name}")
