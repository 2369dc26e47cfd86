"""JSON in lines, arrays, answers of an interface, and one object after the other."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from features.errors import DataError
from features.ingest.formats.layout import TableLayout
from tests.features.ingest.readers.conftest import Read, rows, set_aside

RECORDS = [{"item_id": i, "title": f"Tea [{i}], {{green}}", "price": 1.5, "tags": [{"id": 1}]} for i in range(1, 4)]
WANTED = [(i, f"Tea [{i}], {{green}}") for i in range(1, 4)]
SHAPES: dict[str, Callable[[], str]] = {
    "lines": lambda: "\n".join(map(json.dumps, RECORDS)),
    "array": lambda: json.dumps(RECORDS),
    "array in lines": lambda: "[\n  " + ",\n  ".join(map(json.dumps, RECORDS)) + "\n]\n",
    "pretty array": lambda: json.dumps(RECORDS, indent=2),
    "pretty objects": lambda: "\n".join(json.dumps(record, indent=2) for record in RECORDS),
    "objects without space": lambda: "".join(json.dumps(record, indent=2) for record in RECORDS),
    "products": lambda: json.dumps({"products": RECORDS}),
    "pretty products": lambda: json.dumps({"products": RECORDS}, indent=1),
    "with counts": lambda: json.dumps({"total_count": 3, "items": RECORDS, "search_criteria": {"page_size": 20}}),
    "pages": lambda: "\n".join(json.dumps({"data": [record], "meta": {"page": 1}}) for record in RECORDS),
    "arrays of pages": lambda: json.dumps(RECORDS[:2]) + "\n" + json.dumps(RECORDS[2:]),
    "edges": lambda: json.dumps({"data": {"products": {"edges": [{"node": record} for record in RECORDS]}}}),
}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", ["items.json", "items.jsonl", "items.csv"])
def test_every_shape_gives_the_same_records(shape: str, name: str, read: Read) -> None:
    assert rows(read(SHAPES[shape]().encode(), name)) == WANTED


def test_a_record_with_a_list_is_no_answer(read: Read) -> None:
    one = {"item_id": "7", "title": "Tea", "variants": [{"sku": 1}, {"sku": 2}]}
    assert rows(read(json.dumps(one).encode(), "items.json")) == [(1, "Tea")]
    assert rows(read(json.dumps([one, one]).encode(), "items.json")) == [(1, "Tea"), (2, "Tea")]


def test_a_layout_makes_rows_of_records_in_any_shape(read: Read) -> None:
    layout = TableLayout({}, records=lambda record: [{"item_id": part["id"], "title": record["title"]} for part in record["tags"]])
    for shape in ("lines", "array", "products", "pretty objects"):
        assert rows(read(SHAPES[shape]().encode(), "items.json", layout=layout)) == WANTED
    empty = json.dumps([*RECORDS, {"title": "x", "tags": []}]).encode()
    table = read(empty, "items.json", layout=layout)
    assert (rows(table), set_aside(table)) == (WANTED, [(4, "a record without rows")])


NUMBERS = ["1.10", "12345678901234567890123", "0.50", "7", "-3.00", "1999.90"]


@pytest.mark.parametrize("shape", ["[{}]", '{{"products": [{}]}}', "{}\n"])
@pytest.mark.parametrize("indent", ["", "\n"])
def test_numbers_keep_their_spelling(shape: str, indent: str, read: Read) -> None:
    records = ("\n" if shape == "{}\n" else ",").join(f'{{{indent}"item_id": {number},{indent} "title": [{number}]}}' for number in NUMBERS)
    table = read(shape.format(records).encode(), "items.json")
    assert table.frame.select("item_id", "title").collect().rows() == [(number, number) for number in NUMBERS]


@pytest.mark.parametrize("constant", ["NaN", "null"])
def test_what_python_writes_for_no_number_is_no_value(constant: str, read: Read) -> None:
    text = f'[{{"item_id": 1, "title": "a, NaN, tea", "price": {constant}}}, {{"item_id": 2, "title": {constant}}}]'
    titles = read(text.encode(), "items.json").frame.select("title").collect()["title"].to_list()
    assert titles == ["a, NaN, tea", None if constant == "null" else constant], "the rules of rows take NaN for no value"


def test_objects_after_one_another_in_one_line(read: Read) -> None:
    assert rows(read("".join(map(json.dumps, RECORDS)).encode(), "items.json")) == WANTED
    assert rows(read(" ".join(map(json.dumps, RECORDS)).encode(), "items.json")) == WANTED


def test_elements_that_are_no_objects_are_set_aside(read: Read) -> None:
    table = read(b'[{"item_id": 1, "title": "Tea"}, 5, null, [1], "x"]', "items.json")
    assert rows(table) == [(1, "Tea")]
    assert set_aside(table) == [(i, "not a JSON object") for i in (2, 3, 4, 5)]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('[{"item_id": 1},\n{"item_id": 2 "title": 3}]', "is damaged JSON in line 2 .*: export it again, or one object a line"),
        ('[{"item_id": 1},\n{"item_id": 2, "ti', "is damaged JSON in line 2 .Unterminated string"),
        ('[{"item_id": 1},', "is cut short"),
        ('[{"item_id": 1}', "is cut short"),
        ('{\n"item_id": 1\n}\n{\n"item_id": 2', "is cut short"),
        ('[{"item_id": ' * 50_000, "too deeply nested"),
        ("[" * 99_999, "too deeply nested"),
    ],
)
def test_damage_in_an_array_is_one_line(content: str, message: str, read: Read) -> None:
    with pytest.raises(DataError, match=message):
        read(content.encode(), "items.json")


def test_a_first_line_that_is_no_json_costs_that_line(read: Read) -> None:
    table = read(b'{"bad\n{"item_id": 1, "title": "Tea"}\n', "items.jsonl")
    assert (rows(table), set_aside(table)) == ([(2, "Tea")], [(1, "not a JSON object")])


def test_a_text_that_cannot_be_held_says_what_to_do(monkeypatch: pytest.MonkeyPatch, read: Read) -> None:
    monkeypatch.setattr("features.ingest.readers.json_records.LARGEST", 1_000)
    with pytest.raises(DataError, match="in one piece: write one object a line, say with jq"):
        read(json.dumps(RECORDS * 20).encode(), "items.json")
    assert read("\n".join(map(json.dumps, RECORDS * 200)).encode(), "items.json").read == 600


def test_arrays_and_objects_in_one_file(read: Read) -> None:
    text = "\n".join([json.dumps(RECORDS[:1]), json.dumps(RECORDS[1]), json.dumps(RECORDS[2:])])
    assert rows(read(text.encode(), "items.json")) == WANTED
