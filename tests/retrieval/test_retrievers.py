"""Contract of every retriever, on a checkerboard: even users buy even items, odd users odd ones.

A new retriever is added to MAKERS.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import pytest
import torch

from features.data.catalog import Catalog
from features.data.histories import Histories
from features.data.interactions import DAY, Interactions
from retrieval.collaborative.als import ALS, ALSConfig
from retrieval.collaborative.ease import EASE, EASEConfig
from retrieval.collaborative.item_knn import ItemToItem, ItemToItemConfig
from retrieval.collaborative.popularity import Popularity, Trended
from retrieval.collaborative.scoring import BATCH, TopScores
from retrieval.index import ItemIndex
from retrieval.two_tower.config import TowerConfig
from retrieval.two_tower.model import TwoTower
from retrieval.two_tower.retriever import TwoTowerRetriever

if TYPE_CHECKING:
    from collections.abc import Callable

    from retrieval.candidates import Retriever

N_USERS, N_ITEMS, K = 16, 20, 5


def checkerboard() -> Interactions:
    """Return a log in which each user buys all but two items of one colour, on successive days."""
    rows = [
        {"user_id": f"u{u:02}", "item_id": f"i{i:02}", "timestamp": (i + u) * DAY * 1_000_000}
        for u in range(N_USERS)
        for i in range(u % 2, N_ITEMS, 2)
        if i // 2 not in (u % 10, (u * 3 + 1) % 10)
    ]
    frame = pl.DataFrame(rows).with_columns(pl.col("timestamp").cast(pl.Datetime("us")))
    items = pl.DataFrame({"item_id": [f"i{i:02}" for i in range(N_ITEMS)], "title": [f"item {i}" for i in range(N_ITEMS)]})
    return Interactions.from_frame(frame, Catalog.from_frame(items))


def _trended(log: Interactions) -> Trended:
    return Trended(EASE.fit(log, EASEConfig(l2=5)), Popularity.fit(log, log.end))


def _towers(log: Interactions) -> TwoTowerRetriever:
    """Return untrained towers over texts whose colours are two clusters; two items share a text."""
    rng = np.random.default_rng(0)
    vectors = rng.normal(0, 0.2, (N_ITEMS - 1, 8)).astype(np.float32)
    vectors[np.arange(N_ITEMS - 1), np.arange(N_ITEMS - 1) % 2] += 1
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    text_of = np.minimum(np.arange(N_ITEMS), N_ITEMS - 2)
    text_of[-1] = 1  # item 19 has the text of item 1
    torch.manual_seed(0)
    tower = TwoTower(8, TowerConfig(dim=8, hidden=8, heads=2)).eval()
    return TwoTowerRetriever(tower, vectors, ItemIndex.build(vectors), text_of, Popularity.fit(log, log.end).ranking)


# name -> function that fits a retriever on the log.
MAKERS: dict[str, Callable[[Interactions], Retriever]] = {
    "ease": lambda log: TopScores(EASE.fit(log, EASEConfig(l2=5)), "ease"),
    "ease_trended": lambda log: TopScores(_trended(log), "ease"),
    "cosine": lambda log: TopScores(ItemToItem.fit(log, ItemToItemConfig(measure="cosine")), "near"),
    "tfidf": lambda log: TopScores(ItemToItem.fit(log, ItemToItemConfig(measure="tfidf")), "near"),
    "als": lambda log: TopScores(ALS.fit(log, ALSConfig(factors=4)), "als"),
    "popular": lambda log: TopScores(Popularity.fit(log, log.end), "popular"),
    "towers": _towers,
}
# These return the same list for every user.
IMPERSONAL = {"popular"}


@pytest.fixture(scope="module")
def log() -> Interactions:
    return checkerboard()


@pytest.fixture(scope="module")
def users(log: Interactions) -> Histories:
    return Histories.of_users(log, np.arange(log.n_users), log.end)


@pytest.fixture(scope="module", params=list(MAKERS))
def name(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def retriever(name: str, log: Interactions) -> Retriever:
    return MAKERS[name](log)


class TestEveryRetriever:
    def test_returns_k_items_of_the_users_colour(self, name: str, retriever: Retriever, users: Histories):
        rows = retriever.retrieve(users, K).rows
        assert rows.shape == (N_USERS, K)
        assert (rows >= 0).all()
        if name not in IMPERSONAL:
            assert (rows % 2 == np.arange(N_USERS)[:, None] % 2).all()

    def test_a_basket_is_treated_like_a_user(self, name: str, retriever: Retriever):
        rows = retriever.retrieve(Histories.of_baskets([[2, 4], [5]], now=100 * DAY), K).rows
        if name not in IMPERSONAL:
            assert ((rows[0] < 0) | (rows[0] % 2 == 0)).all()
            assert ((rows[1] < 0) | (rows[1] % 2 == 1)).all()
        assert (rows[:, 0] >= 0).all()

    def test_scores_decrease_and_features_cover_them(self, retriever: Retriever, users: Histories):
        found = retriever.retrieve(users, K)
        assert (np.diff(found.scores, axis=1) <= 0).all()
        assert found.features
        for column in found.features.values():
            assert np.array_equal(np.isnan(column), ~found.valid)

    def test_items_are_distinct(self, retriever: Retriever, users: Histories):
        for rows in retriever.retrieve(users, N_ITEMS).rows:
            assert len(set(rows[rows >= 0])) == (rows >= 0).sum()

    def test_a_filter_for_all_users(self, retriever: Retriever, users: Histories):
        allowed = np.arange(N_ITEMS) >= 8
        rows = retriever.retrieve(users, K, allowed).rows
        assert (rows >= 8).all()

    def test_a_filter_for_each_user(self, retriever: Retriever, users: Histories):
        allowed = np.zeros((N_USERS, N_ITEMS), dtype=bool)
        for user in range(N_USERS):
            allowed[user, : 12 if user < 8 else 0] = True
            allowed[user, 6 if user < 8 else 8 :] = True
        allowed[3] = False
        found = retriever.retrieve(users, K, allowed)
        assert (found.rows[3] == -1).all()
        for user in set(range(N_USERS)) - {3}:
            assert (found.rows[user] >= 0).all()
            assert allowed[user, found.rows[user]].all()

    def test_padding_comes_last_with_the_lowest_score(self, retriever: Retriever, users: Histories):
        found = retriever.retrieve(users, N_ITEMS + 7)
        assert found.rows.shape == (N_USERS, N_ITEMS + 7)
        assert (np.diff(found.valid.astype(int), axis=1) <= 0).all()
        assert (found.scores[~found.valid] == -np.inf).all()
        assert (~found.valid).sum() >= 7 * N_USERS

    def test_results_are_deterministic(self, name: str, retriever: Retriever, log: Interactions, users: Histories):
        first, second = retriever.retrieve(users, K), MAKERS[name](log).retrieve(users, K)
        assert np.array_equal(first.rows, second.rows)
        assert np.array_equal(first.scores, second.scores)

    def test_a_batch_equals_its_single_users(self, retriever: Retriever, users: Histories):
        many = np.arange(BATCH + 3) % N_USERS  # more than one batch of the scorers
        whole = retriever.retrieve(users.take(many), K)
        for place, user in enumerate(many):
            alone = retriever.retrieve(users.take(np.array([user])), K)
            assert np.allclose(alone.scores[0], whole.scores[place], rtol=1e-5)
            assert np.array_equal(alone.rows[0], whole.rows[place])

    def test_a_user_without_history(self, name: str, retriever: Retriever, log: Interactions):
        unknown = Histories.of_users(log, np.array([-1, 0]), log.end)
        rows = retriever.retrieve(unknown, K).rows
        assert (rows[1] >= 0).all()
        assert (rows[0] >= 0).all() if name in IMPERSONAL else rows.shape == (2, K)

    def test_no_users(self, retriever: Retriever, users: Histories):
        assert retriever.retrieve(users.take(np.array([], dtype=np.int64)), K).rows.shape == (0, K)
