"""Training of the queries' side: what it learns, what the held-out queries refuse, and how it continues."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from features.text.encoder import TextEncoder
from features.text.encoder_config import EncoderConfig
from retrieval.index import ItemIndex
from retrieval.lexical.index import LexicalIndex
from retrieval.query_tower import trainer
from retrieval.query_tower.config import QueryTowerConfig
from retrieval.query_tower.held_out import LEXICAL_WEIGHTS, HeldOutQueries
from retrieval.query_tower.model import QueryTower
from retrieval.query_tower.pairs import KnownPositives, QueryPairs
from retrieval.query_tower.trainer import QueryTraining, fit_query_tower
from retrieval.significance import significant_gain
from retrieval.text_search import TextSearch, TextSearchConfig
from tests.retrieval.interruption import Interrupted, interrupt_at

if TYPE_CHECKING:
    from pathlib import Path

TITLES = [f"{kind} {number}" for kind in ("apple", "bread", "coffee", "soap") for number in range(12)]
CONFIG = QueryTowerConfig(steps=30, batch=16, lr=3e-3)


@pytest.fixture(scope="module")
def encoder(tiny_bert: Path) -> TextEncoder:
    return TextEncoder.pretrained(EncoderConfig(model=str(tiny_bert), max_tokens=24))


@pytest.fixture(scope="module")
def search(encoder: TextEncoder) -> TextSearch:
    vectors = encoder.encode(TITLES)
    n, lexical = len(TITLES), LexicalIndex.build({"title": TITLES})
    config = TextSearchConfig(category=0, lexical=0.4)
    return TextSearch(lexical, vectors, ItemIndex.build(vectors), np.arange(n), np.full(n, -1, dtype=np.int32), np.zeros(n), config)


@pytest.fixture(scope="module")
def pairs(search: TextSearch) -> QueryPairs:
    """Queries none of whose words the texts hold: z0, z1, ... ask for one kind, y0, y1, ... for another, and so on."""
    rows = [(f"{letter * 3} {i}a", f"{letter * 3} {i}a", kind * 12 + i % 12) for kind, letter in enumerate("zyxw") for i in range(60)]
    return QueryPairs.of(rows, np.ones(len(rows)), search.lexical, "")


def training_of(search: TextSearch, pairs: QueryPairs, encoder: TextEncoder, folder: Path) -> QueryTraining:
    states = encoder.token_states(pairs.queries, kind="query")
    held_out = HeldOutQueries.of(search, pairs, states)
    known = KnownPositives.of(pairs, search.lexical)
    return QueryTraining(pairs, known, states, search.vectors, search.lexical, held_out.reciprocal_ranks, folder, 0)


def side(tower: QueryTower) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in tower.queries.state_dict().items()}


def equal(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(one[name], other[name]) for name in one)


def test_it_learns_what_words_do_not_say_and_leaves_the_texts_alone(
    search: TextSearch, pairs: QueryPairs, encoder: TextEncoder, tmp_path: Path
) -> None:
    tower = QueryTower.upon(encoder)
    fingerprint, before = tower.fingerprint, side(tower)
    result = fit_query_tower(tower, training_of(search, pairs, encoder, tmp_path), CONFIG)
    assert result.kept
    assert result.after.mean() > 1.5 * result.before.mean()
    assert tower.fingerprint == fingerprint
    assert not equal(before, side(tower))
    read = QueryTower.from_files(tower.to_files())
    assert equal(side(read), side(tower))


def test_noise_is_refused_and_undone(search: TextSearch, pairs: QueryPairs, encoder: TextEncoder, tmp_path: Path) -> None:
    shuffled = replace(pairs, text=np.random.default_rng(0).integers(0, len(TITLES), len(pairs)))
    tower = QueryTower.upon(encoder)
    before = side(tower)
    result = fit_query_tower(tower, training_of(search, shuffled, encoder, tmp_path), CONFIG)
    assert not result.kept
    assert equal(before, side(tower))


def test_it_continues_where_it_was_interrupted(
    search: TextSearch, pairs: QueryPairs, encoder: TextEncoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = QueryTower.upon(encoder)
    fit_query_tower(whole, training_of(search, pairs, encoder, tmp_path / "whole"), CONFIG)
    steps = interrupt_at(18, trainer, monkeypatch)
    part = QueryTower.upon(encoder)
    with pytest.raises(Interrupted):
        fit_query_tower(part, training_of(search, pairs, encoder, tmp_path / "part"), CONFIG)
    again = QueryTower.upon(encoder)
    fit_query_tower(again, training_of(search, pairs, encoder, tmp_path / "part"), CONFIG)
    assert len(steps) == 18 + 15  # the first 15 steps were stored
    assert equal(side(again), side(whole))


def test_known_positives_are_no_negatives(search: TextSearch, encoder: TextEncoder, tmp_path: Path) -> None:
    rows = [(f"{kind} {form}", kind, place * 12) for place, kind in enumerate(("apple", "bread", "coffee", "soap")) for form in "abcdefgh"]
    pairs = QueryPairs.of(rows, np.ones(len(rows)), search.lexical, "")
    batches = trainer._Batches(training_of(search, pairs, encoder, tmp_path), replace_config(negatives=3))
    batch = batches.draw(0)
    own = batch.own.numpy()
    assert not batch.ignored.numpy()[own, own].any()
    # Two queries of one kind do not learn that the other's text is wrong; those of other kinds are negatives.
    kind = [int(np.argmax(row @ search.vectors.T)) // 12 for row in batch.texts.numpy()]
    for i in range(len(own)):
        for j in range(len(kind)):
            assert bool(batch.ignored[i, j]) == (i != j and kind[i] == kind[j])


def replace_config(**values: int) -> QueryTowerConfig:
    return QueryTowerConfig(batch=12, **values)  # pyright: ignore[reportArgumentType]


def test_hard_negatives_share_words_and_are_not_known(encoder: TextEncoder, tmp_path: Path) -> None:
    titles = ["notebook", "notebook case", "phone case", "leather case", "milk"]
    vectors = encoder.encode(titles)
    lexical = LexicalIndex.build({"title": titles})
    pairs = QueryPairs.of([("notebook case", "notebook case", 1)] * 2, [1, 1], lexical, "")
    known = KnownPositives.of(pairs, lexical)
    training = QueryTraining(pairs, known, encoder.token_states(pairs.queries), vectors, lexical, lambda _: np.zeros(2), tmp_path, 0)
    hard = trainer._Batches(training, CONFIG)._hard(0)
    assert sorted(hard.tolist()) == [0, 2, 3]


@pytest.mark.parametrize(
    ("gain", "expected"), [([0.1] * 50, True), ([0.0] * 50, False), ([1, -1] * 25, False), ([0.3], False), ([-0.1] * 50, False)]
)
def test_a_gain_must_exceed_its_error(gain: list[float], expected: bool) -> None:
    assert significant_gain(np.array(gain, dtype=float)) is expected


def test_the_weight_of_bm25_changes_what_is_found(search: TextSearch, encoder: TextEncoder) -> None:
    # Typed exactly as titles are: BM25 finds each, and the untrained vectors of a tiny model do not.
    rows = [(title, title, row) for row, title in enumerate(TITLES)]
    pairs = QueryPairs.of(rows, np.ones(len(rows)), search.lexical, "")
    held = HeldOutQueries.of(search, pairs, encoder.token_states(pairs.queries, kind="query"))
    tower = QueryTower.upon(encoder)
    found = held.by_lexical(tower)
    assert tuple(found) == LEXICAL_WEIGHTS
    assert held.reciprocal_ranks(tower, 1.0).mean() >= max(ranks.mean() for ranks in found.values())
    assert held.reciprocal_ranks(tower).tolist() == held.reciprocal_ranks(tower, 0.4).tolist()
