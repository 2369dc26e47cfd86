"""The collaborative models against plain implementations, and their edge cases."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pytest

from features.data.catalog import Catalog
from features.data.histories import Histories
from features.data.interactions import DAY, Interactions
from retrieval.collaborative.als import ALS, ALSConfig
from retrieval.collaborative.config import RetrievalConfig
from retrieval.collaborative.ease import EASE, EASEConfig
from retrieval.collaborative.item_knn import ItemToItem, ItemToItemConfig
from retrieval.collaborative.popularity import Popularity, Trended
from retrieval.collaborative.scoring import Weighting, history_matrix, log_matrix
from retrieval.topk import top_k

if TYPE_CHECKING:
    from collections.abc import Sequence

N_ITEMS = 12
PLAIN = Weighting()


def shop(rows: Sequence[tuple[str, int, float]], events: list[str] | None = None, n_items: int = N_ITEMS) -> Interactions:
    """A log of (user, item row, day)."""
    frame = pl.DataFrame(
        {
            "user_id": [user for user, _, _ in rows],
            "item_id": [f"i{item:02}" for _, item, _ in rows],
            "timestamp": [int(day * DAY * 1_000_000) for _, _, day in rows],
            "event": events or ["purchase"] * len(rows),
        },
        schema={"user_id": pl.String, "item_id": pl.String, "timestamp": pl.Int64, "event": pl.String},
    )
    items = pl.DataFrame({"item_id": [f"i{i:02}" for i in range(n_items)], "title": ["thing"] * n_items})
    return Interactions.from_frame(frame.with_columns(pl.col("timestamp").cast(pl.Datetime("us"))), Catalog.from_frame(items))


@pytest.fixture(scope="module")
def log() -> Interactions:
    """Thirty users with five to eight random purchases each, some of them twice; nobody buys the last item."""
    rng = np.random.default_rng(5)
    return shop([(f"u{u:02}", int(item), float(rng.integers(0, 300))) for u in range(30) for item in rng.integers(0, N_ITEMS - 1, 8)])


@pytest.fixture(scope="module")
def everybody(log: Interactions) -> Histories:
    return Histories.of_users(log, np.arange(log.n_users), log.end)


def models(log: Interactions) -> dict[str, Any]:
    ease, popular = EASE.fit(log, EASEConfig(l2=3)), Popularity.fit(log, log.end)
    return {
        "ease": ease,
        "near": ItemToItem.fit(log),
        "als": ALS.fit(log, ALSConfig(factors=4)),
        "popular": popular,
        "trended": Trended(ease, popular),
    }


class TestHistoryMatrix:
    def test_counts_once(self):
        users = Histories.of_baskets([[3, 3, 5], []], now=0)
        assert history_matrix(users, 6, PLAIN).toarray().tolist() == [[0, 0, 0, 1, 0, 1], [0] * 6]

    def test_counts_by_log(self):
        users = Histories.of_baskets([[3, 3, 5]], now=0)
        assert np.allclose(history_matrix(users, 6, Weighting(count="log")).toarray()[0, [3, 5]], np.log1p([2, 1]))

    def test_weights_decay(self):
        log = shop([("u", 0, 0), ("u", 1, 10)])
        users = Histories.of_users(log, np.array([0]), 20 * DAY)
        assert np.allclose(history_matrix(users, N_ITEMS, Weighting(half_life=10)).toarray()[0, :2], [0.25, 0.5])

    def test_views_count_less_than_a_purchase_however_many(self):
        log = shop([("u", 0, 0), ("v", 0, 0)] + [("v", 1, day) for day in range(20)], ["view", "purchase"] + ["view"] * 20)
        assert np.allclose(log_matrix(log, PLAIN).toarray()[:, :2], [[0.1, 0], [1, 1]])

    def test_fit_and_scoring_use_the_same_user_vectors(self, log: Interactions, everybody: Histories):
        weighting = Weighting(count="log", half_life=30)
        assert np.array_equal(log_matrix(log, weighting).toarray(), history_matrix(everybody, N_ITEMS, weighting).toarray())


class TestEASE:
    def test_equals_the_closed_form(self, log: Interactions, everybody: Histories):
        x = log_matrix(log, PLAIN).toarray().astype(np.float64)
        inverse = np.linalg.inv(x.T @ x + 3 * np.eye(N_ITEMS))
        slow = -inverse / np.diag(inverse)
        np.fill_diagonal(slow, 0)
        ease = EASE.fit(log, EASEConfig(l2=3, weighting=PLAIN, min_buyers=1))
        assert np.allclose(ease.weights.toarray(), slow, atol=1e-5)
        assert np.allclose(ease.scores(everybody), x @ slow, atol=1e-5)

    def test_pruning_keeps_the_largest_weights_of_each_item(self, log: Interactions):
        whole = EASE.fit(log, EASEConfig(l2=3)).weights.toarray()
        pruned = EASE.fit(log, EASEConfig(l2=3, keep=4)).weights.toarray()
        assert ((pruned != 0).sum(axis=1)[:-1] == 4).all()
        for full, few in zip(whole, pruned, strict=True):
            assert np.array_equal(few[few != 0], full[few != 0])
            assert np.abs(few[few != 0]).min(initial=np.inf) >= np.abs(full[few == 0]).max()

    def test_covers_only_the_items_with_most_buyers(self, log: Interactions):
        buyers = (log_matrix(log, PLAIN).toarray() > 0).sum(axis=0)
        weights = EASE.fit(log, EASEConfig(l2=3, max_items=5)).weights.toarray()
        known = np.flatnonzero(np.abs(weights).sum(axis=0))
        assert len(known) == 5
        assert buyers[known].min() >= np.delete(buyers, known).max()

    def test_no_item_has_two_buyers(self):
        log = shop([("u", 0, 0), ("v", 1, 0)])
        assert not EASE.fit(log).scores(Histories.of_baskets([[0]], now=0)).any()


class TestItemToItem:
    def test_equals_the_cosine(self, log: Interactions):
        x = log_matrix(log, PLAIN).toarray().astype(np.float64)
        norms = np.maximum(np.linalg.norm(x, axis=0), 1e-9)
        slow = (x.T @ x) / norms / norms[:, None]
        np.fill_diagonal(slow, 0)
        assert np.allclose(ItemToItem.fit(log).weights.toarray(), slow, atol=1e-6)

    def test_items_with_one_buyer_have_no_neighbours(self):
        log = shop([("u", 0, 0), ("u", 1, 0), ("u", 2, 0), ("v", 0, 0), ("v", 1, 0)])
        assert ItemToItem.fit(log).neighbours(0, 5)[0].tolist() == [1]
        assert ItemToItem.fit(log, ItemToItemConfig(min_buyers=1)).neighbours(0, 5)[0].tolist() == [1, 2]

    @pytest.mark.parametrize("measure", ["cosine", "tfidf"])
    def test_neighbours_are_bought_together(self, measure):
        pairs = [(f"u{u}", item, 0) for u in range(6) for item in ((0, 1) if u % 2 else (2, 3))]
        model = ItemToItem.fit(shop([*pairs, ("u1", 4, 0), ("u3", 4, 0)]), ItemToItemConfig(measure=measure))
        rows, weights = model.neighbours(0, 5)
        assert rows[0] == 1
        assert set(rows.tolist()) <= {1, 4}
        assert (np.diff(weights) <= 0).all()
        assert len(model.neighbours(0, 1)[0]) == 1
        assert not len(model.neighbours(7, 5)[0])

    def test_tfidf_of_items_that_every_user_bought_is_finite(self):
        # TF-IDF gives such items no weight.
        log = shop([("u", 0, 0), ("u", 1, 0), ("v", 0, 0), ("v", 1, 0)], n_items=3)
        scores = ItemToItem.fit(log, ItemToItemConfig(measure="tfidf")).scores(Histories.of_baskets([[0]], now=0))
        assert np.isfinite(scores).all()

    def test_strongest_is_the_largest_contribution(self, log: Interactions, everybody: Histories):
        model = ItemToItem.fit(log)
        rows = np.tile(np.array([4, 0, -1, N_ITEMS - 1]), (len(everybody), 1))
        sources, added = model.strongest(everybody, rows)
        x, weights = history_matrix(everybody, N_ITEMS, PLAIN).toarray(), model.weights.toarray()
        for user in range(len(everybody)):
            for place in (0, 1):
                parts = x[user] * weights[:, rows[user, place]]
                assert added[user, place] == parts.max() == parts[sources[user, place]]
        assert (sources[:, 2:] == -1).all()
        assert (added[:, 2:] == 0).all()

    def test_a_user_without_history_has_no_strongest(self, log: Interactions):
        sources, _ = ItemToItem.fit(log).strongest(Histories.of_baskets([[]], now=0), np.array([[1, 2]]))
        assert (sources == -1).all()


class TestALS:
    def test_folding_in_is_the_least_squares_solution(self, log: Interactions, everybody: Histories):
        config = ALSConfig(factors=4, alpha=2.0)
        model = ALS.fit(log, config)
        y = model.factors.astype(np.float64)
        for user, row in enumerate(history_matrix(everybody, N_ITEMS, config.weighting).toarray()):
            trust = np.diag(1 + config.alpha * row)
            slow = np.linalg.solve(y.T @ trust @ y + config.l2 * np.eye(4), y.T @ trust @ (row > 0))
            assert np.allclose(model.user_factors(everybody)[user], slow, rtol=1e-3, atol=1e-4)

    def test_items_without_events_score_zero(self, log: Interactions, everybody: Histories):
        assert not ALS.fit(log, ALSConfig(factors=4)).scores(everybody)[:, -1].any()

    def test_the_seed_decides(self, log: Interactions):
        one, same, other = (ALS.fit(log, ALSConfig(factors=4, seed=seed)).factors for seed in (1, 1, 2))
        assert np.array_equal(one, same)
        assert not np.allclose(one, other)


class TestPopularity:
    def test_counts_buyers_in_windows(self):
        rows = [("u", 0, 99), ("u", 0, 98), ("v", 0, 95), ("w", 0, 80), ("x", 0, 20), ("y", 0, 1), ("u", 1, 101)]
        assert Popularity.fit(shop(rows), 100 * DAY).buyers[:2].tolist() == [[2, 3, 4, 5], [0, 0, 0, 0]]

    def test_counts_each_user_by_the_largest_weight(self):
        log = shop([("u", 0, 0), ("u", 0, 1), ("v", 0, 0), ("v", 0, 1)], ["view", "purchase", "view", "view"])
        assert np.allclose(Popularity.fit(log, log.end).buyers[0], 1.1)

    def test_recent_buyers_first_then_all_time_buyers(self):
        rows = [("u", 0, 99), ("u", 1, 99), ("v", 1, 1), *((f"x{i}", 2, 1) for i in range(5))]
        scores = Popularity.fit(shop(rows), 100 * DAY).scores(Histories.of_baskets([[]], now=0))
        assert np.argsort(-scores[0]).tolist()[:3] == [1, 0, 2]

    def test_trend_favours_recent_sales(self):
        rows = [(f"u{i}", 0, 99) for i in range(4)] + [(f"u{i}", 1, 99 if i < 4 else 1) for i in range(16)]
        assert np.allclose(Popularity.fit(shop(rows), 100 * DAY).trend[:3], [2**0.5, 1, 0])


class TestScorers:
    def test_pair_scores_are_the_scores_at_the_rows(self, log: Interactions, everybody: Histories):
        rows = np.random.default_rng(0).integers(-1, N_ITEMS, (len(everybody), 7))
        for model in models(log).values():
            dense = model.scores(everybody)
            slow = [[dense[user, row] if row >= 0 else 0 for row in rows[user]] for user in range(len(everybody))]
            assert np.allclose(model.pair_scores(everybody, rows), slow, rtol=1e-5, atol=1e-7)

    @pytest.mark.parametrize("name", ["ease", "near", "als", "popular"])
    def test_files_round_trip(self, name: str, log: Interactions, everybody: Histories):
        model = models(log)[name]
        again = type(model).from_files(model.to_files())
        assert np.array_equal(model.scores(everybody), again.scores(everybody))
        assert model.to_files() == again.to_files() == models(log)[name].to_files()

    def test_an_empty_log(self):
        for model in (fit(shop([])) for fit in (EASE.fit, ItemToItem.fit, ALS.fit)):
            assert not model.scores(Histories.of_baskets([[1, 2]], now=0)).any()


def test_a_stored_configuration_of_an_older_version_is_read() -> None:
    old = {"own": 7, "together": 8, "transitions": 9, "successors_model": {"reach": 2}}
    config = RetrievalConfig.from_stored(old)
    assert (config.repeat_purchases, config.item_knn, config.markov, config.next_item_model.reach) == (7, 8, 9, 2)
    assert RetrievalConfig.from_stored(config.model_dump()) == config


class TestTopK:
    def test_equals_a_stable_sort(self):
        rng = np.random.default_rng(0)
        scores = rng.integers(-3, 4, (50, 40)).astype(np.float32)
        scores[rng.random(scores.shape) < 0.2] = -np.inf
        for k in (1, 7, 40, 45):
            rows, best = top_k(scores, k)
            for user in range(50):
                order = np.argsort(-scores[user], kind="stable")[:k]
                order = order[scores[user, order] > -np.inf]
                assert rows[user].tolist() == order.tolist() + [-1] * (k - len(order))
                assert best[user, : len(order)].tolist() == scores[user, order].tolist()

    def test_zero_has_no_sign(self):
        assert top_k(np.array([[0.0, -0.0, 0.0, -0.0]]), 4)[0].tolist() == [[0, 1, 2, 3]]

    @pytest.mark.parametrize("nan", [np.nan, -np.nan])
    @pytest.mark.parametrize("rows", [1, 3])
    @pytest.mark.parametrize("k", [1, 2, 3, 5])
    def test_nan_is_never_returned(self, nan: float, rows: int, k: int) -> None:
        """Nan is treated as -inf."""
        scores = np.tile(np.array([nan, 1.0, nan, 2.0, -np.inf], dtype=np.float32), (rows, 1))
        found, best = top_k(scores, k)
        assert found.tolist() == [([3, 1] + [-1] * 3)[:k]] * rows
        assert best.tolist() == [([2.0, 1.0] + [-np.inf] * 3)[:k]] * rows
        assert (top_k(np.full((rows, 4), nan), 2)[0] == -1).all()
