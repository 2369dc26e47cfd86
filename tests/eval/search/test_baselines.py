"""The baselines of search: which there are, and that they are tuned before the cut and answer after it."""

import numpy as np
import pytest

from eval.metrics.judged import graded_ndcg
from eval.search.baselines import Moment, SearchBaselines, settings_of
from eval.search.personal import personal_queries
from eval.search.text_scores import LexicalScores, VectorScores
from features.data.interactions import DAY
from features.data.split import Split


@pytest.fixture(scope="module")
def split(shop):
    return Split.by_time(shop.log, shop.log.end - 28 * DAY)


@pytest.fixture(scope="module")
def earlier(split):
    return Split.by_time(split.history, split.cut - 28 * DAY)


@pytest.fixture(scope="module")
def lexical(shop):
    return LexicalScores.of(shop.catalog)


@pytest.fixture(scope="module")
def tuned(shop, split, earlier, lexical):
    vectors = np.eye(len(shop.catalog), 8) + 0.1
    encoder = VectorScores(lambda texts: np.ones((len(texts), 8)), vectors, np.arange(len(shop.catalog)))
    then, now = (Moment(one.history, one.cut) for one in (earlier, split))
    return SearchBaselines(lexical, encoder).tuned(personal_queries(shop.catalog, earlier, 80), then, now)


def test_each_has_its_own_settings(tuned):
    assert list(tuned) == ["bm25", "bm25_then_popular", "bm25_and_popular", "encoder", "bm25_and_encoder", "bm25_own_and_popular"]
    settings = settings_of(tuned)
    assert settings["bm25"].keys() == {"bm25", "k1", "b"}
    assert settings["encoder"] == {"encoder": 1.0}
    assert settings["bm25_own_and_popular"]["own"] > 0


def test_knowing_the_user_and_what_sells_helps(shop, split, tuned):
    queries = personal_queries(shop.catalog, split, 200)
    quality = {name: graded_ndcg(mix(*queries.asked, 10), queries.judgments, 10).mean() for name, mix in tuned.items()}
    assert quality["bm25_own_and_popular"] > quality["bm25_and_popular"] >= quality["bm25_then_popular"] > quality["encoder"]


def test_nothing_after_the_cut_is_counted(shop, split, tuned):
    """The same baselines over a log whose future is scrambled: popularity and own purchases are of the history alone."""
    sold = tuned["bm25_then_popular"].scores["popularity"](["tea"], [None])[0]
    bought = np.isin(split.history.event, [0]) & (split.history.time >= split.cut - 28 * DAY)
    assert set(np.flatnonzero(sold >= np.log1p(1)).tolist()) == set(split.history.item[bought].tolist())


def test_without_sales_and_users_only_texts_are_left(shop, lexical, split):
    nobody = Moment(split.history.between(0, 0), split.cut)
    queries = personal_queries(shop.catalog, split, 20).asked_by_nobody()
    assert list(SearchBaselines(lexical).tuned(queries, nobody, nobody)) == ["bm25"]
