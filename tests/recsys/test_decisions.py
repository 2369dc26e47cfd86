"""The records of docs/decisions: numbered without gaps, built alike, and listed in their index with their own words."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "docs" / "decisions"
INDEX = FOLDER / "README.md"
RECORDS = sorted(path for path in FOLDER.iterdir() if path != INDEX)
SECTIONS = ["Question", "Options", "Figures", "Command", "Decision"]
LONGEST = 120
CODE_FOLDERS = ("features", "retrieval", "ranking", "eval", "recsys", "benchmarks", "notebooks")


def sections(page: str) -> dict[str, str]:
    """Section title -> its text."""
    _, *parts = re.split(r"^## (.+)$", page, flags=re.MULTILINE)
    return {title: text.strip() for title, text in zip(parts[::2], parts[1::2], strict=True)}


def summary(text: str) -> str:
    """The first paragraph as one line."""
    return " ".join(text.split("\n\n", maxsplit=1)[0].split())


def row(path: Path) -> list[str]:
    """What the index must say of a record."""
    page = path.read_text(encoding="utf-8")
    (date,) = re.findall(r"^Date: (\d{4}-\d\d-\d\d)$", page, re.MULTILINE)
    found = sections(page)
    return [f"[{path.name[:3]}]({path.name})", date, summary(found["Question"]), summary(found["Decision"])]


def prose(page: str) -> list[str]:
    """The lines outside of code blocks and tables."""
    text = re.sub(r"^```.*?^```$", "", page, flags=re.MULTILINE | re.DOTALL)
    return [line for line in text.splitlines() if not line.startswith("|")]


def test_numbers_are_consecutive() -> None:
    assert all(re.fullmatch(r"\d{3}-[a-z0-9-]+\.md", path.name) for path in RECORDS)
    assert [int(path.name[:3]) for path in RECORDS] == list(range(1, len(RECORDS) + 1))


def test_the_index_lists_every_record_in_its_own_words() -> None:
    lines = [line for line in INDEX.read_text(encoding="utf-8").splitlines() if line.startswith("| [")]
    assert [line.strip("| ").split(" | ") for line in lines] == [row(path) for path in RECORDS]


def test_records_are_in_order_of_date() -> None:
    dates = [row(path)[1] for path in RECORDS]
    assert dates == sorted(dates)


@pytest.mark.parametrize("path", RECORDS, ids=lambda path: path.stem)
def test_a_record_has_its_sections(path: Path) -> None:
    page = path.read_text(encoding="utf-8")
    found = sections(page)
    assert re.match(r"# \S.*\n\nDate: ", page)
    assert list(found) == SECTIONS
    assert all(found.values()), "a section is empty"
    assert re.search(r"^\|[-|]+\|$", found["Figures"], re.MULTILINE), "the figures stand in a table"
    assert found["Command"].startswith(("```sh\n", "None."))


@pytest.mark.parametrize("path", [INDEX, *RECORDS], ids=lambda path: path.stem)
def test_lines_of_prose_are_short(path: Path) -> None:
    assert [line for line in prose(path.read_text(encoding="utf-8")) if len(line) > LONGEST] == []


def test_comments_name_records_that_exist() -> None:
    pages = [path.read_text(encoding="utf-8") for folder in CODE_FOLDERS for path in (ROOT / folder).rglob("*.py")]
    named = {number for page in pages for number in re.findall(r"docs/decisions/(\d{3})", page)}
    assert named, "the pattern finds none"
    assert named <= {path.name[:3] for path in RECORDS}
