"""The simulated search log: the truth behind it, what is shown, and that clicks follow the click model."""

import numpy as np
import polars as pl
import pytest

from eval.search.product_types import ProductTypes
from eval.search.variations import misspelt
from eval.simulation.config import ClickConfig, SearchLogConfig
from eval.simulation.search_log import BEFORE, WEEK, Searches, search_log
from features.data.interactions import DAY
from features.data.queries import Queries
from features.errors import DataError


def first_items(_now):
    return lambda queries, _users, k: np.tile(np.arange(k), (len(queries), 1))


@pytest.fixture
def weeks(shop):
    return shop.log.between(shop.log.end - 56 * DAY, None)


def test_a_search_is_a_user_a_day_and_a_type_and_is_after_what_was_bought(shop, weeks):
    config = SearchLogConfig(anonymous=0, shortened=0, typo=0, reordered=0)
    found = Searches.of(weeks, shop.catalog, config)
    types = ProductTypes.of(shop.catalog)
    bought = weeks.where(weeks.event == 0)
    visits = {
        (bought.user_ids[u], t // DAY, types.words[types.of_item[i]]) for u, t, i in zip(bought.user, bought.time, bought.item, strict=True)
    }
    asked = list(zip(found.users.tolist(), ((found.time + BEFORE) // DAY).tolist(), found.queries.tolist(), strict=True))
    assert len(asked) == len(visits)
    assert set(asked) == visits
    assert (np.diff(found.time) >= 0).all()
    for search in (0, len(asked) // 2, len(asked) - 1):
        user, day, words = asked[search]
        mine = (
            (bought.user_ids[bought.user] == user) & (bought.time // DAY == day) & (types.of_item[bought.item] == types.words.index(words))
        )
        assert found.bought.item[found.bought.user == search].tolist() == sorted(set(bought.item[mine].tolist()))


def test_shares_of_forms_and_of_anonymous_searches_are_those_of_the_settings(shop, weeks):
    config = SearchLogConfig(anonymous=0.5, typo=0.4, shortened=0.0, reordered=0.0)
    found = Searches.of(weeks, shop.catalog, config)
    words = set(ProductTypes.of(shop.catalog).words)
    assert np.mean([user is None for user in found.users]) == pytest.approx(0.5, abs=0.08)
    plain = Searches.of(weeks, shop.catalog, SearchLogConfig(typo=0, shortened=0, reordered=0)).queries
    long_enough = np.mean([misspelt(query) is not None for query in plain])
    assert np.mean([query not in words for query in found.queries]) == pytest.approx(0.4 * long_enough, abs=0.06)
    assert len({query for query in found.queries if query not in words}) > len(words)  # a word is misspelt in many ways
    assert Searches.of(weeks, shop.catalog, config).queries.tolist() == found.queries.tolist()
    drawn = Searches.of(weeks, shop.catalog, SearchLogConfig(searches=7))
    assert (len(drawn.queries), drawn.bought.n_users) == (7, 7)


def test_the_log_is_what_the_shop_would_have_and_its_clicks_follow_the_model(shop, weeks):
    config = SearchLogConfig(places=10, clicks=ClickConfig(decay=0.5, bought=0.9, other=0.1))
    searches = Searches.of(weeks, shop.catalog, config)
    log = search_log(searches, shop.catalog, first_items, config)
    counts = dict(log.group_by("event").len().iter_rows())
    assert counts["shown"] == 10 * len(searches.queries)
    assert Queries.of(log, shop.catalog, shop.log.user_ids).n_items == len(shop.catalog)
    rows = shop.catalog.rows(log["item_id"].to_list())
    assert (rows == log["rank"].to_numpy() - 1).all()
    # The expected clicks at a place, by the model.
    lists = np.tile(np.arange(10), (len(searches.queries), 1))
    attracted = np.where(searches.bought.hits(lists), 0.9, 0.1) * np.arange(1, 11) ** -0.5
    clicks = log.filter(pl.col("event") == "click").group_by("rank").len().sort("rank")["len"].to_numpy()
    assert clicks == pytest.approx(attracted.sum(axis=0), rel=0.35)
    assert clicks.sum() == pytest.approx(attracted.sum(), rel=0.1)
    bought = log.filter(pl.col("event") == "purchase")
    truth = int((searches.bought.hits(lists) * np.arange(1, 11) ** -0.5 * 0.9).sum())
    assert bought.height == pytest.approx(truth, rel=0.25)


def test_each_week_has_the_engine_of_its_beginning(shop, weeks):
    config = SearchLogConfig(places=5)
    searches, asked = Searches.of(weeks, shop.catalog, config), []

    def engine_at(now):
        asked.append(now)
        return lambda queries, _users, k: np.full((len(queries), k), len(asked))

    log = search_log(searches, shop.catalog, engine_at, config)
    start = int(searches.time.min())
    assert asked == [start + week * WEEK for week in range(len(asked))]
    week = (log["timestamp"].dt.epoch("s").to_numpy() - start) // WEEK
    shown = log["event"].to_numpy() == "shown"
    assert (shop.catalog.rows(log["item_id"].to_list())[shown] == week[shown] + 1).all()


def test_the_truth_is_a_query_set(shop, weeks):
    found = Searches.of(weeks, shop.catalog, SearchLogConfig()).query_set()
    assert found.judged_queries == len(found)


def test_weeks_without_purchases_are_refused(shop):
    with pytest.raises(DataError, match="choose other weeks"):
        Searches.of(shop.log.between(0, 1), shop.catalog, SearchLogConfig())
