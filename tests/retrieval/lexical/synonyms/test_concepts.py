"""The packaged list of shop words is well-formed, and a shop's own list is read or reported."""

from __future__ import annotations

import csv
from importlib.resources import files
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.errors import DataError
from retrieval.lexical.analyzer import fold
from retrieval.lexical.synonyms.concepts import COLUMNS, MOST_WORDS, packaged_concepts, read_synonyms
from retrieval.lexical.synonyms.query_words import LANGUAGES, LONGEST_CHINESE, phrase_key
from retrieval.lexical.synonyms.thesaurus import Thesaurus

LINES = files("retrieval.lexical.synonyms").joinpath("thesaurus.csv").read_text(encoding="utf-8").splitlines()
ROWS = list(csv.reader(LINES, delimiter=";", quoting=csv.QUOTE_NONE))


def test_the_table_is_well_formed() -> None:
    assert tuple(ROWS[0]) == COLUMNS
    assert {len(row) for row in ROWS} == {len(COLUMNS)}
    assert all(row[0] for row in ROWS), "every concept has English words"
    assert len(packaged_concepts()) == len(ROWS) - 1 > 1_000


def test_cells_hold_phrases() -> None:
    for row in ROWS[1:]:
        for cell in filter(None, row):
            phrases = cell.split("|")
            assert all(phrase and phrase == " ".join(phrase.split()) for phrase in phrases), cell
            assert len(set(phrases)) == len(phrases), cell


def test_every_phrase_can_be_found() -> None:
    for concept in packaged_concepts():
        for language, phrases in concept.words.items():
            keys = [phrase_key(fold(phrase), language) for phrase in phrases]
            assert all(1 <= len(key) <= MOST_WORDS for key in keys), phrases
            assert language != "zh" or all(len(key[0]) <= LONGEST_CHINESE for key in keys), phrases


def test_no_concept_stands_twice() -> None:
    heads = [row[0].split("|")[0] for row in ROWS[1:]]
    assert sorted(heads) == sorted(set(heads))


@pytest.mark.parametrize("language", LANGUAGES)
def test_few_phrases_belong_to_several_concepts(language: str) -> None:
    shared = [key for key, numbers in Thesaurus.packaged().phrases.by_key[language].items() if len(numbers) > 1]
    assert len(shared) <= 25, shared


def test_narrower_names_are_concepts() -> None:
    phrases = Thesaurus.packaged().phrases
    unknown = [name for concept in packaged_concepts() for name in concept.narrower if phrases.concept_of(name) is None]
    assert unknown == []


@pytest.mark.parametrize("sign", [",", ";", "\t", ", "])
def test_a_shops_file(tmp_path: Path, sign: str) -> None:
    path = tmp_path / "synonyms.csv"
    path.write_text(
        f'# our words\nsub{sign}hoagie{sign}grinder\n\nloo roll{sign}bath tissue\n"kitchen roll"{sign}paper towel\n', encoding="utf-8-sig"
    )
    read = read_synonyms(path)
    assert read.rows == [("sub", "hoagie", "grinder"), ("loo roll", "bath tissue"), ("kitchen roll", "paper towel")]
    assert read.notes == []


def test_bad_lines_are_reported(tmp_path: Path) -> None:
    path = tmp_path / "synonyms.csv"
    path.write_text("sub,hoagie\nfoo\nbar, Bar\n,,\none two three four five six seven,x1,x2\n", encoding="utf-8")
    read = read_synonyms(path)
    assert read.rows == [("sub", "hoagie"), ("x1", "x2")]
    assert [note.split(", such as")[0] for note in read.notes] == [
        "note: synonyms.csv: 1 of the terms",
        "note: synonyms.csv: 3 of 5 lines",
    ]
    assert "'foo'" in read.notes[1]


@pytest.mark.parametrize("content", [b"caf\xe9,coffee\n", b"\xff\xfes\x00u\x00b\x00"])
def test_other_encodings_are_refused_in_one_line(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "synonyms.csv"
    path.write_bytes(content)
    with pytest.raises(DataError, match="is not UTF-8") as error:
        read_synonyms(path)
    assert "\n" not in str(error.value)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"absent\.csv"):
        read_synonyms(tmp_path / "absent.csv")


@given(text=st.text())
def test_any_text_is_read_or_reported(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = tmp_path_factory.mktemp("any") / "synonyms.csv"
    path.write_bytes(text.encode("utf-8", "replace"))
    try:
        read = read_synonyms(path)
    except DataError:
        return
    Thesaurus.packaged().extended(read.rows[:1])
    assert all(len(row) >= 2 for row in read.rows)
