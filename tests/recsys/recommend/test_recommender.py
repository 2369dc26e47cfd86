"""One recommender for known users, baskets and strangers: rules that still give k items, reasons that are true, neighbours."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.errors import ConfigError, DataError
from recsys.recommend import open
from recsys.recommend.answers import Answer
from recsys.recommend.pipeline import DIVERSE_AMONG, Recommender
from recsys.recommend.request import RecommendOptions
from recsys.snapshot.snapshot import Snapshot
from tests.recsys.truth import check_reason

EVERYBODY = [f"user-{n:02}" for n in range(60)]
CATEGORIES = (None, "drinks", "tea", "bakery", "household|paper", "produce")


@pytest.fixture(scope="module")
def recommender(ready: Any) -> Recommender:
    return open.open_recommender(ready.workspace)


def ask(recommender: Recommender, user: str | None = None, **options: Any) -> Answer:
    return next(recommender.answer(RecommendOptions(**options), [user]))


def ids(answer: Answer) -> list[str]:
    return [item.item_id for item in answer.items]


@pytest.mark.parametrize("user", ["user-03", "user-30", "user-59"])
def test_a_known_user_gets_a_personal_list(recommender, shop, user):
    answer = ask(recommender, user)
    assert answer.user_id == user
    assert answer.fallback is None
    assert answer.bundle_id == recommender.bundle_id
    assert [item.rank for item in answer.items] == list(range(1, 11))
    chances = [item.probability or 0 for item in answer.items]
    assert chances == sorted(chances, reverse=True)
    assert all(0 < chance < 1 for chance in chances)
    favourite = int(user[-2:]) % 4
    mine = [int(item[-2:]) // 10 == favourite for item in ids(answer)]
    assert mine[:3] == [True] * 3  # staples of the favourite category
    titles = dict(shop.items.select("item_id", "title").rows())
    assert all(item.title == titles[item.item_id] for item in answer.items)


def test_users_of_different_tastes_get_different_lists(recommender):
    assert not set(ids(ask(recommender, "user-00", k=3))) & set(ids(ask(recommender, "user-01", k=3)))


def test_debuts_are_items_that_nobody_has_bought(recommender, shop):
    sold = set(shop.events["item_id"].to_list())
    answer = ask(recommender, "user-00", k=5, unsold=True)
    unsold = set(shop.items["item_id"].to_list()) - sold
    assert set(ids(answer)) <= unsold
    assert len(answer.items) == min(5, len(unsold))
    assert all(item.probability is None for item in answer.items)


def test_a_basket_of_a_stranger_is_answered_for_what_is_in_it(recommender):
    about = []
    for category in range(4):
        basket = tuple(f"sku-{10 * category + n:02}" for n in (2, 5, 7))
        answer = ask(recommender, history=basket)
        assert answer.fallback is None
        assert not set(basket) & set(ids(answer))
        assert answer == ask(recommender, history=basket)
        about.append(sum(int(item[-2:]) // 10 == category for item in ids(answer)))
    assert sum(about) > 10, about  # of 28 that are left; a list about nothing has 8 of them


def test_an_unknown_user_with_a_basket_is_a_visitor_with_a_basket(recommender):
    basket = ("sku-12", "sku-15")
    assert ask(recommender, "nobody", history=basket).items == ask(recommender, None, history=basket).items


def test_one_more_purchase_changes_a_known_users_list(recommender, shop):
    before = {item.item_id: item.probability for item in ask(recommender, "user-03", k=40).items}
    basket = ("sku-12", "sku-15", "sku-17")
    after = ask(recommender, "user-03", k=40, history=basket)
    assert {item.item_id: item.probability for item in after.items} != before
    told = {check_reason(shop, item, "user-03", basket) for item in after.items if item.item_id in basket}
    assert told  # what was bought just now may be bought again


@pytest.mark.parametrize(("user", "says"), [("nobody", "'nobody' has no history here"), (None, "nothing is known of the visitor")])
def test_who_is_not_known_gets_what_is_popular_and_is_told_so(recommender, shop, user, says):
    answer = ask(recommender, user, k=40)
    assert says in (answer.fallback or "")
    assert "popular" in (answer.fallback or "")
    recent = shop.events.filter(
        (pl.col("event") == "purchase") & (pl.col("timestamp") > shop.events["timestamp"].max() - timedelta(days=28))
    )
    buyers = dict(recent.group_by("item_id").agg(pl.col("user_id").n_unique()).rows())
    shoppers = recent["user_id"].n_unique()
    assert len(answer.items) == 40
    for item in answer.items:
        assert item.probability == pytest.approx(buyers.get(item.item_id, 0) / shoppers, abs=1e-6)
    chances = [item.probability or 0 for item in answer.items]
    assert chances == sorted(chances, reverse=True)


def test_every_reason_of_everybody_is_true(recommender, shop):
    kinds = set()
    for answer in recommender.answer(RecommendOptions(k=40), EVERYBODY):
        kinds |= {check_reason(shop, item, answer.user_id) for item in answer.items}
    assert kinds >= {"repeat", "bought together"}


def test_every_reason_of_baskets_and_strangers_is_true(recommender, shop):
    for n in range(0, 40, 3):
        basket = (f"sku-{n:02}", f"sku-{(n * 7 + 3) % 40:02}")
        for item in ask(recommender, history=basket, k=30).items:
            check_reason(shop, item, None, basket)
    assert {check_reason(shop, item, None) for item in ask(recommender, k=40).items} == {"popular", "few"}


def expected(shop: Any, user: str | None, options: RecommendOptions) -> set[str]:
    """Items that pass the rules, found in the tables."""
    left = shop.items
    if options.category:
        left = left.filter(pl.col("category").str.split("|").list.contains(options.category) | (pl.col("category") == options.category))
    if options.max_price is not None:
        left = left.filter(pl.col("price") <= options.max_price)
    if options.in_stock:
        left = left.filter("available")
    bought = shop.events.filter(event="purchase", user_id=user)["item_id"].to_list() if user else []
    # A stranger's basket is no answer; a known user may buy again what lies in it.
    gone = {*options.exclude, *(bought if options.new_only else []), *(options.history if options.new_only or user is None else [])}
    return set(left["item_id"].to_list()) - gone


ITEMS = st.lists(st.sampled_from([f"sku-{n:02}" for n in range(40)]), max_size=4, unique=True).map(tuple)
REQUESTS = st.builds(
    RecommendOptions,
    history=ITEMS,
    k=st.integers(1, 60),
    category=st.sampled_from(CATEGORIES),
    max_price=st.sampled_from([None, 1.99, 5.0, 9.0]),
    in_stock=st.booleans(),
    exclude=ITEMS,
    new_only=st.booleans(),
    diversity=st.sampled_from([0.0, 0.5, 1.0]),
    explain=st.booleans(),
)


def test_as_many_items_as_there_are_pass_the_rules_and_no_others(recommender, shop):
    @settings(max_examples=60, deadline=None)
    @given(st.sampled_from([None, "user-03", "user-30"]), REQUESTS)
    def check(user: str | None, options: RecommendOptions) -> None:
        answer = next(recommender.answer(options, [user]))
        found, allowed = ids(answer), expected(shop, user, options)
        assert set(found) <= allowed
        assert len(found) == len(set(found)) == min(options.k, len(allowed))
        assert [item.rank for item in answer.items] == list(range(1, len(found) + 1))
        personal = answer.fallback is None
        assert personal == bool(user or options.history)
        assert all(bool(item.contributions) == (options.explain and personal) for item in answer.items)

    check()


def test_nothing_passes_the_rules(recommender):
    for user in (None, "user-03"):
        assert ask(recommender, user, max_price=0.0).items == ()
    assert ask(recommender, None, history=("sku-03",), max_price=0.0).items == ()


@pytest.mark.parametrize("option", ["history", "exclude"])
def test_an_unknown_item_is_said(recommender, option):
    with pytest.raises(DataError, match="'sku-99' is not in the catalogue of 40 items"):
        ask(recommender, "user-03", **{option: ("sku-03", "sku-99")})


def test_an_unknown_category_is_said(recommender):
    with pytest.raises(DataError, match="'bakry'.*did you mean 'bakery'"):
        ask(recommender, "user-03", category="bakry")


@pytest.mark.parametrize("options", [{}, {"new_only": True}, {"history": ("sku-12",)}, {"diversity": 0.5, "new_only": True}])
def test_users_are_answered_in_their_order_as_one_by_one(recommender, monkeypatch, options):
    users = [None, "user-30", "nobody", "user-03", "user-30", "user-00"]
    alone = [ask(recommender, user, **options) for user in users]
    item_knn = list(recommender.answer(RecommendOptions(**options), users))
    monkeypatch.setattr("recsys.recommend.pipeline.BATCH", 2)
    for found in (item_knn, list(recommender.answer(RecommendOptions(**options), users))):
        assert [answer.user_id for answer in found] == users
        assert [ids(answer) for answer in found] == [ids(answer) for answer in alone]
        for answer, single in zip(found, alone, strict=True):
            chances = [item.probability for item in single.items]
            assert [item.probability for item in answer.items] == pytest.approx(chances, abs=1e-6)


def test_diversity_makes_the_items_unlike(recommender):
    vectors_of, row_of = recommender.snapshot.vectors_of, recommender.snapshot.catalog.rows

    def likeness(answer: Answer) -> float:
        chosen = vectors_of(row_of(ids(answer)))
        return float((chosen @ chosen.T)[np.triu_indices(len(chosen), 1)].mean())

    for user in ("user-03", "user-30"):
        plain, some, most = (ask(recommender, user, diversity=dial) for dial in (0.0, 0.5, 1.0))
        assert ids(plain)[0] == ids(some)[0] == ids(most)[0]
        assert likeness(most) < likeness(plain) - 0.05
        assert likeness(some) <= likeness(plain)
    with pytest.raises(ConfigError, match="from 0"):
        ask(recommender, "user-03", diversity=1.5)


def test_an_answer_gathers_vectors_of_the_best_alone_and_only_to_diversify(recommender, monkeypatch):
    """One vector an item would be 49 MB of 92,000 products, in each answering process."""
    gathered: list[int] = []
    vectors_of = Snapshot.vectors_of

    def noted(snapshot: Snapshot, rows: np.ndarray) -> np.ndarray:
        gathered.append(rows.size)
        return vectors_of(snapshot, rows)

    monkeypatch.setattr(Snapshot, "vectors_of", noted)
    fresh = replace(recommender, snapshot=replace(recommender.snapshot))
    held = set(vars(fresh.snapshot))
    ask(fresh, "user-03")
    assert gathered == []
    ask(fresh, "user-03", diversity=0.5, new_only=True)
    assert 0 < sum(gathered) <= DIVERSE_AMONG
    shape = (len(fresh.snapshot.catalog), fresh.snapshot.text_vectors.shape[1])
    arrays = (getattr(value, "vectors", value) for name, value in vars(fresh.snapshot).items() if name not in held)
    assert not any(getattr(value, "shape", None) == shape for value in arrays)


def test_explained_in_order_of_weight(recommender):
    explained, plain = ask(recommender, "user-03", explain=True), ask(recommender, "user-03")
    for item, same in zip(explained.items, plain.items, strict=True):
        sizes = [abs(value) for _, value in item.contributions]
        assert sizes == sorted(sizes, reverse=True)
        assert sizes[-1] > 0
        assert item.to_dict() == same.to_dict() | {"contributions": dict(item.contributions)}
    assert any(name.startswith("own_") for name, _ in explained.items[0].contributions)


def test_neighbours_of_an_item(recommender, shop):
    found = recommender.similar("sku-00", 39)
    assert found.items[0].item_id == "sku-01"  # the very same text
    assert found.items[0].score == pytest.approx(1, abs=1e-5)
    assert "sku-00" not in [item.item_id for item in found.items]
    assert [item.rank for item in found.items] == list(range(1, len(found.items) + 1))
    catalog = recommender.snapshot.catalog
    assert len(found.items) == int(catalog.available.sum()) - 1
    # Of the texts, with what was learned of the items themselves.
    vectors = recommender.snapshot.space[recommender.snapshot.text_of]
    for item in found.items:
        assert item.score == pytest.approx(float(vectors[0] @ vectors[catalog.rows([item.item_id])[0]]), abs=1e-5)
    with pytest.raises(DataError, match="'sku-99'"):
        recommender.similar("sku-99", 3)


@pytest.mark.parametrize("k", [41, 10**9])
def test_a_k_beyond_the_catalogue_gives_what_there_is(recommender, k):
    for user, history in ((None, ()), ("user-03", ()), (None, ("sku-03",))):
        assert len(ask(recommender, user, k=k, history=history).items) == 40 - (user is None) * len(history)
    assert len(recommender.similar("sku-00", k).items) == int(recommender.snapshot.catalog.available.sum()) - 1


def test_what_a_history_no_longer_holds_is_still_bought(recommender, shop, monkeypatch):
    """In every list of a batch, and in the reasons and their counts."""
    bought = {user: set(rows["item_id"]) for (user,), rows in shop.events.filter(event="purchase").group_by("user_id")}
    users = [user for user in EVERYBODY if user in bought]
    monkeypatch.setattr("features.data.histories.MAX_EVENTS", 1)
    for user, answer in zip(users, recommender.answer(RecommendOptions(k=40, new_only=True), users), strict=True):
        assert not bought[user] & set(ids(answer))
        assert ids(answer)
    for item in ask(recommender, users[0], k=40).items:
        check_reason(shop, item, users[0])
