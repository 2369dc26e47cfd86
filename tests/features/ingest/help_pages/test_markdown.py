"""A folder of Markdown pages: headings with their text, front matter, and what is no page."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from features.errors import DataError
from features.ingest.help_pages.markdown import _parsed, page_files
from features.ingest.source import Source
from features.ingest.table_store import source_files, unchanged
from tests.features.ingest.help_pages.conftest import Ingested

PAGE = """---
language: {language}
tags: {tags}
---
# Delivery

## How much does it cost?

Delivery costs **£3.90**, see [the terms](terms.md).<br>Free from £60 <b>or more</b>.

- one
- two with `code`

| a | b |
|---|---|
| 1 | 2 |

How fast?
---------
Two days.

## How fast?
Three days.
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "help" / "sub").mkdir(parents=True)
    return tmp_path / "help"


def write(folder: Path, **pages: str | bytes) -> Path:
    for name, content in pages.items():
        (folder / f"{name}.md").write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder


@pytest.mark.parametrize(
    ("language", "tags"), [("en", "[shipping, post]"), ("English", "shipping, post"), ("en-GB", "\n- shipping\n- post")]
)
def test_each_heading_with_its_text_is_an_entry(language: str, tags: str, folder: Path, ingested: Ingested) -> None:
    summary, frame = ingested(write(folder, delivery=PAGE.format(language=language, tags=tags)))
    assert frame["question"].to_list() == ["How much does it cost?", "How fast?", "How fast?"]
    answer = frame["answer"][0]
    assert answer.startswith("Delivery costs £3.90, see the terms. Free from £60 or more.")
    assert "- two with code" in answer
    assert "1 | 2" in answer
    assert frame["link"].to_list() == ["delivery.md#how-much-does-it-cost", "delivery.md#how-fast", "delivery.md#how-fast-1"]
    assert frame["tags"].unique().to_list() == ["shipping, post, Delivery"]
    assert frame["language"].unique().to_list() == ["en"]
    assert any("1 question has several answers ('How fast?'): all are kept" in note for note in summary.notes)


def test_bad_pages_are_told_of_and_lose_nothing_else(folder: Path, ingested: Ingested) -> None:
    write(
        folder,
        good="# A question\nAn answer.\n",
        empty="",
        blank="\n\n  \n",
        binary=bytes(range(256)) * 20,
        zip=b"PK\x03\x04" + bytes(100),
        zeros=b"# Title\n\0\0\0\0",
        large="# Large\n" + "many words " * 100_000,
        broken="---\nlanguage: [de\n---\n# Broken [link](((\n**bold\n\n```\nnever closed\n",
        loose="Text that nothing stands above.\n\n# Below\nText.\n",
        bare="# Only a heading\n",
        latin="# Grüße\nMünchen ist schön und grüßt\n".encode("cp1252"),
    )
    (folder / "logo.png").write_bytes(b"\x89PNG")
    (folder / ".hidden.md").write_text("# Hidden\nNot read.\n")
    summary, frame = ingested(folder)
    assert sorted(frame["question"]) == ["A question", "Below", "Broken [link](((", "Grüße", "Large"]
    assert summary.optional["help_pages"].reasons == {
        "the file is no text": 3,
        "the page is empty": 2,
        "no text below the heading": 1,
        "text without a heading above it": 1,
    }
    notes = "\n".join(summary.notes)
    assert "1 file in help is no Markdown (.md) and not read, such as logo.png" in notes
    assert "the front matter of 1 page is no YAML, such as that of broken.md" in notes
    assert "latin.md is not UTF-8; read as cp1252" in notes
    assert "1 answer is cut after 10,000 characters" in notes
    assert frame["answer"].str.len_chars().max() == 10_000


def test_a_title_in_the_front_matter_heads_the_text_above_all_headings(folder: Path, ingested: Ingested) -> None:
    _, frame = ingested(write(folder, page="---\ntitle: When are you open?\nlanguage: no\n---\nFrom eight to nine.\n"))
    assert frame.select("question", "answer", "language", "link").rows() == [("When are you open?", "From eight to nine.", "no", "page.md")]


def test_one_page_alone_is_read(folder: Path, ingested: Ingested) -> None:
    write(folder, faq="# Why?\nBecause.\n")
    _, frame = ingested(folder / "faq.md")
    assert frame["link"].to_list() == ["faq.md#why"]


def test_a_folder_without_pages_is_an_error(folder: Path, ingested: Ingested) -> None:
    (folder / "notes.txt").write_text("x")
    with pytest.raises(DataError, match=r"has no Markdown file; it holds notes.txt: name a folder of .md files"):
        ingested(folder)


def test_new_changed_and_removed_pages_are_noticed(folder: Path, ingested: Ingested, source: Source, tmp_path: Path) -> None:
    source = source.model_copy(update={"help_pages": write(folder, a="# A\nText.\n", b="# B\nText.\n")})
    ingested(folder)
    assert source_files(source) == [source.items, source.interactions, folder / "a.md", folder / "b.md"]
    assert unchanged(tmp_path / "out", source)
    (folder / "sub" / "c.md").write_text("# C\nText.\n")
    assert not unchanged(tmp_path / "out", source)
    (folder / "sub" / "c.md").unlink()
    (folder / "b.md").unlink()
    assert not unchanged(tmp_path / "out", source)
    assert page_files(folder) == [folder / "a.md"]


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.text(alphabet=st.sampled_from("#-=*_`[](){}<>|:&! \nabc\t\\~\"'1."), max_size=120))
def test_no_text_breaks_the_parser(text: str) -> None:
    _, entries, _ = _parsed(text)
    assert all(entry.level in range(1, 7) for entry in entries)
