"""What stands above, beside and between the rows of a csv."""

from __future__ import annotations

import re

import pytest

from features.errors import DataError
from tests.features.ingest.readers.conftest import Read, rows, set_aside

TABLE = "item_id,title,price\n1,Tea,3\n2,Mug,4\n"
BOTH = [(1, "Tea"), (2, "Mug")]


@pytest.mark.parametrize(
    "above",
    ["Product report 2026\n", "Report,,\n\n", "# exported by x, on Monday\n# second line\n", "Report of May\nby Ann\n\n"],
)
def test_lines_above_the_header_are_left_out_and_told(above: str, read: Read) -> None:
    table = read((above + TABLE).encode())
    assert rows(table) == BOTH
    (note,) = table.notes
    assert note.startswith("note: items.csv: ")
    assert re.search(r"\d lines? above the header (is|are) not read", note)


@pytest.mark.parametrize("line", ["sep=;", '"sep=;"', "SEP=;"])
def test_excels_line_names_the_separator(line: str, read: Read) -> None:
    assert rows(read(f"{line}\r\nitem_id;title;price\r\n1;Tea, green;3\r\n".encode())) == [(1, "Tea, green")]


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("name", ["items.csv", "items.txt", "items.tsv", "items"])
def test_the_separator_is_read_from_the_header(separator: str, name: str, read: Read) -> None:
    assert rows(read(TABLE.replace(",", separator).encode(), name)) == BOTH


def test_a_separator_within_a_quoted_name_does_not_count(read: Read) -> None:
    table = read(b'"price, net, in euros, with all discounts";item_id;title\n3;1;Tea\n')
    assert rows(table) == [(1, "Tea")]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("blank", ["", "\n", "\n\n\n"])
def test_line_ends_and_blank_lines_make_no_rows(end: str, blank: str, read: Read) -> None:
    text = blank + TABLE.replace("1,Tea", f"{blank}1,Tea") + blank
    assert rows(read(text.replace("\n", end).encode())) == BOTH


@pytest.mark.parametrize("header", ["item_id,title,price", "item_id,title,price,"])
def test_separators_at_the_ends_of_rows(header: str, read: Read) -> None:
    assert rows(read(f"{header}\n1,Tea,3,\n2,Mug,4,\n".encode())) == BOTH


def test_names_of_rows_as_r_writes_them(read: Read) -> None:
    table = read(b'"item_id","title","price"\n"1",7,"Tea",3\n"2",8,"Mug",4\n')
    assert table.frame.select("item_id", "title").collect().rows() == [("7", "Tea"), ("8", "Mug")]
    assert "row name" in table.notes[0]


def test_a_comma_in_each_price_is_no_name_of_a_row(read: Read) -> None:
    table = read(b"item_id,title,price\n1,Tea,1,50\n2,Mug,2,50\n")
    assert set_aside(table) == [(1, "wrong number of fields"), (2, "wrong number of fields")]


def test_a_header_that_comes_again_is_set_aside(read: Read) -> None:
    table = read((TABLE + "short\n" + TABLE).encode())
    assert rows(table) == [*BOTH, (5, "Tea"), (6, "Mug")]
    assert set_aside(table) == [(3, "wrong number of fields"), (4, "the header again")]


@pytest.mark.parametrize("content", [b"", b"\n\n", b"  \r\n", b"\xef\xbb\xbf"])
def test_a_file_without_a_header_is_empty(content: bytes, read: Read) -> None:
    with pytest.raises(DataError, match="is empty: the first row must name the columns"):
        read(content)


def test_a_header_alone_has_no_rows(read: Read) -> None:
    assert read(b"item_id,title,price\n").read == 0


def test_zeros_are_kept_for_the_rules(read: Read) -> None:
    assert rows(read(b"item_id,title,price\n1,T\0ea,3\n")) == [(1, "T\0ea")]
