"""Quotes that do not follow the standard swallow no rows, and well-written ones are left alone."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.ingest.readers.dialect import Dialect
from features.ingest.readers.quotes import QuoteMender, QuoteSurvey
from tests.features.ingest.readers.conftest import Read, rows, set_aside

HEADER = "item_id,title,price\n"


def note(count: int) -> str:
    rows = "1 row has" if count == 1 else f"{count} rows have"
    return f"note: items.csv: {rows} stray quotes, which are read as text (e.g. "


@pytest.mark.parametrize(
    ("lines", "titles", "mended"),
    [
        (
            ['1,"Big" mug,4', '2,"Huge mug,5', "3,Tea,3", '4,Plate 10",6', "5,Pot,3"],
            ['"Big" mug', '"Huge mug', "Tea", 'Plate 10"', "Pot"],
            2,
        ),
        (["1,Tea,1", '2,"Cup,5', "3,Pot,6", "4,Pan,7"], ["Tea", '"Cup', "Pot", "Pan"], 1),
        (['1,"Cup,5', '2,"Pot,6', '3,"Pan,7', "4,Tea,1"], ['"Cup', '"Pot', '"Pan', "Tea"], 3),
        (['1,"5" x 7" photo, framed",3', "2,Tea,1"], ['5" x 7" photo, framed', "Tea"], 1),
        (['1,"5"",3', "2,Tea,1"], ['5"', "Tea"], 1),
        ([r'1,"He said \"hi\", ok",3', "2,Tea,1"], ['He said "hi", ok', "Tea"], 1),
        (['1, "Tea, green", 3', "2,Tea,1"], ["Tea, green", "Tea"], 1),
        (['1,"A 5" tea\nof China, fresh",3', "2,Tea,1"], ['A 5" tea\nof China, fresh', "Tea"], 1),
    ],
)
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_stray_quotes_are_text(lines: list[str], titles: list[str], mended: int, end: str, read: Read) -> None:
    table = read((HEADER + "\n".join(lines) + "\n").replace("\n", end).encode())
    assert rows(table) == [(i, title.replace("\n", end)) for i, title in enumerate(titles, start=1)]
    assert table.notes[0].startswith(note(mended))


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_stray_quotes_with_any_separator(separator: str, read: Read) -> None:
    lines = ["item_id,title,price", '1,"Big" mug,4', '2,55" TV,5', '3,"Huge mug,5', "4,Tea,3", "5,Pot,3"]
    table = read("\n".join(lines).replace(",", separator).encode(), "items.tsv" if separator == "\t" else "items.csv")
    assert [title for _, title in rows(table)] == ['"Big" mug', '55" TV', '"Huge mug', "Tea", "Pot"]


@pytest.mark.parametrize(
    "titles",
    [
        ["A tea\nof China, fresh", "Mug, x"],
        ['A "green" tea\r\nof China\n\nand Japan, too', "Mug"],
        ["Tea,\n", '"', '""', "\n"],
        ["A tea\nof the mountains\nof China, where it rains, often", "Pot", "one\ntwo\nthree\nfour\nfive"],
    ],
)
@pytest.mark.parametrize("quoting", [csv.QUOTE_ALL, csv.QUOTE_MINIMAL])
@pytest.mark.parametrize("last", [True, False])
def test_fields_over_several_lines_stay_whole(titles: list[str], quoting: int, last: bool, read: Read) -> None:
    stream = io.StringIO(newline="")
    names = ["item_id", "price", "title"] if last else ["item_id", "title", "price"]
    writer = csv.DictWriter(stream, names, quoting=quoting, lineterminator="\n")  # type: ignore[arg-type]
    writer.writeheader()
    writer.writerows({"item_id": f"SKU{i}", "title": title, "price": "1"} for i, title in enumerate(titles))
    table = read(stream.getvalue().encode())
    assert (rows(table), table.notes) == (list(enumerate(titles, start=1)), ())


def test_a_row_that_lost_its_end_costs_no_other_row(read: Read) -> None:
    table = read((HEADER + '1,"Tea\n2,Mug,4\n3,"Cup",5\n\n4,Pot,6\n').encode())
    assert rows(table) == [(2, "Mug"), (3, "Cup"), (4, "Pot")]
    assert set_aside(table) == [(1, "wrong number of fields")]


def test_a_row_that_is_cut_off_is_set_aside(read: Read) -> None:
    table = read((HEADER + '1,"Big" mug,4\n2,Tea,3\n3,"Cup').encode())
    assert rows(table) == [(1, '"Big" mug'), (2, "Tea")]
    assert set_aside(table) == [(3, "a quote is never closed")]


def test_many_fields_without_an_end_take_no_longer_than_few(read: Read) -> None:
    table = read((HEADER + "".join(f'{i},"x\n' for i in range(20_000))).encode())
    assert table.read == 20_000


def test_rows_between_blocks_are_mended(monkeypatch: pytest.MonkeyPatch, read: Read) -> None:
    monkeypatch.setattr("features.ingest.readers.delimited.CHUNK", 7)
    table = read((HEADER + "".join(f'{i},"Big" mug {i},4\n' for i in range(1, 50))).encode())
    assert rows(table) == [(i, f'"Big" mug {i}') for i in range(1, 50)]


fields = st.text(st.sampled_from('ab1 ",\n\\;'), max_size=6)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(fields, fields, fields), min_size=1, max_size=8), st.sampled_from([csv.QUOTE_ALL, csv.QUOTE_MINIMAL]))
def test_what_follows_the_standard_is_not_changed(table: list[tuple[str, str, str]], quoting: int) -> None:
    stream = io.StringIO(newline="")
    csv.writer(stream, quoting=quoting, lineterminator="\n").writerows(table)  # type: ignore[arg-type]
    text = stream.getvalue()
    survey = QuoteSurvey(",")
    survey.see(text)
    assert not survey.stray or any('"' in field for row in table for field in row)
    mender = QuoteMender(Dialect(["a", "b", "c"], ",", 0, [list(row) for row in table]))
    lines = list(mender.lines(io.StringIO(text, newline="")))
    if not mender.mended:  # a standard row whose lines look like rows themselves is beyond telling
        assert "".join(lines) == text


plain = st.text(st.sampled_from('ab "'), min_size=1, max_size=8).filter(lambda text: not text.endswith(" "))


@settings(max_examples=100, deadline=None)
@given(st.lists(plain, min_size=1, max_size=8))
def test_a_file_without_quoting_keeps_its_rows(titles: list[str]) -> None:
    lines = [f"{i},{title},3\n" for i, title in enumerate(titles)]
    mender = QuoteMender(Dialect(["a", "b", "c"], ",", 0, [["1", "Green tea", "3"], ["2", "Big mug", "3"]]))
    mended = list(csv.reader(mender.lines(lines), strict=True))
    assert [row[0] for row in mended] == [str(i) for i in range(len(titles))]
    assert all(len(row) == 3 for row in mended)
