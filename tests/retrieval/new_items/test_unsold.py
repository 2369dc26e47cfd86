"""Never-sold items: the rate is fitted on earlier first sales, and the order depends on text as well."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from features.data.catalog import Catalog
from features.data.histories import Histories
from features.data.interactions import DAY, Interactions
from retrieval.new_items.unsold import UnsoldItems, UnsoldScorer, id_order

N_ITEMS, N_USERS, DAYS, NOW = 120, 30, 120, 100
# Item i is a mug if i is odd, else a nail. A new mug is sold every other day, in the order of ids; only the first six
# nails are ever sold.
CATALOG = Catalog.from_frame(
    pl.DataFrame(
        {
            "item_id": [f"p{i}" for i in range(N_ITEMS)],
            "title": [("mug" if i % 2 else "nail") for i in range(N_ITEMS)],
            "category": [("kitchen" if i % 2 else "tools") for i in range(N_ITEMS)],
        }
    )
)


def log_of() -> Interactions:
    rng = np.random.default_rng(0)
    events = []
    for day in range(DAYS):
        newest = day // 2  # of the mugs
        for user in range(N_USERS):
            mug = int(rng.integers(max(0, newest - 3), newest + 1))
            item = 2 * mug + 1 if user % 2 else 2 * int(rng.integers(6))
            events.append((f"u{user:02}", f"p{min(item, N_ITEMS - 1)}", day * DAY * 1_000_000))
    frame = pl.DataFrame(events, schema=["user_id", "item_id", "timestamp"], orient="row")
    return Interactions.from_frame(frame.with_columns(pl.col("timestamp").cast(pl.Datetime("us"))), CATALOG)


LOG = log_of()
NUMBER = np.array([int(item_id[1:]) for item_id in CATALOG.ids])  # of each row


@pytest.fixture(scope="module")
def unsold_items() -> UnsoldItems:
    return UnsoldItems.fit(LOG, CATALOG, NOW * DAY, days=14)


def test_ids_are_ordered_by_length_first() -> None:
    assert NUMBER[id_order(CATALOG)].tolist() == list(range(N_ITEMS))  # p9 before p10


def test_only_never_sold_items_have_a_rate(unsold_items: UnsoldItems) -> None:
    sold = np.unique(LOG.item[LOG.time < NOW * DAY])
    assert not unsold_items.rate[sold].any()
    assert (np.delete(unsold_items.rate, sold) > 0).all()


def test_items_of_the_category_and_ids_that_sell_next_come_first(unsold_items: UnsoldItems) -> None:
    unsold = np.flatnonzero(unsold_items.rate > 0)
    best = unsold[np.argsort(-unsold_items.rate[unsold], kind="stable")][:3]
    first_sold = np.setdiff1d(LOG.item[(LOG.time >= NOW * DAY) & (LOG.time < (NOW + 14) * DAY)], LOG.item[LOG.time < NOW * DAY])
    assert set(best.tolist()) <= set(first_sold.tolist())
    assert unsold_items.rate[unsold[NUMBER[unsold] % 2 == 0]].max() < unsold_items.rate[best].min()


def test_events_at_or_after_the_cut_are_ignored(unsold_items: UnsoldItems) -> None:
    assert np.array_equal(UnsoldItems.fit(LOG.between(None, NOW * DAY), CATALOG, NOW * DAY, days=14).rate, unsold_items.rate)


@pytest.mark.parametrize("now", [0, 3])
def test_a_log_too_short_to_fit_on_gives_equal_rates(now: int) -> None:
    rate = UnsoldItems.fit(LOG, CATALOG, now * DAY, days=14).rate
    sold = np.bincount(LOG.item[LOG.time < now * DAY], minlength=N_ITEMS) > 0
    assert np.array_equal(rate, np.where(sold, 0, 1).astype(np.float32))


def test_files_round_trip(unsold_items: UnsoldItems) -> None:
    assert np.array_equal(UnsoldItems.from_files(unsold_items.to_files()).rate, unsold_items.rate)


class TestUnsoldScorer:
    # Items 0 and 1 have been sold; 2 shares the text of 0, 3 is similar to 1, 4 to neither.
    vectors = np.array([[1, 0, 0], [0, 1, 0], [0, 0.8, 0.6], [0, 0, -1]], dtype=np.float32)
    scorer = UnsoldScorer(UnsoldItems(np.array([0, 0, 4, 1, 9], dtype=np.float32)), vectors, np.array([0, 1, 0, 2, 3]))

    def test_root_of_the_rate_times_the_eighth_power_of_the_cosine(self) -> None:
        users = Histories.of_baskets([[0], [1, 1], []], now=0)
        scores = self.scorer.scores(users)
        one, two = np.log(2), np.log(3)
        assert scores[0] == pytest.approx([0, 0, 2 * (0.1 + one), 0.1, 0.3], abs=1e-6)
        assert scores[1] == pytest.approx([0, 0, 0.2, 0.1 + two * 0.8**8, 0.3], abs=1e-6)
        assert scores[2] == pytest.approx([0, 0, 0.2, 0.1, 0.3], abs=1e-6)

    def test_pair_scores_are_those_of_the_whole(self) -> None:
        users = Histories.of_baskets([[0], [1]], now=0)
        rows = np.array([[2, 0, -1], [4, 3, 1]])
        whole = self.scorer.scores(users)
        assert self.scorer.pair_scores(users, rows) == pytest.approx(
            np.where(rows >= 0, np.take_along_axis(whole, np.maximum(rows, 0), 1), 0)
        )
