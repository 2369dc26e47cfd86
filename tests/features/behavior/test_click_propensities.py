"""Propensities of places: the truth behind a simulated log is found, and where the log says nothing the fallback holds."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.behavior.click_propensities import DECAY, LARGEST_WEIGHT, ClickPropensities
from features.data.queries import Queries
from features.names import SEARCH_EVENTS

SHOWN, CLICK, CART, PURCHASE = range(len(SEARCH_EVENTS))


def log_of(query, item, rank, event, n_items=50) -> Queries:
    n = len(query)
    columns = {
        "query": np.asarray(query, dtype=np.int32),
        "user": np.full(n, -1, dtype=np.int32),
        "item": np.asarray(item, dtype=np.int32),
        "time": np.zeros(n, dtype=np.int64),
        "event": np.asarray(event, dtype=np.int8),
        "rank": np.asarray(rank, dtype=np.int32),
    }
    texts = np.array([f"q{i:03}" for i in range(int(max(query, default=0)) + 1)], dtype=object)
    return Queries(texts, np.array([], dtype=object), **columns, n_items=n_items)


def simulated(truth: np.ndarray, searches: int, still: bool = False, seed: int = 0, event: int = CLICK) -> Queries:
    """Queries over ten items each that attract by their number; the order is by that number, and noise moves it unless `still`."""
    rng, places = np.random.default_rng(seed), len(truth)
    query = rng.integers(30, size=searches)
    order = np.argsort(np.arange(places) + (0 if still else 1.5) * rng.normal(size=(searches, places)), axis=1)
    items = order + (query % 5)[:, None] * 10
    attraction = 0.7 * 0.8**order
    clicked = rng.random(order.shape) < attraction * truth
    at = np.nonzero(clicked)
    place = np.broadcast_to(np.arange(1, places + 1), order.shape)
    of_query = np.broadcast_to(query[:, None], order.shape)
    columns = [np.concatenate([table.ravel(), table[at]]) for table in (of_query, items, place)]
    queries, shown, places_of = columns
    return log_of(queries, shown, places_of, np.repeat([SHOWN, event], [order.size, len(at[0])]))


@pytest.mark.parametrize("decay", [0.3, 1.0, 1.6])
def test_the_truth_is_found_though_better_items_stand_higher(decay):
    truth = np.arange(1, 11) ** -decay
    log = simulated(truth, 20_000)
    found = ClickPropensities.estimate(log)
    assert found.propensity == pytest.approx(truth, rel=0.15, abs=0.02)
    clicks = np.bincount(log.rank[log.event == CLICK], minlength=11)[1:]
    naive = clicks / clicks[0]
    assert np.abs(found.propensity - truth).max() < np.abs(naive - truth).max() / 2


def test_weighted_clicks_order_items_by_what_attracts_and_not_by_where_they_stood():
    """Item 9 attracts most and stands last: naive clicks say the contrary."""
    rng, truth, n = np.random.default_rng(1), np.arange(1, 11) ** -1.0, 40_000
    order = np.argsort(np.arange(10) + 2.5 * rng.normal(size=(n, 10)), axis=1)
    clicked = np.nonzero(rng.random((n, 10)) < truth * (0.1 + 0.02 * order))
    place = np.broadcast_to(np.arange(1, 11), order.shape)
    log = log_of(
        np.zeros(order.size + len(clicked[0])),
        np.concatenate([order.ravel(), order[clicked]]),
        np.concatenate([place.ravel(), place[clicked]]),
        np.repeat([SHOWN, CLICK], [order.size, len(clicked[0])]),
    )
    weights = ClickPropensities.estimate(log).weights(log.rank[log.event == CLICK])
    item = log.item[log.event == CLICK]
    naive, debiased = np.bincount(item, minlength=10), np.bincount(item, weights, minlength=10)
    assert naive[0] > 1.5 * naive[9]
    assert debiased[9] > 1.5 * debiased[0]


def test_where_nothing_ever_moved_the_fallback_holds():
    found = ClickPropensities.estimate(simulated(np.arange(1, 11) ** -1.0, 3000, still=True))
    assert found.propensity == pytest.approx(np.arange(1, 11) ** -DECAY)
    assert not found.clicks.any()


def test_little_evidence_stays_near_the_fallback():
    truth = np.full(10, 1.0)
    few, many = (ClickPropensities.estimate(simulated(truth, n)).propensity[-1] for n in (10, 20_000))
    assert few < 0.6
    assert many > 0.9


@pytest.mark.parametrize("event", [CART, PURCHASE])
def test_a_log_without_clicks_is_judged_by_carts_and_purchases(event):
    truth = np.arange(1, 11) ** -1.0
    found = ClickPropensities.estimate(simulated(truth, 20_000, event=event))
    assert found.propensity == pytest.approx(truth, rel=0.15, abs=0.02)


@pytest.mark.parametrize(
    "log",
    [
        log_of([], [], [], []),
        log_of([0, 0], [1, 2], [0, 0], [SHOWN, CLICK]),
        log_of([0, 0], [-1, -1], [0, 0], [SHOWN, SHOWN]),
        log_of([0, 0, 1], [1, 2, 3], [1, 2, 3], [CLICK, CLICK, CLICK]),
    ],
)
def test_a_log_that_does_not_say_what_it_showed_gives_the_fallback(log):
    found = ClickPropensities.estimate(log)
    assert found.propensity == pytest.approx(np.arange(1, len(found.propensity) + 1) ** -DECAY)


def test_ranks_beyond_the_last_count_as_it_and_unknown_ranks_as_looked_at():
    found = ClickPropensities(np.array([1.0, 0.5, 0.05]), np.zeros(3))
    assert found.of(np.array([0, 1, 2, 3, 99])).tolist() == [1, 1, 0.5, 0.05, 0.05]
    assert found.weights(np.array([[0, 1], [2, 3]])).tolist() == [[1, 1], [2, LARGEST_WEIGHT]]
    deep = ClickPropensities.estimate(simulated(np.arange(1, 11) ** -1.0, 500), max_rank=4)
    assert len(deep.propensity) == 4


@given(st.integers(0, 2**32 - 1))
def test_propensities_are_shares_of_the_first_place_whatever_the_log(seed):
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 60))
    log = log_of(rng.integers(3, size=n), rng.integers(4, size=n), rng.integers(0, 7, size=n), rng.integers(4, size=n))
    found = ClickPropensities.estimate(log)
    assert found.propensity[0] == 1
    assert ((found.propensity > 0) & (found.propensity <= 1)).all()


def test_the_order_of_rows_does_not_matter():
    log = simulated(np.arange(1, 11) ** -1.0, 300)
    shuffled = log.where(np.random.default_rng(0).permutation(len(log)))
    assert ClickPropensities.estimate(shuffled).propensity == pytest.approx(ClickPropensities.estimate(log).propensity)


def test_a_frame_of_the_shop_is_read(shop):
    rows = [("tea", "sku-00", "shown", 1), ("tea", "sku-01", "shown", 2), ("tea", "sku-01", "click", 2)]
    frame = pl.DataFrame(rows, schema=["query", "item_id", "event", "rank"], orient="row")
    frame = frame.with_columns(timestamp=pl.datetime(2024, 1, 1, time_unit="us"), user_id=pl.lit(None, pl.String))
    assert len(ClickPropensities.estimate(Queries.of(frame, shop.catalog)).propensity) == 2
