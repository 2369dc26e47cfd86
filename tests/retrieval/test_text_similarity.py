"""Similarity of words to the last items of a history: alone, as a source of candidates, and as features."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st

from features.data.histories import Histories
from features.data.interactions import DAY
from features.names import BRAND, CATEGORY, TITLE, WORDS_KNN, WORDS_LAST, WORDS_SIMILARITY
from features.text.embeddings import group
from features.text.encoder import TextEncoder
from features.text.template import item_texts, text_hashes
from retrieval.collaborative.models import Collaborative
from retrieval.collaborative.scoring import BATCH
from retrieval.hybrid import HybridRetriever
from retrieval.index import ItemIndex
from retrieval.lexical.fields import REVIEWS, text_fields
from retrieval.lexical.index import LexicalIndex
from retrieval.text_similarity import FADE, TIE, TextSimilarity
from retrieval.two_tower.model import TwoTower
from retrieval.two_tower.retriever import TwoTowerRetriever

TITLES = ["red lipstick", "red lipstick matte", "nail file", "nail polish", "shampoo", "xylophone"]
TEXT_OF = np.array([0, 1, 2, 3, 4, 5, 1])  # items 1 and 6 share a text
SALES = np.array([3, 1, 0, 2, 0, 0, 8], dtype=np.float32)


NEIGHBOURS = sp.csr_array(([0.5, 0.5], ([0, 4], [4, 0])), shape=(7, 7), dtype=np.float32)  # items 0 and 4 have the same buyers
NONE = sp.csr_array((7, 7), dtype=np.float32)


def similarity_of(neighbours: sp.csr_array = NONE, **fields: list[str]) -> TextSimilarity:
    models: Any = SimpleNamespace(item_knn=SimpleNamespace(weights=neighbours), popularity=SimpleNamespace(ranking=SALES))
    return TextSimilarity.of(LexicalIndex.build({TITLE: TITLES} | fields), TEXT_OF, models)


SIMILARITY = similarity_of()


def sequence(*items: int) -> Histories:
    """One user who bought an item a day, the last one yesterday."""
    n = len(items)
    age = np.arange(n, 0, -1).astype(np.float32)
    weight = np.ones(n, dtype=np.float32)
    return Histories(np.array([0, n]), np.array(items, dtype=np.int32), age, np.zeros(n, np.int8), weight, weight.astype(np.float64), DAY)


class TestScores:
    def test_shared_words_count_and_rare_ones_most(self) -> None:
        (scores,) = SIMILARITY.scores(sequence(0))
        assert scores[0] > scores[1] > 0
        assert (scores[[2, 3, 4, 5]] == 0).all()  # not even sales give an item without a shared word a place

    def test_the_newest_item_counts_most(self) -> None:
        (later,) = SIMILARITY.scores(sequence(2, 0))
        assert later[0] == pytest.approx(1, abs=2 * TIE)
        assert later[2] == pytest.approx(FADE, abs=2 * TIE)

    def test_among_equal_texts_the_best_seller_comes_first(self) -> None:
        assert SIMILARITY.retrieve(sequence(0), 3).rows[0].tolist() == [0, 6, 1]

    def test_a_filter_and_an_empty_history(self) -> None:
        allowed = np.ones(len(TEXT_OF), dtype=bool)
        allowed[0] = False
        assert SIMILARITY.retrieve(sequence(0), 4, allowed).rows[0].tolist() == [6, 1, -1, -1]
        assert (SIMILARITY.retrieve(Histories.of_baskets([[]], DAY), 3).rows == -1).all()

    def test_buyers_count_beside_words(self) -> None:
        (scores,) = similarity_of(NEIGHBOURS).scores(sequence(0))
        assert scores[4] == pytest.approx(0.5, abs=TIE)
        assert scores[[2, 3, 5]].max() == 0

    @pytest.mark.parametrize("field", [BRAND, CATEGORY, REVIEWS])
    def test_only_titles_are_compared(self, field: str) -> None:
        other = similarity_of(**{field: ["acme", "", "", "", "acme", ""]})
        np.testing.assert_array_equal(other.scores(sequence(0)), SIMILARITY.scores(sequence(0)))

    @given(st.lists(st.integers(0, 6), min_size=1, max_size=15))
    def test_the_sums_are_of_cosines(self, items: list[int]) -> None:
        (scores,) = SIMILARITY.scores(sequence(*items))
        assert ((scores >= 0) & (scores <= 1 / (1 - FADE) + 2 * TIE)).all()
        assert scores[items[-1]] >= 1 - 1e-5


class TestFeatures:
    def test_the_last_moment_and_the_last_items(self) -> None:
        rows = np.array([[0, 1, 2, -1]])
        found = SIMILARITY.features(sequence(2, 0), rows)
        assert found[WORDS_LAST][0, 0] == pytest.approx(1, abs=1e-5)
        assert found[WORDS_LAST][0, 2] == 0
        assert found[WORDS_SIMILARITY][0, 2] == pytest.approx(FADE, abs=1e-5)
        assert found[WORDS_LAST][0, 3] == found[WORDS_SIMILARITY][0, 3] == 0
        np.testing.assert_array_equal(found[WORDS_KNN], found[WORDS_SIMILARITY])
        np.testing.assert_array_equal(SIMILARITY.pair_scores(sequence(2, 0), rows), found[WORDS_KNN])

    def test_both_add_up(self) -> None:
        found = similarity_of(NEIGHBOURS).features(sequence(4, 0), np.array([[0, 4]]))
        by_buyers = np.array([[FADE * 0.5, 0.5]])
        assert found[WORDS_KNN] - found[WORDS_SIMILARITY] == pytest.approx(by_buyers, abs=1e-5)

    def test_a_basket_is_one_moment(self) -> None:
        found = SIMILARITY.features(Histories.of_baskets([[2, 0]], DAY), np.array([[0, 2]]))
        assert found[WORDS_LAST] == pytest.approx(1, abs=1e-5)

    def test_many_users_are_scored_like_one(self) -> None:
        rng = np.random.default_rng(0)
        baskets = [rng.integers(0, 7, 3).tolist() for _ in range(BATCH + 5)]
        rows = np.tile(np.arange(7), (len(baskets), 1))
        found = SIMILARITY.features(Histories.of_baskets(baskets, DAY), rows)
        for at in (0, BATCH, BATCH + 4):
            one = SIMILARITY.features(Histories.of_baskets([baskets[at]], DAY), rows[:1])
            np.testing.assert_allclose(found[WORDS_KNN][at], one[WORDS_KNN][0], atol=1e-6)


def test_a_source_of_candidates_and_features_of_all(shop, tiny_settings) -> None:
    encoder = TextEncoder.pretrained(tiny_settings.encoder)
    first, text_of = group(text_hashes(item_texts(shop.catalog)))
    pooled = encoder.pool(encoder.token_states(item_texts(shop.catalog).gather(first).to_list()))
    tower = TwoTower(encoder.width, tiny_settings.tower).eval()
    tower.start_from(pooled)
    vectors = tower.item_vectors(pooled)
    config = tiny_settings.retrieval.model_copy(update={"texts": 20})
    models = Collaborative.fit(shop.log, shop.log.end, config)
    sales = models.popularity.ranking
    lexical = LexicalIndex.build(text_fields(shop.catalog.frame, text_of, first))
    texts = TextSimilarity.of(lexical, text_of, models)
    towers = TwoTowerRetriever(tower, vectors, ItemIndex.build(vectors), text_of, sales)
    users = Histories.of_users(shop.log, np.arange(5), shop.log.end)
    found = HybridRetriever(models, towers, config, texts=texts).retrieve(users, 50)
    wanted = texts.features(users, found.rows)
    for name in (WORDS_LAST, WORDS_SIMILARITY, WORDS_KNN):
        np.testing.assert_array_equal(found.features[name][found.valid], wanted[name][found.valid])
        assert found.features[name].max() > 0.5
    listed = HybridRetriever(models, towers, config, texts=texts).places(users, found.rows)["texts"]
    assert (listed >= 0).any()
    assert set(listed[listed >= 0].tolist()) <= set(range(20))
    assert not {WORDS_LAST, WORDS_SIMILARITY, WORDS_KNN} & set(HybridRetriever(models, towers, config).retrieve(users, 50).features)
