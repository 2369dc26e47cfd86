import numpy as np
import polars as pl
import pytest

from eval.baselines.neighbours import TextKnn, TextKnnConfig, TifuConfig, TifuKnn, title_vectors, user_vectors
from eval.baselines.registry import Baseline
from eval.baselines.simple import BPR, BPRConfig, GivenLists
from features.data.catalog import Catalog
from features.data.histories import Histories
from features.errors import DataError
from retrieval.collaborative.scoring import Weighting
from tests.eval.shops import at_day, log_of


def users_of(log, day=30):
    return Histories.of_users(log, np.arange(log.n_users), at_day(day))


class TestTifu:
    def test_vectors_are_means_of_aged_groups_of_aged_baskets(self):
        # Baskets {0}, {1}, {0, 2} in groups of two from the end: [{1}, {0, 2}] and, older, [{0}].
        log = log_of([("u", 0, 1), ("u", 1, 2), ("u", 0, 3), ("u", 0, 3), ("u", 2, 3)], 4)
        made = user_vectors(users_of(log), 4, TifuConfig(group=2, within=0.5, across=0.2)).toarray()[0]
        # Young group: 0 and 2 at 1/2, 1 at .5/2; the old one: 0 at .2 * 1; halved, because there are two.
        np.testing.assert_allclose(made, [(0.5 + 0.2) / 2, 0.25 / 2, 0.5 / 2, 0], rtol=1e-6)

    @pytest.fixture
    def log(self):
        """a and b had 0, b also 1; c had 2 and 3."""
        return log_of([("a", 0, 1), ("b", 0, 1), ("b", 1, 1), ("c", 2, 1), ("c", 3, 1)], 5)

    @pytest.mark.parametrize("measure", ["euclidean", "cosine"])
    def test_the_nearest_other_user_adds_the_rest(self, log, measure):
        model = TifuKnn.fit(log, TifuConfig(neighbours=1, own=0.75, measure=measure))
        scores = model.scores(users_of(log))
        np.testing.assert_allclose(scores[0], [1, 0.25, 0, 0, 0])  # b is a's neighbour, a is not
        np.testing.assert_allclose(scores[1], [1, 0.75, 0, 0, 0])

    def test_by_cosine_users_without_common_items_are_no_neighbours(self, log):
        scores = TifuKnn.fit(log, TifuConfig(neighbours=5, own=0.5, measure="cosine")).scores(users_of(log))
        assert scores[2].tolist() == [0, 0, 0.5, 0.5, 0]


class TestTexts:
    VECTORS = np.array([[2.0, 0], [0, 1], [1, 1], [2, 0]])

    def test_items_of_one_text_score_alike(self):
        users = Histories.of_baskets([[0], [1, 2]], 0)
        scores = TextKnn.of(self.VECTORS, TextKnnConfig(weighting=Weighting())).scores(users)
        half = np.sqrt(0.5)
        np.testing.assert_allclose(scores[0], [1, 0, half, 1], atol=1e-6)
        np.testing.assert_allclose(scores[1], [half, 1 + half, 1 + half, half], atol=1e-6)

    def test_max_takes_the_nearest_of_the_last_texts(self):
        log = log_of([("u", 0, 1), ("u", 1, 2), ("u", 2, 3)], 4)
        for last, expected in ((1, [np.sqrt(0.5), np.sqrt(0.5), 1, np.sqrt(0.5)]), (9, [1, 1, 1, 1])):
            scores = TextKnn.of(self.VECTORS, TextKnnConfig(pool="max", last=last)).scores(users_of(log))
            np.testing.assert_allclose(scores[0], expected, atol=1e-6)

    def test_titles_are_distinct_and_keep_single_characters(self):
        vectors, title_of = title_vectors(["PS 3", "PS 2", "PS 3", ""])
        assert title_of.tolist() == [2, 1, 2, 0]
        assert (vectors @ vectors.T).toarray()[1, 2] < 1
        assert vectors[[0]].nnz == 0


def test_bpr_has_factors_of_users_and_popularity_for_unknown_ones():
    log = log_of([(f"u{u}", i, 1) for u in range(8) for i in range(6) if i % 2 == u % 2 and i != u], 7)
    model = BPR.fit(log, BPRConfig(factors=4))
    again = BPR.fit(log, BPRConfig(factors=4))
    scores = model.scores(users_of(log))
    assert np.array_equal(scores, again.scores(users_of(log)))
    assert np.array_equal(model.scores(users_of(log).take(np.array([3, 1]))), scores[[3, 1]])
    unknown = model.scores(Histories.of_baskets([[0], [1]], 0))
    assert np.array_equal(unknown[0], unknown[1])
    assert unknown[0, 6] == 0


class TestGivenLists:
    CATALOG = Catalog.from_frame(pl.DataFrame({"item_id": [f"i{i:04d}" for i in range(3)], "title": ["", "", ""]}))
    LOG = log_of([("a", 0, 1), ("b", 0, 1), ("b", 1, 1)], 3)

    def read(self, tmp_path, rows, columns=("user_id", "item_id", "rank")):
        pl.DataFrame(rows, schema=list(columns), orient="row").write_parquet(tmp_path / "lists.parquet")
        return GivenLists.read(tmp_path / "lists.parquet", self.CATALOG, self.LOG)

    def test_are_kept_in_order_and_filled_up_with_popular_items(self, tmp_path):
        rows = [("b", "i0002", 1), ("a", "i0001", 2), ("a", "i0002", 1), ("zed", "i0001", 1), ("a", "new", 3)]
        lists = Baseline(self.read(tmp_path, rows), np.array([2, 1, 0]))
        assert lists.retrieve(users_of(self.LOG), 3).rows.tolist() == [[2, 1, 0], [2, 0, 1]]
        unknown = Histories.of_users(self.LOG, np.array([-1]), at_day(30))
        assert lists.retrieve(unknown, 3).rows.tolist() == [[0, 1, 2]]
        assert lists.retrieve(Histories.of_baskets([[2]], 0), 3).rows.tolist() == [[0, 1, 2]]

    def test_a_missing_column_is_named(self, tmp_path):
        with pytest.raises(DataError, match=r"lacks the columns \['rank'\]"):
            self.read(tmp_path, [("a", "i0001")], ("user_id", "item_id"))

    def test_lists_of_another_shop_are_refused(self, tmp_path):
        with pytest.raises(DataError, match="none of the 1 rows"):
            self.read(tmp_path, [("someone", "i0001", 1)])
