"""Pairs of query and text: from a search log, from the catalogue, and what must not be learned as wrong."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from features.data.queries import Queries
from retrieval.lexical.index import LexicalIndex
from retrieval.query_tower import pairs as module
from retrieval.query_tower.catalogue_pairs import NOISE, pairs_of_catalogue, with_noise, without_sizes
from retrieval.query_tower.pairs import FROM_CATALOGUE, FROM_LOG, KnownPositives, QueryPairs, pairs_of_log

TITLES = ["whole milk 1 gallon", "oat milk", "hot dog buns 8 ct", "dog food", "notebook", "notebook case"]


@pytest.fixture
def lexical() -> LexicalIndex:
    return LexicalIndex.build({"title": TITLES})


def log_of(rows: list[tuple[str, int, str, int]]) -> Queries:
    """Return a search log of (query, item, event, rank)."""
    from features.names import SEARCH_EVENTS

    texts = sorted({row[0] for row in rows})
    columns = {
        "query": np.array([texts.index(row[0]) for row in rows], dtype=np.int32),
        "user": np.full(len(rows), -1, dtype=np.int32),
        "item": np.array([row[1] for row in rows], dtype=np.int32),
        "time": np.arange(len(rows), dtype=np.int64),
        "event": np.array([SEARCH_EVENTS.index(row[2]) for row in rows], dtype=np.int8),
        "rank": np.array([row[3] for row in rows], dtype=np.int32),
    }
    return Queries(np.array(texts, dtype=object), np.array([], dtype=object), **columns, n_items=len(TITLES))


def test_texts_of_a_pair_and_texts_that_hold_all_words_are_no_negatives(lexical: LexicalIndex) -> None:
    pairs = QueryPairs.of(
        [("milk", "milk", 1), ("mikl", "milk", 0), ("drink", "drink", 1), ("hot dog", "hot dog", 2)], [1] * 4, lexical, ""
    )
    known = KnownPositives.of(pairs, lexical)
    everything = np.arange(len(TITLES))
    of = {query: np.flatnonzero(known.mask(np.array([row]), everything)[0]).tolist() for row, query in enumerate(pairs.queries)}
    assert of == {
        "milk": [0, 1],
        "mikl": [0, 1],  # by the words that were meant
        "drink": [1],  # a pair of the log whose text holds no word of the query
        "hot dog": [2],  # "dog food" holds one of the two words
    }
    for row in range(len(pairs.queries)):
        np.testing.assert_array_equal(known.of_query(row), of[pairs.queries[row]])


def test_a_query_without_known_words_has_its_own_texts_alone(lexical: LexicalIndex) -> None:
    pairs = QueryPairs.of([("...", "...", 3)], [1], lexical, "")
    assert KnownPositives.of(pairs, lexical).keys.tolist() == [3]


def test_equal_pairs_are_one_with_their_weights_added(lexical: LexicalIndex) -> None:
    pairs = QueryPairs.of([("milk", "milk", 1), ("milk", "milk", 1), ("milk", "milk", 0)], [1, 2, 5], lexical, "")
    assert list(zip(pairs.text.tolist(), pairs.weight.tolist(), strict=True)) == [(0, 5.0), (1, 3.0)]
    assert pairs.sought(0).tolist() == [0, 1]


def test_no_words_are_on_both_sides_of_the_cut() -> None:
    lexical = LexicalIndex.build({"title": [f"word{i} other{i}" for i in range(200)]})
    rows = [(form, f"word{i} other{i}", i) for i in range(200) for form in (f"word{i} other{i}", f"other{i} word{i}", f"wrd{i} other{i}")]
    pairs = QueryPairs.of(rows, np.ones(len(rows)), lexical, "")
    held, kept = set(pairs.text[pairs.held_out].tolist()), set(pairs.text[~pairs.held_out].tolist())
    assert len(held) == 20
    assert not held & kept


def test_the_log_gives_what_was_clicked_and_bought(lexical: LexicalIndex, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LEAST_OF_LOG", 1)
    log = log_of([("milk", 0, "shown", 1), ("milk", 1, "click", 1), ("milk", 3, "click", 9), ("milk", 0, "purchase", 1)])
    text_of = np.array([0, 1, 2, 3, 4, 5])
    pairs = pairs_of_log(log, text_of, lexical)
    assert pairs is not None
    assert pairs.source == FROM_LOG
    weight = dict(zip(pairs.text.tolist(), (pairs.weight**2).tolist(), strict=True))
    assert weight[1] == pytest.approx(1)
    assert weight[0] == pytest.approx(3)  # a purchase says more than a click
    assert weight[3] == pytest.approx(3)  # place 9 is looked at a third as often as the first where the log says nothing
    naive = pairs_of_log(log, text_of, lexical, debiased=False)
    assert naive is not None
    assert dict(zip(naive.text.tolist(), (naive.weight**2).round().tolist(), strict=True)) == {0: 3, 1: 1, 3: 1}


def test_items_of_one_text_are_one_pair(lexical: LexicalIndex, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LEAST_OF_LOG", 1)
    log = log_of([("milk", 0, "click", 1), ("milk", 1, "click", 1)])
    pairs = pairs_of_log(log, np.array([4, 4, 2, 3, 4, 5]), lexical)
    assert pairs is not None
    assert pairs.text.tolist() == [4]


@pytest.mark.parametrize("rows", [[("milk", 0, "shown", 1)], [("milk", 0, "click", 1)]])
def test_a_log_that_says_too_little_gives_none(lexical: LexicalIndex, rows: list[tuple[str, int, str, int]]) -> None:
    assert pairs_of_log(log_of(rows), np.arange(len(TITLES)), lexical) is None


def test_the_catalogue_gives_pieces_of_its_texts() -> None:
    fields = pl.DataFrame(
        {
            "title": ["Fresh Whole Milk 1 Gallon"] * 50,
            "brand": ["Dairyland"] * 50,
            "leaf": ["Fluid Milk"] * 50,
            "description": ["Comes from happy cows. Second sentence here."] * 50,
        }
    )
    lexical = LexicalIndex.build(fields)
    pairs = pairs_of_catalogue(fields, lexical, seed=0)
    assert pairs is not None
    assert pairs.source == FROM_CATALOGUE
    known = set(lexical.analyzer.tokens("fresh whole milk dairyland fluid comes from happy cows"))
    assert all(set(tokens) <= known for tokens in pairs.tokens)  # neither sizes nor the second sentence, nor typing errors
    assert any("comes from happy cows" in query for query in pairs.queries)
    assert any(query.startswith("dairyland ") for query in pairs.queries)
    assert "fluid milk" in pairs.queries
    again = pairs_of_catalogue(fields, lexical, seed=0)
    assert again is not None
    assert again.queries == pairs.queries
    other = pairs_of_catalogue(fields, lexical, seed=1)
    assert other is not None
    assert other.queries != pairs.queries


def test_a_catalogue_without_words_gives_none() -> None:
    fields = {"title": ["12", "..."]}
    assert pairs_of_catalogue(pl.DataFrame(fields), LexicalIndex.build(fields), seed=0) is None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Milk 1 gal", ["milk"]),
        ("Cola 12x33 cl", ["cola"]),
        ('TV 55" 4K', ["tv"]),
        ("Toilet tissue 24 ct", ["toilet", "tissue"]),
        ("牛奶 1L", ["牛奶"]),
    ],
)
def test_sizes_are_left_out(text: str, words: list[str]) -> None:
    assert without_sizes(text) == words


@pytest.mark.parametrize("kind", list(NOISE))
def test_noise_changes_one_thing(monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    for name in NOISE:
        monkeypatch.setitem(NOISE, name, float(name == kind))
    words = ["shampoo", "bottles"]
    seen = {" ".join(with_noise(words, np.random.default_rng(seed))) for seed in range(40)}
    if kind == "order":
        assert seen == {"shampoo bottles", "bottles shampoo"}
    elif kind == "plural":
        assert seen == {"shampoos bottles", "shampoo bottle"}
    else:
        assert len(seen) > 5
        assert all(len(text) in (14, 15) for text in seen)
