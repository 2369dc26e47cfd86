"""Help pages as a table: spellings of columns, languages, tags and links, and rows that are refused."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import polars as pl
import pytest
from pydantic import ValidationError

from features.errors import DataError
from features.ingest.erased_users import ErasedUsers
from features.ingest.pipeline import ingest
from features.ingest.profile.report import full, short
from features.ingest.readers.database import extract
from features.ingest.source import Source
from features.ingest.table_store import forget, load_optional, load_profile, load_quarantine, table_digests
from tests.features.ingest.help_pages.conftest import Ingested

ROWS = [
    {"question": "How much?", "answer": "Four pounds.", "tags": "fee, post", "language": "en", "link": "https://shop.example/help#fee"},
    {"question": "Wie viel?", "answer": "Vier Euro.\nBis 20 kg.", "tags": "Porto", "language": "de", "link": "/hilfe#porto"},
]


def written(path: Path, rows: list[dict]) -> Path:
    frame = pl.DataFrame(rows)
    if path.suffix == ".csv":
        frame.write_csv(path)
    elif path.suffix == ".parquet":
        frame.write_parquet(path)
    else:
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.mark.parametrize("kind", ["csv", "parquet", "jsonl"])
def test_all_kinds_of_files_give_the_same_table(kind: str, tmp_path: Path, ingested: Ingested) -> None:
    summary, frame = ingested(written(tmp_path / f"help.{kind}", ROWS))
    assert frame.drop("row").to_dicts() == ROWS
    assert frame["row"].to_list() == [1, 2]
    assert "help_pages: 2 read = 2 kept + 0 quarantined" in str(summary)
    assert summary.profile is not None
    assert "2 entries (de 1, en 1), 2 with a link, 2 with tags" in full(summary.profile)
    assert "help.jsonl" not in short(summary.profile) or kind == "jsonl"


@pytest.mark.parametrize("tags", [["fee", "post"], "fee;post", "fee | post", " fee,, post ,"])
def test_tags_have_one_spelling(tags: object, tmp_path: Path, ingested: Ingested) -> None:
    _, frame = ingested(written(tmp_path / "help.jsonl", [ROWS[0] | {"tags": tags}]))
    assert frame["tags"].to_list() == ["fee, post"]


def test_only_questions_and_answers_are_needed(tmp_path: Path, ingested: Ingested) -> None:
    _, frame = ingested(written(tmp_path / "help.csv", [{"question": "Why?", "answer": "So."}]))
    assert frame.select("tags", "language", "link").rows() == [("", "", "")]


def test_names_are_mapped_and_guessed(tmp_path: Path, ingested: Ingested) -> None:
    path = written(tmp_path / "help.csv", [{"Frage": "Warum?", "Antwort": "Darum."}])
    with pytest.raises(DataError, match=r'is Frage the question.*help_pages_columns. question = "Frage", answer = "Antwort"'):
        ingested(path)
    _, frame = ingested(path, help_pages_columns={"question": "Frage", "answer": "Antwort"})
    assert frame["answer"].to_list() == ["Darum."]


def test_refused_rows_are_listed_and_texts_cleaned(tmp_path: Path, ingested: Ingested) -> None:
    rows = [
        {
            "question": "How?",
            "answer": "<p>So &amp; so</p><p>Write to help@shop.example</p>",
            "language": "klingon",
            "link": "javascript:x()",
        },
        {"question": " ", "answer": "x", "language": "en", "link": ""},
        {"question": "Where?", "answer": "N/A", "language": "en", "link": ""},
        {"question": "x" * 1_001, "answer": "x", "language": "en", "link": ""},
        {"question": "When?", "answer": "Now", "language": "en", "link": "ftp://x/y"},
        {"question": "When?", "answer": "Now", "language": "English", "link": ""},
    ]
    summary, frame = ingested(written(tmp_path / "help.jsonl", rows))
    assert frame["question"].to_list() == ["How?", "When?"]
    assert frame["answer"][0].replace("  ", " ") == "So & so Write to help@shop.example"  # the shop's own address stays
    assert frame["link"].to_list() == ["", ""]
    listed = load_quarantine(tmp_path / "out").filter(pl.col("table") == "help_pages")
    assert dict(listed.select("row", "reason").iter_rows()) == {
        "2": "no question",
        "3": "no answer",
        "4": "question longer than 1,000 characters",
        "6": "duplicate entry (the first one stays)",
    }
    notes = "\n".join(summary.notes)
    assert "1 row has a language that is not understood ('klingon' in row 1)" in notes
    assert "2 rows have a link that is no address of a page ('javascript:x()' in row 1): left out" in notes
    assert "HTML or shortcodes were removed from 1 answer (such as row 1)" in notes


def test_no_row_that_can_be_used_is_an_error(tmp_path: Path, ingested: Ingested) -> None:
    with pytest.raises(DataError, match="the one row of the table of help pages cannot be used .*no answer"):
        ingested(written(tmp_path / "help.jsonl", [{"question": "Why?", "answer": ""}]))


def test_an_erasure_keeps_them(tmp_path: Path, source: Source, ingested: Ingested) -> None:
    ingested(written(tmp_path / "help.csv", ROWS))
    erased = ErasedUsers.read(tmp_path / "erased.json")
    before = load_optional(tmp_path / "out", "help_pages")
    forget(tmp_path / "out", erased)
    after = load_optional(tmp_path / "out", "help_pages")
    assert before is not None
    assert after is not None
    assert before.equals(after)
    profile = load_profile(tmp_path / "out")
    assert profile is not None
    assert profile.help is not None
    assert profile.help.rows == 2


def test_a_shop_without_them_has_none(tmp_path: Path, source: Source) -> None:
    ingest(source, tmp_path / "out")
    assert load_optional(tmp_path / "out", "help_pages") is None
    assert len(table_digests(tmp_path / "out") or []) == 2


def test_a_query_gives_them(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "shop.db")) as database:
        database.execute("create table log as select 'u1' user_id, 'A' item_id, '2026-01-01' timestamp, 'Apple' title")
        database.execute("create table faq as select 'Why?' question, 'So.' answer")
        database.commit()
    sql = {"uri": f"sqlite:///{tmp_path}/shop.db", "interactions": "select * from log", "help_pages": "select * from faq"}
    source = Source.model_validate({"sql": sql})
    ingest(source, tmp_path / "out", files=extract(source, tmp_path / "extract", ErasedUsers.read(tmp_path / "erased.json")))
    frame = load_optional(tmp_path / "out", "help_pages")
    assert frame is not None
    assert frame["answer"].to_list() == ["So."]


def test_keys_for_help_pages_need_help_pages(source: Source) -> None:
    with pytest.raises(ValidationError, match="help_pages_columns says how to read a table of help pages, and there is none"):
        Source.model_validate(source.model_dump() | {"help_pages_columns": {"question": "Frage"}})
