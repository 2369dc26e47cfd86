"""`recsys search`: its options, what it prints, and files of queries."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from features.errors import DataError
from recsys.apps.search.request import MAX_LENGTH, SearchOptions
from recsys.cli.list_files import read_queries
from recsys.cli.main import run
from tests.recsys.calls import Command
from tests.recsys.conftest import FOUND, Place


def test_it_takes_every_option(fake_shop: Any) -> None:
    line = (
        "search milk --user 123 -k 5 --category tea --brand acme --praised quality --min-price 1 --max-price 9.5 --in-stock --exclude A,B"
    )
    more = ["--ignore", "max_price:3", "--ignore", "brand:a, b", "--verbatim", "--max-per-group", "2", "--explain"]
    assert run([*line.split(), *more]) == 0
    expected = SearchOptions(
        k=5,
        category="tea",
        brand="acme",
        praised="quality",
        min_price=1,
        max_price=9.5,
        in_stock=True,
        exclude=("A", "B"),
        ignore=("max_price:3", "brand:a, b"),
        verbatim=True,
        max_per_group=2,
        explain=True,
    )
    assert fake_shop.calls == [("search", Path("workspace"), expected, [("milk", "123")])]
    assert run(["search", "milk"]) == 0
    assert fake_shop.calls[-1][2:] == (SearchOptions(), [("milk", None)])


def test_json_is_stable(fake_shop: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["search", "gren tea", "--user", "1", "-k", "3", "--json"]) == 0
    captured = capsys.readouterr()
    answer = json.loads(captured.out)
    assert captured.err == ""
    assert (answer["query"], answer["user_id"], answer["bundle_id"], answer["read_as"]) == ("gren tea", "1", "b1", "green tea")
    assert next(name for name, value in answer.items() if isinstance(value, list)) == "items"  # scripts take the first list
    assert list(answer["items"][0].items())[:6] == [
        ("rank", 1),
        ("item_id", "sku-7"),
        ("title", "Green tea"),
        ("category", "tea"),
        ("price", 1.95),
        ("score", 0.5),
    ]
    assert answer["items"][0]["contributions"] == {"bm25": 1.5, "popular": -0.25}
    assert answer["corrections"] == [{"typed": "gren", "read": "green"}]
    assert answer["filters"][0] == {"key": "max_price:3", "label": "up to 3", "words": "under 3 dollars", "relaxed": False}
    assert answer["facets"]["price"] == [{"value": "1-2", "count": 9}]


def test_people_see_how_the_query_was_read(fake_shop: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["search", "gren tea under 3 dollars", "--user", "7"]) == 0
    out = capsys.readouterr().out
    lines = out.splitlines()
    assert lines[0] == "Search for gren tea under 3 dollars, for user 7, from bundle b1"
    assert lines[1] == "shown for: green tea; typed: gren tea under 3 dollars"
    assert lines[2] == "filter: up to 3, read from 'under 3 dollars'; remove it with --ignore max_price:3"
    assert lines[3] == "filter: brand x y, read from 'x y'; dropped, nothing that fits meets it"
    assert lines[4] == "did you mean: green teas"
    assert lines[5] == "Not what was asked for: no item has these words: nearest in meaning"
    assert lines[6] == "note: no item has the word 'xyz'"
    assert lines[7].split() == ["#", "Item", "Title", "Price", "Why"]
    assert lines[8].split() == ["1", "sku-7", "Green", "tea", "1.95", "matches:", "green", "tea"]
    assert "1. bm25 +1.50, popular -0.25" in lines
    assert lines[-1] == "narrow by category: tea (12), [b]x (1); price: 1-2 (9); praised for: quality (3)"
    assert not set(out) & set("\x1b\x00\x07\u202e")


def test_nothing_is_said_of_a_query_that_was_read_as_typed(fake_shop: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["search", " Green  TEA"]) == 0
    assert "shown for" not in capsys.readouterr().out
    assert run(["search", "none of it"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "Nothing found."


@pytest.mark.parametrize("text", ["", "  ", "\t\n", "x" * (MAX_LENGTH + 1), "ab " * 4_000])
def test_texts_that_nobody_types_are_refused_in_one_line(fake_shop: Any, capsys: pytest.CaptureFixture[str], text: str) -> None:
    assert run(["search", text]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("error: ")
    assert captured.err.count("\n") == 1
    assert fake_shop.calls == []


READ = {name: FOUND.to_dict()[name] for name in ("read_as", "did_you_mean", "fallback", "corrections", "filters", "notes")}


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
def test_a_file_of_queries(fake_shop: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str], suffix: str) -> None:
    queries, out = tmp_path / "queries.csv", tmp_path / f"found.{suffix}"
    queries.write_text('query,user_id\n"milk, oat",007\ntea,\nnone,b\nmilk,007\n"milk, oat",007\n,9\n' + "y" * 2_000 + ",1\n")
    assert run(["search", "--queries-file", str(queries), "-k", "2", "--out", str(out)]) == 0
    assert fake_shop.calls[-1][2:] == (SearchOptions(k=2), [("milk, oat", "007"), ("tea", None), ("none", "b"), ("milk", "007")])
    read = {"csv": pl.read_csv, "jsonl": pl.read_ndjson, "parquet": pl.read_parquet}[suffix]
    rows = read(out, **({"schema_overrides": {"user_id": pl.String}} if suffix == "csv" else {}))
    of_item, of_query = ["item_id", "rank", "probability", "reason", "score"], list(READ)
    assert rows.columns == ["query", "user_id", *of_item, *of_query]
    assert rows["query"].to_list() == ["milk, oat", "milk, oat", "tea", "tea", "none", "milk", "milk"]
    assert rows["user_id"].to_list() == ["007", "007", None, None, "b", "007", "007"]
    assert rows.select(of_item).row(1) == ("x,y", 2, None, "bought 6 times", 0.25)
    assert rows.select(of_item).row(4) == (None,) * 5, "a query without an item says why"
    for row in rows.select(of_query).rows(named=True):
        lists = {name: json.loads(value) for name, value in row.items() if suffix == "csv" and isinstance(READ[name], list)}
        assert row | lists == READ
    captured = capsys.readouterr()
    assert captured.out == f"4 queries, 1 of them without an item, 7 rows in {out}\n"
    assert captured.err.splitlines() == [
        "note: 1 row without a query: left out",
        "note: 1 row with a query of more than 1,000 characters: left out",
        "note: 1 row with a query and user that came before: answered once",
    ]


@pytest.mark.parametrize(
    ("name", "text", "encoding"),
    [
        ("queries.csv", "Query;User ID\noat milk;5001\nthé vert;\n", "utf-8"),
        ("queries.csv", "user_id\tquery\n5001.0\toat milk\n\tthé vert\n", "utf-16"),
        ("queries.jsonl", '{"query": "oat milk", "user_id": 5001}\n{"query": "thé vert"}\n', "utf-8"),
        ("queries.json", '[{"query": "oat milk", "user_id": "5001"}, {"query": "thé vert", "user_id": null}]', "utf-8"),
    ],
)
def test_any_table_of_queries_is_read(tmp_path: Path, name: str, text: str, encoding: str) -> None:
    (tmp_path / name).write_text(text, encoding=encoding)
    assert read_queries(tmp_path / name)[0] == [("oat milk", "5001"), ("thé vert", None)]


@pytest.mark.parametrize(("name", "head"), [("queries.txt", ""), ("queries", ""), ("queries.txt", "query\n"), ("queries.csv", "query\n")])
def test_one_query_a_line(tmp_path: Path, name: str, head: str) -> None:
    (tmp_path / name).write_text(f"{head}oat milk\nbread for hot dogs\n", encoding="utf-8-sig")
    assert read_queries(tmp_path / name) == ([("oat milk", None), ("bread for hot dogs", None)], ())


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("queries.csv", "text\nmilk\n", "has no column query, it has text"),
        ("queries.csv", "", "holds no queries"),
        ("queries.csv", "query,user_id\n,1\n", "holds no queries"),
        ("queries.txt", "\n \n", "holds no queries"),
        ("queries.parquet", "nonsense", "cannot be read"),
        ("absent.csv", None, "there is no"),
    ],
)
def test_files_without_queries(fake_shop: Any, tmp_path: Path, capsys, name: str, content: str | None, message: str) -> None:
    if content is not None:
        (tmp_path / name).write_text(content)
    (tmp_path / "out.csv").write_text("what was there before")
    assert run(["search", "--queries-file", name, "--out", "out.csv"]) == 1
    captured = capsys.readouterr()
    assert message in captured.err
    assert captured.err.count("\n") == 1
    assert (tmp_path / "out.csv").read_text() == "what was there before"
    assert fake_shop.calls == []


def test_an_error_of_the_search_is_one_line(fake_shop: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fake_shop.error = DataError("no item is in category 'cars'")
    assert run(["search", "tea", "--category", "cars"]) == 1
    assert capsys.readouterr().err == "error: no item is in category 'cars'\n"
    (tmp_path / "q.txt").write_text("tea\n")
    assert run(["search", "--queries-file", "q.txt", "--out", "o.csv", "--category", "cars"]) == 1
    assert not (tmp_path / "o.csv").exists()


STRANGE = (
    *("🍓🍓", "the of and", "\x00\x01\x1b[31m", "title:(", "*", "AND", "OR NOT ("),
    *("'; DROP TABLE items; --", "<script>alert(1)</script>"),
)


@pytest.mark.parametrize("text", [*STRANGE, "x" * MAX_LENGTH])
def test_any_words_are_answered(ready: Place, command: Command, text: str) -> None:
    answer = command("search", text, "--user", "nobody", "-k", "3", "--json", workspace=ready.workspace.root).answer
    assert answer["query"] == text
    assert len(answer["items"]) <= 3


def test_what_is_unknown_is_one_line(ready: Place, command: Command) -> None:
    for words, said in (
        (["--category", "cars"], "cars"),
        (["--brand", "nobrand"], "nobrand"),
        (["--exclude", "sku-99"], "sku-99"),
        (["--min-price", "5", "--max-price", "1"], "min_price"),
    ):
        assert said in command("search", "tea", *words, workspace=ready.workspace.root).error


@pytest.mark.parametrize(("words", "key"), [("under 3 dollars", "max_price:3"), ("below 4.50", "max_price:4.5")])
def test_a_filter_of_the_words_is_removed_by_its_key(ready: Place, command: Command, words: str, key: str) -> None:
    asked = ("search", f"tea {words}", "-k", "40", "--json")
    read = command(*asked, workspace=ready.workspace.root).answer
    assert [(one["key"], one["words"]) for one in read["filters"]] == [(key, words)]
    most = float(key.partition(":")[2])
    assert read["items"]
    assert all(item["price"] <= most for item in read["items"])
    free = command(*asked, "--ignore", key, workspace=ready.workspace.root).answer
    assert free["filters"] == []
    assert any(item["price"] > most for item in free["items"])


def test_k_may_be_larger_than_the_catalogue(ready: Place, command: Command) -> None:
    items = command("search", "tea", "-k", "100000", "--json", workspace=ready.workspace.root).answer["items"]
    assert 0 < len(items) <= 40
    assert len({item["item_id"] for item in items}) == len(items)


def test_what_is_printed_is_what_the_file_holds(ready: Place, command: Command, tmp_path: Path) -> None:
    query = "rye bred xyzzy -towel under 90 dollars"
    (tmp_path / "q.jsonl").write_text(json.dumps({"query": query, "user_id": "user-05"}))
    answer = command("search", query, "--user", "user-05", "--json", workspace=ready.workspace.root).answer
    done = command("search", "--queries-file", "q.jsonl", "--out", "o.parquet", workspace=ready.workspace.root)
    assert done.code == 0
    rows = pl.read_parquet(tmp_path / "o.parquet")
    assert rows["item_id"].to_list() == [item["item_id"] for item in answer["items"]]
    assert rows["reason"].to_list() == [item["reason"] for item in answer["items"]]
    assert rows.select(*READ).rows(named=True)[0] == {name: answer[name] for name in READ}
    assert FOUND.query  # the stand-in of the other tests has the form of this answer
    assert answer.keys() == FOUND.to_dict().keys()
