"""What a file is, is told by its content, whatever its name says."""

from __future__ import annotations

import gzip
import io
import os
import zipfile
from pathlib import Path

import polars as pl
import pytest

from features.errors import DataError
from features.ingest.readers.files import read_head
from features.ingest.summary import IngestSummary, TableSummary
from tests.features.ingest.readers.conftest import Read, rows

CSV = b"item_id,title,price\n1,Tea,3\n2,Mug,4\n"
LINES = b'{"item_id": 1, "title": "Tea", "price": 3}\n{"item_id": 2, "title": "Mug", "price": 4}\n'
ARRAY = b"[" + LINES.strip().replace(b"\n", b",") + b"]"
BOTH = [(1, "Tea"), (2, "Mug")]


def zipped(**members: bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name.replace("__", "."), content)
    return stream.getvalue()


def parquet() -> bytes:
    stream = io.BytesIO()
    pl.DataFrame({"item_id": [1, 2], "title": ["Tea", "Mug"], "price": [3, 4]}).write_parquet(stream)
    return stream.getvalue()


CONTENT = {
    "csv": CSV,
    "tabs": CSV.replace(b",", b"\t"),
    "json lines": LINES,
    "array": ARRAY,
    "parquet": parquet(),
    "gzip": gzip.compress(CSV, mtime=0),
    "gzip of an array": gzip.compress(ARRAY, mtime=0),
    "zip": zipped(products__csv=CSV),
    "zip of lines": zipped(products__jsonl=LINES),
    "zip of a Mac": zipped(**{"products.csv": CSV, "__MACOSX/x.csv": b"\0\5", ".DS_Store": b"x", "readme.md": b"x"}),
}


@pytest.mark.parametrize("content", CONTENT)
@pytest.mark.parametrize("name", ["items.csv", "items.json", "items.txt", "items", "items.CSV", "items.xlsx", "items.csv.zip"])
def test_any_content_under_any_name(content: str, name: str, read: Read) -> None:
    assert rows(read(CONTENT[content], name)) == BOTH


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (zipped(a__csv=CSV, b__csv=CSV), "is a zip that holds a.csv, b.csv, expected one table: unpack it"),
        (zipped(), "is an empty zip"),
        (zipped(a__csv=CSV)[:-30], "is a damaged zip"),
        (zipped(**{"[Content_Types].xml": b"x", "xl/workbook.xml": b"x"}), "is an Excel workbook: save its sheet as CSV UTF-8"),
        (b"\xd0\xcf\x11\xe0" + bytes(500), "is an Excel workbook"),
        (b"<!DOCTYPE html>\n<html><head><title>Log in</title></head></html>", r"is a web page \('Log in'\).*fetch the file itself again"),
        (b"\r\n <HTML><body>502 Bad Gateway</body>", "is a web page"),
        (b"<table><tr><td>item_id</td></tr></table>", "is a web page"),
        (b"%PDF-1.7", "is a PDF"),
        (b"BZh91AY", "is compressed by bzip2"),
        (b"SQLite format 3\0", "is an SQLite database"),
        (bytes(range(32)) * 40, "is a binary file of an unknown kind"),
        (gzip.compress(parquet(), mtime=0), "is a packed Parquet file"),
        (gzip.compress(CSV, mtime=0)[:-12], "is cut short or not gzip"),
    ],
)
@pytest.mark.parametrize("name", ["items.csv", "items.xls"])
def test_what_is_no_table_is_one_line_that_says_what_to_do(content: bytes, message: str, name: str, read: Read) -> None:
    with pytest.raises(DataError, match=message) as caught:
        read(content, name)
    assert "\n" not in str(caught.value)


def test_a_zip_with_a_password_is_refused(read: Read) -> None:
    content = bytearray(zipped(a__csv=CSV))
    for magic, place in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        content[content.index(magic) + place] |= 1
    with pytest.raises(DataError, match="is a zip with a password"):
        read(bytes(content))


def test_a_missing_file_names_the_nearest(tmp_path: Path) -> None:
    (tmp_path / "products.csv").write_bytes(CSV)
    for name in ("product.csv", "Products.csv", "products.tsv"):
        with pytest.raises(DataError, match="does not exist: did you mean products.csv. check the path of the items"):
            read_head(tmp_path / name, None, "items")
    with pytest.raises(DataError, match="does not exist: check"):
        read_head(tmp_path / "xyz", None, "items")
    with pytest.raises(DataError, match="nor does its folder"):
        read_head(tmp_path / "no" / "products.csv", None, "items")


def test_a_folder_lists_what_it_holds(tmp_path: Path) -> None:
    (tmp_path / "products.csv").write_bytes(CSV)
    with pytest.raises(DataError, match="is a folder, expected a file; it holds products.csv: name the file of the items"):
        read_head(tmp_path, None, "items")


def test_a_pipe_is_no_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "items.csv")
    with pytest.raises(DataError, match="is no regular file"):
        read_head(tmp_path / "items.csv", None, "items")


def test_a_file_without_rights_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "items.csv").write_bytes(CSV)
    (tmp_path / "items.csv").chmod(0)
    if os.access(tmp_path / "items.csv", os.R_OK):
        pytest.skip("this user may read every file")
    with pytest.raises(DataError, match="cannot be read .*check the file and its rights"):
        read_head(tmp_path / "items.csv", None, "items")


def test_escapes_in_a_files_name_reach_no_terminal(read: Read) -> None:
    table = read("item_id,title,price\n1,Café\x1b[31m,3\n".encode("cp1252"), "items\x1b]0;title\x07.csv")
    summary = IngestSummary(TableSummary("items", 1, 1, {}), TableSummary("interactions", 0, 0, {}), table.notes)
    assert table.notes
    assert all(character >= " " for character in str(summary).replace("\n", ""))
