"""The expert on never-sold items: probabilities are learned from past debuts and calibrated, and the order of ids says nothing."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from features.data.catalog import Catalog
from features.data.histories import Histories
from features.data.interactions import DAY, Interactions
from retrieval.collaborative.als import ALS, ALSConfig
from retrieval.index import ItemIndex
from retrieval.new_items.arrivals import Arrivals
from retrieval.new_items.cold_start import ColdStart, ColdStartScorer
from retrieval.new_items.debuts import SIGNS

N_ITEMS, N_USERS, DAYS, NOW, WINDOW = 160, 60, 120, 100, 14
# Items 0 to 79 are mugs and 80 to 159 nails; each has a text of its own near to those of its kind. Users of an odd number buy mugs.
KIND = np.arange(N_ITEMS) // 80
IDS = np.random.default_rng(3).permutation(N_ITEMS)


def catalogue(ids: np.ndarray) -> Catalog:
    names = {"item_id": [f"p{i}" for i in ids], "title": [f"{('nail', 'mug')[1 - k]} {i}" for i, k in enumerate(KIND)]}
    return Catalog.from_frame(pl.DataFrame(names | {"category": [("kitchen", "tools")[k] for k in KIND], "price": [5.0] * N_ITEMS}))


def log_of(catalog: Catalog, ids: np.ndarray) -> Interactions:
    """Every other day a mug sells for the first time; of the nails only the first twelve ever do."""
    rng = np.random.default_rng(0)
    events = []
    for day in range(DAYS):
        for user in range(N_USERS):
            mug = int(rng.integers(max(0, day // 2 - 6), day // 2 + 1))
            item = min(mug, 79) if user % 2 else 80 + int(rng.integers(12))
            events.append((f"u{user:02}", f"p{ids[item]}", day * DAY * 1_000_000))
    frame = pl.DataFrame(events, schema=["user_id", "item_id", "timestamp"], orient="row")
    return Interactions.from_frame(frame.with_columns(pl.col("timestamp").cast(pl.Datetime("us"))), catalog)


def vectors_of(catalog: Catalog) -> np.ndarray:
    """Unit vectors, near to each other within a kind; rows as in the catalogue."""
    rng = np.random.default_rng(1)
    by_title = {f"{('mug', 'nail')[k]} {i}": np.eye(32)[k] + 0.1 * rng.normal(size=32) for i, k in enumerate(KIND)}
    out = np.stack([by_title[title] for title in catalog.frame["title"].to_list()])
    return (out / np.linalg.norm(out, axis=1, keepdims=True)).astype(np.float32)


class Place:
    """A shop, and the expert fitted at a moment."""

    def __init__(self, ids: np.ndarray = IDS, now: int = NOW, later: bool = True) -> None:
        self.catalog = catalogue(ids)
        self.log = log_of(self.catalog, ids)
        self.before = self.log.between(None, now * DAY)
        self.vectors, text_of = vectors_of(self.catalog), np.arange(N_ITEMS)
        self.als = ALS.fit(self.before, ALSConfig(factors=8))
        texts = (self.vectors, text_of, ItemIndex.build(self.vectors))
        self.expert = ColdStart.fit(self.log if later else self.before, self.catalog, now * DAY, texts, self.als, WINDOW)
        self.scorer = self.expert.scorer(self.catalog, text_of, self.als)
        self.mug = np.array([title.startswith("mug") for title in self.catalog.frame["title"].to_list()])

    def histories(self) -> Histories:
        return Histories.of_users(self.before, np.arange(self.log.n_users), NOW * DAY)


@pytest.fixture(scope="module")
def place() -> Place:
    return Place()


def test_only_never_sold_items_have_a_probability(place: Place) -> None:
    scores = place.scorer.scores(place.histories())
    unsold = np.bincount(place.before.item, minlength=N_ITEMS) == 0
    assert (scores[:, unsold] > 0).all()
    assert not scores[:, ~unsold].any()
    assert scores.max() < 1


def test_who_buys_the_kind_is_likelier_to_buy_a_new_one_of_it(place: Place) -> None:
    scores, unsold = place.scorer.scores(place.histories()), place.expert.unsold.rows
    mugs, nails = unsold[place.mug[unsold]], unsold[~place.mug[unsold]]
    odd = np.array([int(user[1:]) % 2 == 1 for user in place.log.user_ids])
    assert scores[odd][:, mugs].min() > scores[~odd][:, mugs].max()
    assert scores[odd][:, mugs].mean() > 3 * scores[odd][:, nails].mean()


def test_probabilities_are_calibrated_on_debuts(place: Place) -> None:
    after = place.log.between(NOW * DAY, (NOW + WINDOW) * DAY)
    bought = np.zeros((place.log.n_users, N_ITEMS), dtype=bool)
    bought[after.user, after.item] = True
    unsold = place.expert.unsold.rows
    chances = place.scorer.scores(place.histories())[:, unsold]
    assert place.expert.calibrated
    assert abs(chances.mean() - bought[:, unsold].mean()) < 0.02
    assert bought[:, unsold].mean() > 0.02


def test_the_order_of_ids_says_nothing() -> None:
    rng = np.random.default_rng(5)
    probabilities = []
    for ids in (IDS, rng.permutation(N_ITEMS), np.arange(N_ITEMS)):
        other = Place(ids)
        scores = other.scorer.scores(Histories.of_users(other.before, other.log.user_rows(["u01", "u02"]), NOW * DAY))
        by_title = np.argsort(other.catalog.frame["title"].to_numpy())
        probabilities.append(scores[:, by_title])
    for other in probabilities[1:]:
        assert other == pytest.approx(probabilities[0], rel=0.2, abs=1e-4)


def test_events_at_or_after_the_cut_are_ignored(place: Place) -> None:
    assert np.array_equal(Place(later=False).expert.model.weights, place.expert.model.weights)


def test_past_windows_read_nothing_of_the_factors_that_know_their_purchases(place: Place) -> None:
    texts = (place.vectors, np.arange(N_ITEMS), ItemIndex.build(place.vectors))
    telling = ALS(np.eye(8, dtype=np.float32)[place.mug.astype(int)], place.als.config)
    model = ColdStart.fit(place.before, place.catalog, NOW * DAY, texts, telling, WINDOW).model
    assert np.array_equal(model.weights, place.expert.model.weights)
    assert model.intercept == place.expert.model.intercept


def test_signs_hold(place: Place) -> None:
    for weight, sign in zip(place.expert.model.weights, SIGNS.values(), strict=True):
        assert weight * sign >= 0


@pytest.mark.parametrize("now", [0, 3, 20])
def test_a_log_too_short_gives_an_order_by_text_and_no_probabilities(now: int) -> None:
    short = Place(now=now)
    assert not short.expert.calibrated
    scores = short.scorer.scores(Histories.of_baskets([[0], []], NOW * DAY))
    assert (scores[:, short.expert.unsold.rows] > 0).all()


def test_files_round_trip(place: Place) -> None:
    read = ColdStart.from_files(place.expert.to_files())
    again = ColdStartScorer(read, place.scorer.kinds, place.als)
    assert np.array_equal(again.scores(place.histories()), place.scorer.scores(place.histories()))
    assert read.calibrated


def test_pair_scores_are_those_of_the_whole(place: Place) -> None:
    users = place.histories().take(np.arange(2))
    rows = np.array([[2, 0, -1], [4, 159, 1]])
    whole = place.scorer.scores(users)
    assert place.scorer.pair_scores(users, rows) == pytest.approx(np.where(rows >= 0, np.take_along_axis(whole, np.maximum(rows, 0), 1), 0))


def test_a_user_is_scored_alone_as_in_a_batch(place: Place) -> None:
    users = place.histories()
    whole = place.scorer.scores(users)
    for user in (0, 7, 31):
        assert np.array_equal(place.scorer.scores(users.take(np.array([user])))[0], whole[user])


class TestArrivals:
    def test_only_new_items_near_to_a_purchase_are_offered(self, place: Place) -> None:
        unsold = place.expert.unsold.rows
        new = np.zeros(N_ITEMS, dtype=bool)
        new[unsold[::2]] = True
        arrivals = Arrivals(place.scorer, new)
        scores = arrivals.scores(place.histories())
        assert not scores[:, ~new].any()
        odd = int(np.flatnonzero([user == "u01" for user in place.log.user_ids])[0])
        assert (scores[odd][new & place.mug] > 0).any()
        assert (scores[odd] > 0).sum() < new.sum()  # a nail is near to no mug
        assert not scores[odd][new & ~place.mug].any()
        assert not arrivals.scores(Histories.of_baskets([[]], NOW * DAY)).any()

    def test_the_score_is_the_probability(self, place: Place) -> None:
        new = np.ones(N_ITEMS, dtype=bool)
        users = place.histories()
        scores, chances = Arrivals(place.scorer, new).scores(users), place.scorer.scores(users)
        assert np.array_equal(scores[scores > 0], chances[scores > 0])
