"""BM25 over weighted fields: the scores of the formula, and an update that equals a build."""

from __future__ import annotations

import json

import bm25s
import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from safetensors.numpy import load

from features.errors import BundleError, DataError
from retrieval.lexical.fields import item_fields
from retrieval.lexical.index import LexicalConfig, LexicalIndex

TITLES = [
    "Green tea",
    "Black tea bags",
    "Rye bread",
    "Hot dog buns",
    "Wi-Fi router",
    "Frzn pizza",
    "Milk, 1 GA",
    "Tea tea tea",
    "",
    "Hotdog",
]
TITLE = LexicalConfig(weights={"title": 1.0})
WORDS = st.sampled_from(["tea", "teas", "milk", "1 gal", "wi-fi", "bread", "牛奶", "006R90321", "the", "café"])
TEXTS = st.lists(st.lists(WORDS, max_size=5).map(" ".join), max_size=12)


def index_of(titles: list[str], config: LexicalConfig = TITLE) -> LexicalIndex:
    return LexicalIndex.build({"title": titles}, config)


def search(index: LexicalIndex, query: str, k: int = 10) -> list[int]:
    return index.search(index.analyzer.tokens(query), k)[0].tolist()


def test_scores_are_those_of_bm25s() -> None:
    texts = ["green tea", "black tea bags", "rye bread", "tea tea tea", "bread tea"]
    index = LexicalIndex.build({"title": texts}, LexicalConfig(k1=1.5, b=0.75, language="none", weights={"title": 1.0}))
    other = bm25s.BM25(k1=1.5, b=0.75, method="lucene")
    other.index([text.split() for text in texts], show_progress=False)
    for query in (["tea"], ["bread", "tea"], ["rye"], ["bags", "green"]):
        np.testing.assert_allclose(index.scores(query), other.get_scores(query), rtol=1e-5)


def test_counts_of_fields_are_weighted_before_they_saturate() -> None:
    config = LexicalConfig(k1=1.0, b=0.5, language="none", weights={"title": 3.0, "description": 0.5})
    fields = {"title": ["tea", "bread", "cake"], "description": ["green tea tea", None, "tea"]}
    counts, lengths = np.array([3 + 2 * 0.5, 0, 0.5]), np.array([3 + 3 * 0.5, 3.0, 3 + 0.5])
    rarity = np.log(1 + (3 - 2 + 0.5) / (2 + 0.5))
    expected = rarity * counts / (counts + 1.0 * (0.5 + 0.5 * lengths / lengths.mean()))
    np.testing.assert_allclose(LexicalIndex.build(fields, config).scores(["tea"]), expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("query", "best"),
    [("green teas", 0), ("breads", 2), ("wifi", 4), ("frozen pizza", 5), ("milk 1 gallon", 6), ("gallon", 6), ("hot dog", 3), ("WI FI", 4)],
)
def test_what_is_meant_comes_first(query: str, best: int) -> None:
    assert search(index_of(TITLES), query)[0] == best


@pytest.mark.parametrize("query", ["hotdog", "hot dog", "hot-dog"])
def test_a_compound_finds_both_spellings(query: str) -> None:
    titles = ["Hot dog buns", "Hot dog chili", "Hotdog", "Hot tea", "Dog food"]
    assert {0, 1, 2} <= set(search(index_of(titles), query)[:3])


def test_a_rare_abbreviation_counts_no_more_than_the_word() -> None:
    scores = index_of(["Potato chips", "Corn chips", "Chips", "Loin chp", "Rib steak"]).scores(["chip"])
    assert 0 < scores[3] <= scores[0]
    assert scores[4] == 0


def test_equal_scores_come_by_row_and_others_not_at_all() -> None:
    index = index_of(["tea", "bread", "tea", "tea"])
    assert search(index, "tea") == [0, 2, 3]
    assert search(index, "tea", k=2) == [0, 2]
    assert search(index, "soap") == search(index, "") == []
    assert index.search(["tea"], 5, allowed=np.array([False, True, True, False]))[0].tolist() == [2]


def test_a_token_counts_once() -> None:
    index = index_of(TITLES)
    np.testing.assert_array_equal(index.scores(["tea", "tea"]), index.scores(["tea"]))


def test_the_vocabulary_counts_texts() -> None:
    assert index_of(["tea teas", "tea", "bread"]).vocabulary == {"bread": 1, "tea": 2}


@pytest.mark.parametrize("fields", [{"title": []}, {}, {"title": [None, ""]}, {"brand": ["acme"]}])
def test_nothing_to_index_is_an_index_that_finds_nothing(fields: dict[str, list]) -> None:
    index = LexicalIndex.build(fields, TITLE)
    assert index.scores(["tea"]).tolist() == [0.0] * len(index)
    assert index.search(["tea"], 3)[0].tolist() == []
    assert LexicalIndex.from_files(index.to_files()).scores(["tea"]).tolist() == [0.0] * len(index)


def test_fields_of_different_lengths_are_refused() -> None:
    with pytest.raises(DataError, match=r"title.*2.*brand.*1.*expected as many"):
        LexicalIndex.build({"title": ["a", "b"], "brand": ["c"]})


@pytest.mark.parametrize(
    "change", [{"language": "klingon"}, {"k1": -1}, {"b": 2}, {"weights": {}}, {"weights": {"title": 0}}, {"stem": "x"}]
)
def test_a_wrong_parameter_is_refused(change: dict) -> None:
    with pytest.raises(ValidationError):
        LexicalConfig.model_validate(change)


@given(TEXTS, TEXTS)
def test_an_update_equals_a_build(before: list[str], after: list[str]) -> None:
    config = LexicalConfig(weights={"title": 2.0, "brand": 1.0})
    fields = {"title": after, "brand": [text[:4] for text in after]}
    old = LexicalIndex.build({"title": before, "brand": [text[:4] for text in before]}, config)
    for index in (old, LexicalIndex.from_files(old.to_files())):
        assert index.update(fields).to_files() == LexicalIndex.build(fields, config).to_files()


def test_an_update_reads_new_texts_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    from retrieval.lexical.analyzer import Analyzer

    index, read = index_of(TITLES), []
    monkeypatch.setattr(Analyzer, "index_words", lambda self, text: read.append(text) or text.lower().split())
    index.update({"title": [*TITLES[1:], "fresh soap"]})
    assert read == ["fresh soap"]


def test_other_weights_need_no_reading_and_other_fields_do() -> None:
    fields = {"title": TITLES, "brand": ["acme"] * len(TITLES)}
    index = LexicalIndex.build(fields, LexicalConfig(weights={"title": 1.0, "brand": 1.0}))
    for weights in ({"title": 3.0, "brand": 0.5}, {"brand": 1.0}, {"brand": 1.0, "title": 1.0}):
        config = LexicalConfig(weights=weights, k1=1.1)
        assert index.update(fields, config).to_files() == LexicalIndex.build(fields, config).to_files()


def test_files_hold_the_index() -> None:
    index = index_of(TITLES)
    read = LexicalIndex.from_files(index.to_files())
    for query in ("tea", "wifi", "milk 1 gal"):
        np.testing.assert_array_equal(read.scores(read.analyzer.tokens(query)), index.scores(index.analyzer.tokens(query)))
    assert read.vocabulary == index.vocabulary
    assert read.to_files() == index.to_files()


class Mapped(dict[str, bytes]):
    """Files in read-only memory, as a bundle's are."""

    def content(self, name: str) -> np.ndarray:
        return np.frombuffer(self[name], dtype=np.uint8)

    def arrays(self, name: str) -> dict[str, np.ndarray]:
        arrays = load(self[name])
        for array in arrays.values():
            array.setflags(write=False)
        return arrays


def test_mapped_files_are_searched_and_updated_where_they_lie() -> None:
    index = LexicalIndex.from_files(Mapped(index_of(TITLES).to_files()))
    assert not index.values.flags.writeable
    assert search(index, "wifi")[0] == 4
    assert index.update({"title": TITLES[::-1]}).to_files() == index_of(TITLES[::-1]).to_files()
    assert index.update({"title": TITLES}, TITLE.model_copy(update={"k1": 2.0})).scores(["tea"]).any()


@pytest.mark.parametrize("query", ["mlk", "frzn pizza", "milk", "frozen pizzas"])
def test_an_abbreviation_and_its_word_find_each_other(query: str) -> None:
    titles = ["Whole milk", "Choc mlk", "Frozen pizza", "Frzn pizza", "Mule"]
    found = {0, 1} if query[0] == "m" else {2, 3}
    assert set(search(index_of(titles), query)[:2]) == found


@pytest.mark.parametrize("damage", ["missing", "header", "bytes", "other"])
def test_damaged_files_are_told(damage: str) -> None:
    files = index_of(TITLES).to_files()
    if damage == "missing":
        del files["lexical.safetensors"]
    elif damage == "header":
        files["lexical.json"] = json.dumps({"config": {"k1": "x"}}).encode()
    elif damage == "bytes":
        files["lexical_counts.safetensors"] = b"\x00" * 40
    else:
        files["lexical_counts.safetensors"] = index_of(TITLES[:3]).to_files()["lexical_counts.safetensors"]
    with pytest.raises(BundleError, match="build the index again"):
        LexicalIndex.from_files(files)


def test_fields_of_a_catalogue() -> None:
    items = pl.DataFrame(
        {"item_id": ["1", "2"], "title": ["Tea", "Bread"], "category": ["drinks | hot|tea", None], "attributes": ["x" * 900, None]}
    )
    fields = item_fields(items)
    assert fields.columns == ["title", "brand", "category", "leaf", "description", "attributes"]
    assert fields.row(0)[:5] == ("Tea", "", "drinks hot tea", "tea", "")
    assert fields.row(1) == ("Bread", "", "", "", "", "")
    assert len(fields["attributes"][0]) == 400
