"""The two-tower retriever, where many items share a text, and the fusion of all sources with their features."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

import numpy as np
import polars as pl
import pytest
import torch

from features.data.catalog import Catalog
from features.data.histories import Histories
from features.data.interactions import DAY, Interactions
from features.data.reviews import Reviews
from features.text.encoder import TextEncoder
from features.text.template import item_texts
from retrieval.collaborative.als import ALSConfig
from retrieval.collaborative.config import RetrievalConfig
from retrieval.collaborative.ease import EASEConfig
from retrieval.collaborative.markov import Markov
from retrieval.collaborative.models import Collaborative
from retrieval.collaborative.repeat_purchases import RepeatPurchases
from retrieval.collaborative.review_words import ReviewWords
from retrieval.collaborative.scoring import BATCH
from retrieval.hybrid import HybridRetriever
from retrieval.index import ItemIndex
from retrieval.two_tower.config import TowerConfig
from retrieval.two_tower.model import TwoTower
from retrieval.two_tower.retriever import TwoTowerRetriever

DIM, N_TEXTS, K = 8, 6, 5
# Item -> text: three items of text 0, two of text 1, one of each other.
TEXT_OF = np.array([0, 1, 0, 2, 3, 1, 4, 0, 5])
SALES = np.array([1, 5, 9, 2, 0, 5, 3, 4, 0], dtype=np.float32)
CONFIG = RetrievalConfig(candidates=20, ease_model=EASEConfig(l2=20), als_model=ALSConfig(factors=4))


def towers_of() -> TwoTowerRetriever:
    torch.manual_seed(0)
    vectors = np.random.default_rng(1).normal(size=(N_TEXTS, DIM)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    tower = TwoTower(DIM, TowerConfig(dim=DIM, hidden=8, heads=2)).eval()
    return TwoTowerRetriever(tower, vectors, ItemIndex.build(vectors), TEXT_OF, SALES)


class TestTowers:
    towers = towers_of()

    def nearest(self, text: int, k: int, allowed: np.ndarray | None = None) -> list[int]:
        rows, scores = self.towers.nearest(self.towers.vectors[[text]], k, allowed)
        assert rows.shape == scores.shape == (1, k)
        assert ((rows < 0) == (scores == -np.inf)).all()
        return rows[0].tolist()

    def order(self, text: int) -> list[int]:
        return np.argsort(-(self.towers.vectors @ self.towers.vectors[text])).tolist()

    def test_one_item_a_text_first_the_best_seller(self) -> None:
        best = {0: 2, 1: 1, 2: 3, 3: 4, 4: 6, 5: 8}  # of text 1 both sell alike: the first of them
        assert self.nearest(0, N_TEXTS) == [best[text] for text in self.order(0)]
        assert self.nearest(4, 3) == [best[text] for text in self.order(4)][:3]

    def test_then_the_second_items_of_the_texts(self) -> None:
        rows = self.nearest(0, len(TEXT_OF) + 2)
        second = [text for text in self.order(0) if text in (0, 1)]
        assert rows[N_TEXTS : N_TEXTS + 2] == [{0: 7, 1: 5}[text] for text in second]
        assert rows[N_TEXTS + 2 :] == [0, -1, -1]

    def test_the_best_seller_among_the_allowed(self) -> None:
        allowed = np.ones(len(TEXT_OF), dtype=bool)
        allowed[[2, 3]] = False
        rows = self.nearest(0, len(TEXT_OF), allowed)
        assert rows[0] == 7
        assert sorted(rows) == [-1, -1, 0, 1, 4, 5, 6, 7, 8]

    def test_a_filter_for_each_user(self) -> None:
        allowed = np.ones((3, len(TEXT_OF)), dtype=bool)
        allowed[1, [2, 7]] = False
        allowed[2] = False
        rows, _ = self.towers.nearest(self.towers.vectors[[0, 0, 0]], 4, allowed)
        assert rows[:2, 0].tolist() == [2, 0]
        assert (rows[2] == -1).all()
        assert allowed[1, rows[1]].all()

    def test_items_of_one_text_make_the_same_user(self) -> None:
        one, other = self.towers.user_vectors(Histories.of_baskets([[0, 3], [7, 3]], now=DAY))
        assert np.array_equal(one, other)

    def test_a_basket_of_one_text_finds_that_text(self) -> None:
        found = self.towers.retrieve(Histories.of_baskets([[4], [8, 8]], now=DAY), 2)
        assert found.rows[:, 0].tolist() == [4, 8]
        assert found.scores[:, 0] == pytest.approx([1, 1], abs=1e-5)

    def test_pair_scores_are_those_of_the_search(self) -> None:
        users = Histories.of_baskets([[0, 4], [], [1]], now=DAY)
        found = self.towers.retrieve(users, 9)
        assert np.allclose(self.towers.pair_scores(users, found.rows), found.features["tower"], atol=1e-5, equal_nan=True)
        assert np.isnan(self.towers.pair_scores(users, np.zeros((3, 2), dtype=np.int64))[1]).all()
        assert (found.rows[1] == -1).all()


class TestRepeatPurchases:
    def test_order_is_by_decayed_weight(self) -> None:
        offsets, item, age = np.array([0, 5, 5]), np.array([3, 3, 1, 2, 0]), np.array([200, 190, 100, 80, 1])
        n = len(item)
        weight = np.array([1, 1, 1, 0, 0.1], dtype=np.float32)
        users = Histories(offsets, item.astype(np.int32), age.astype(np.float32), np.zeros(n, np.int8), weight, weight, 0)
        found = RepeatPurchases(6).retrieve(users, 4)
        assert found.rows.tolist() == [[1, 3, 0, -1], [-1] * 4]  # items without weight are not returned
        wanted = [0.5 ** (100 / 90), 0.5 ** (200 / 90) + 0.5 ** (190 / 90), 0.1 * 0.5 ** (1 / 90)]
        assert found.scores[0, :3] == pytest.approx(wanted, rel=1e-4)
        only = np.array([True, True, True, False, True, True])
        assert RepeatPurchases(6).retrieve(users, 4, only).rows[0].tolist() == [1, 0, -1, -1]
        each = np.array([only, ~only])
        assert RepeatPurchases(6).retrieve(users.take(np.array([0, 0])), 2, each).rows.tolist() == [[1, 0], [3, -1]]


def hybrid_of(catalog: Catalog, log: Interactions, tiny_settings) -> HybridRetriever:
    encoder = TextEncoder.pretrained(tiny_settings.encoder)
    texts = item_texts(catalog)
    strings = texts.unique(maintain_order=True).to_list()
    pooled = encoder.pool(encoder.token_states(strings))
    torch.manual_seed(0)
    tower = TwoTower(encoder.width, tiny_settings.tower).eval()
    tower.start_from(pooled)
    vectors = tower.item_vectors(pooled)
    models = Collaborative.fit(log, log.end, CONFIG)
    text_of = np.array([strings.index(text) for text in texts])
    return HybridRetriever(models, TwoTowerRetriever(tower, vectors, ItemIndex.build(vectors), text_of, models.popularity.ranking), CONFIG)


@pytest.fixture(scope="module")
def hybrid(shop, tiny_settings) -> HybridRetriever:
    return hybrid_of(shop.catalog, shop.log, tiny_settings)


@pytest.fixture(scope="module")
def users(shop) -> Histories:
    """All users, and one without history at the end."""
    return Histories.of_users(shop.log, np.append(np.arange(shop.log.n_users), -1), shop.log.end)


class TestHybrid:
    def test_every_user_gets_k_distinct_items(self, hybrid: HybridRetriever, users: Histories) -> None:
        for k in (1, K, 20):
            found = hybrid.retrieve(users, k)
            assert found.rows.shape == (len(users), k)
            assert found.valid.all()
            assert all(len(set(rows)) == k for rows in found.rows)
            assert (np.diff(found.scores, axis=1) <= 0).all()

    def test_k_beyond_the_catalogue_is_padded(self, hybrid: HybridRetriever, users: Histories) -> None:
        found = hybrid.retrieve(users, 100)
        assert found.rows.shape[1] <= 100
        assert (np.diff(found.valid.astype(int), axis=1) <= 0).all()
        assert (found.scores[~found.valid] == -np.inf).all()
        for rows in found.rows:
            assert len(set(rows[rows >= 0])) == (rows >= 0).sum()
        for name, column in found.features.items():
            assert np.isnan(column[~found.valid]).all(), name

    def test_filters_for_all_users_and_for_each(self, hybrid: HybridRetriever, users: Histories) -> None:
        allowed = np.arange(hybrid.n_items) % 3 == 0
        rows = hybrid.retrieve(users, K, allowed).rows
        assert rows.shape == (len(users), K)
        assert (rows % 3 == 0).all()
        each = np.tile(allowed, (len(users), 1))
        each[1] = ~allowed
        each[2] = False
        found = hybrid.retrieve(users, K, each)
        others = np.delete(np.arange(len(users)), [1, 2])
        assert np.array_equal(found.rows[others], rows[others])
        assert (found.rows[1] % 3 != 0).all()
        assert (found.rows[2] == -1).all()

    def test_results_are_deterministic(self, hybrid: HybridRetriever, users: Histories, shop, tiny_settings) -> None:
        one, other = hybrid.retrieve(users, K), hybrid_of(shop.catalog, shop.log, tiny_settings).retrieve(users, K)
        assert np.array_equal(one.rows, other.rows)
        assert np.array_equal(one.scores, other.scores)

    def test_a_batch_equals_its_single_users(self, hybrid: HybridRetriever, users: Histories) -> None:
        many = np.arange(BATCH + 3) % len(users)
        whole = hybrid.retrieve(users.take(many), K)
        for user in range(len(users)):
            alone = hybrid.retrieve(users.take(np.array([user])), K)
            for place in np.flatnonzero(many == user):
                assert np.array_equal(alone.rows[0], whole.rows[place])
                assert np.allclose(alone.scores[0], whole.scores[place], rtol=1e-5)
                for name, column in whole.features.items():
                    assert np.allclose(alone.features[name][0], column[place], rtol=1e-3, atol=1e-4, equal_nan=True), name

    def test_filters_for_each_user_over_several_batches(self, hybrid: HybridRetriever, users: Histories) -> None:
        many = np.arange(BATCH + 3) % len(users)
        allowed = (np.arange(hybrid.n_items) + np.arange(len(many))[:, None]) % 3 == 0
        rows = hybrid.retrieve(users.take(many), K, allowed).rows
        assert (rows >= 0).all()
        assert np.take_along_axis(allowed, rows, axis=1).all()

    def test_no_users(self, hybrid: HybridRetriever, users: Histories) -> None:
        found = hybrid.retrieve(users.take(np.array([], dtype=np.int64)), K)
        assert len(found.rows) == 0

    def test_every_model_scores_every_candidate(self, hybrid: HybridRetriever, users: Histories) -> None:
        found = hybrid.retrieve(users, K)
        assert set(found.features) == {"ease", "ease_trend", "item_knn", "als", "tower", "tower_rank"}
        known = users.lengths > 0
        for name in set(found.features) - {"tower_rank"}:
            assert not np.isnan(found.features[name][known]).any(), name
        assert np.isnan(found.features["tower"][~known]).all()
        trend = hybrid.collaborative.popularity.trend[found.rows]
        assert np.allclose(found.features["ease_trend"], found.features["ease"] * trend)

    def test_tower_rank_is_the_rank_in_the_towers_list(self, hybrid: HybridRetriever, users: Histories) -> None:
        found, alone = hybrid.retrieve(users, 20), hybrid.towers.retrieve(users, CONFIG.tower).rows
        for user in range(len(users)):
            place = {row: rank for rank, row in enumerate(alone[user].tolist()) if row >= 0}
            wanted = [place.get(row, np.nan) for row in found.rows[user].tolist()]
            assert np.array_equal(found.features["tower_rank"][user], wanted, equal_nan=True)

    def test_past_purchases_are_candidates(self, hybrid: HybridRetriever, users: Histories) -> None:
        rows = hybrid.retrieve(users, 40).rows
        for user in range(len(users) - 1):
            bought = users.item[users.offsets[user] : users.offsets[user + 1]]
            assert set(bought.tolist()) <= set(rows[user].tolist())

    def test_scores_are_sums_of_reciprocal_ranks(self, hybrid: HybridRetriever, users: Histories) -> None:
        found = hybrid.retrieve(users, K)
        for user in (0, 7, len(users) - 1):
            points = np.zeros(hybrid.n_items)
            for retriever, quota in hybrid._sources.values():
                for place, row in enumerate(retriever.retrieve(users.take(np.array([user])), quota).rows[0].tolist()):
                    if row >= 0:
                        points[row] += 1 / (61 + place)
            assert found.scores[user] == pytest.approx(np.sort(points)[::-1][:K])
            assert found.scores[user] == pytest.approx(points[found.rows[user]])

    def test_a_source_with_quota_0_is_left_out(self, hybrid: HybridRetriever, users: Histories) -> None:
        nothing = dict.fromkeys(("repeat_purchases", "ease", "item_knn", "als", "popular"), 0)
        alone = replace(hybrid, config=CONFIG.model_copy(update=nothing | {"tower": 3}))
        found = alone.retrieve(users, K)
        assert np.array_equal(found.rows, hybrid.towers.retrieve(users, 3).rows)

    def test_a_never_sold_item_is_retrieved_by_its_text(self, shop, tiny_settings) -> None:
        """Only the towers retrieve it, and rank it higher for users who like its category."""
        before = shop.log.where(shop.log.item != 39)
        hybrid = hybrid_of(shop.catalog, before, tiny_settings)
        users = Histories.of_users(before, np.arange(before.n_users), before.end)
        found = hybrid.retrieve(users, hybrid.n_items)
        user, place = np.nonzero(found.rows == 39)
        assert user.tolist() == list(range(len(users)))
        assert not found.features["ease"][user, place].any()
        rank, likes = found.features["tower_rank"][user, place], user % 4 == 3
        assert rank[likes].mean() + 5 < rank[~likes].mean()

    def test_files_round_trip(self, hybrid: HybridRetriever, users: Histories) -> None:
        back = replace(hybrid, collaborative=Collaborative.from_files(hybrid.collaborative.to_files()))
        one, other = hybrid.retrieve(users, K), back.retrieve(users, K)
        assert np.array_equal(one.rows, other.rows)
        for name, column in one.features.items():
            assert np.array_equal(other.features[name], column, equal_nan=True), name


class TestMarkov:
    CONFIG = CONFIG.model_copy(update={"markov": 20})

    def test_transitions_are_a_source_and_a_feature_of_all_candidates(self, hybrid: HybridRetriever, shop, users: Histories) -> None:
        models = Collaborative.fit(shop.log, shop.log.end, self.CONFIG)
        found = HybridRetriever(models, hybrid.towers, self.CONFIG).retrieve(users, K)
        assert models.markov is not None
        wanted = np.where(found.valid, models.markov.pair_scores(users, found.rows), found.features["markov"])
        np.testing.assert_array_equal(found.features["markov"], wanted)
        assert np.nanmax(found.features["markov"]) > 0
        last = Markov.fit(shop.log, self.CONFIG.next_item_model)
        wanted = np.where(found.valid, last.pair_scores(users, found.rows), found.features["next_item"])
        np.testing.assert_array_equal(found.features["next_item"], wanted)
        assert (found.features["next_item"] != found.features["markov"])[found.valid].any()
        assert not {"markov", "next_item"} & set(hybrid.retrieve(users, K).features)

    def test_files(self, shop, users: Histories) -> None:
        for config in (CONFIG, self.CONFIG):
            models = Collaborative.fit(shop.log, shop.log.end, config)
            back = Collaborative.from_files(models.to_files())
            assert (back.markov is None) == (config.markov == 0)
            if models.markov and back.markov:
                np.testing.assert_array_equal(back.markov.scores(users), models.markov.scores(users))


def test_what_reviews_say_is_a_source_and_a_feature(hybrid: HybridRetriever, shop, users: Histories) -> None:
    words = pl.format("word{} {}", pl.int_range(pl.len()) // 4, "item_id")  # four items share a word
    told = shop.catalog.frame.select("item_id", text=words, timestamp=datetime(2000, 1, 1))
    models = Collaborative.fit(shop.log, shop.log.end, CONFIG, ReviewWords.of(Reviews.of(told, shop.catalog)))
    assert models.review_ease is not None
    retriever = HybridRetriever(models, hybrid.towers, CONFIG)
    found = retriever.retrieve(users, K)
    wanted = np.where(found.valid, models.review_ease.pair_scores(users, found.rows), found.features["review_ease"])
    np.testing.assert_array_equal(found.features["review_ease"], wanted)
    assert (retriever.places(users, found.rows)["reviews"] >= 0).any()
    assert "review_ease" not in hybrid.retrieve(users, K).features
