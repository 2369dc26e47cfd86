"""Complements: beyond chance, together and not instead, and never what the basket holds."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.data.histories import Histories
from features.names import COMPLEMENT_SCORE
from retrieval.related.complements import ComplementRetriever, Complements, ComplementsConfig
from retrieval.related.purchases import Baskets
from retrieval.related.substitutes import SameCustomers
from tests.retrieval.related.shops import log_of, texts_of

PASTA, SAUCE, RED, WHITE, BREAD, RARE = range(6)
PLAIN = ComplementsConfig(half_life=None, shrinkage=0.0)
# Texts: the two wines are near, the rest is apart. Pasta and sauce are of other categories.
TEXTS = texts_of([0, 1, 2, 2, 3, 4], [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0.1], [0, 0, 1, 0], [0, 0, 0, 1], [1, 1, 0, 0]])


def shop(wine_together: bool = True):
    """Twenty customers buy pasta with sauce on even weeks, both wines, and bread each time by itself."""
    rows = []
    for user in range(20):
        name = f"u{user:02}"
        rows += [(name, PASTA, 14), (name, SAUCE, 14), (name, PASTA, 42), (name, SAUCE, 42)]
        rows += [(name, RED, 20), (name, WHITE, 20 if wine_together else 21 + user % 3)]
        rows += [(name, BREAD, day) for day in (3, 14, 25, 30)]
    return log_of([*rows, ("u00", RARE, 14)], 6)


def basket(*rows: int) -> Histories:
    return Histories.of_baskets([list(rows)], 100)


def test_a_complement_is_what_joint_baskets_add_to_chance():
    log = shop()
    weights = Complements.fit(log, TEXTS, PLAIN).weights.toarray()
    n = len(Baskets.of(log))
    assert n == 120
    assert weights[PASTA, SAUCE] == pytest.approx(1 - 40 / n), "all 40 baskets with pasta hold sauce"
    assert weights[PASTA, BREAD] == 0, "20 of 40 are fewer than the 80 of 120 that chance gives"
    assert weights[RARE].sum() == weights[:, RARE].sum() == 0, "one basket says nothing"
    assert not weights.diagonal().any()


def test_shrinkage_lowers_what_few_baskets_promise():
    weights = Complements.fit(shop(), TEXTS, PLAIN.model_copy(update={"shrinkage": 40.0})).weights.toarray()
    assert weights[PASTA, SAUCE] == pytest.approx((40 - 40 * 40 / 120) / 80)


def test_items_of_a_category_with_near_texts_are_substitutes_however_often_they_meet():
    weights = Complements.fit(shop(), TEXTS, PLAIN).weights.toarray()
    assert weights[RED, WHITE] == weights[WHITE, RED] == 0
    apart = texts_of([0, 1, 2, 5, 3, 4], TEXTS.vectors.tolist())
    assert Complements.fit(shop(), apart, PLAIN).weights.toarray()[RED, WHITE] > 0, "of other categories they may be complements"


def test_items_of_a_category_that_the_same_customers_buy_apart_are_substitutes():
    far = texts_of([0, 1, 2, 2, 3, 4], np.eye(6).tolist())
    together = Complements.fit(shop(), far, PLAIN).weights.toarray()[RED, WHITE]
    # Three joint baskets of twenty customers remain: more than chance among all baskets, less than among each customer's own.
    rows = [(f"u{user:02}", item, 20) for user in range(3) for item in (RED, WHITE)]
    rows += [(f"u{user:02}", item, day) for user in range(20) for item, day in ((RED, 30), (WHITE, 31), (RED, 32), (WHITE, 33))]
    rows += [(f"v{user:02}", BREAD, day) for user in range(80) for day in range(10)]
    log = log_of(rows, 6)
    assert SameCustomers.of(Baskets.of(log)).expected(np.array([RED]), np.array([WHITE]))[0] > 3
    assert together > 0
    assert Complements.fit(log, far, PLAIN).weights.toarray()[RED, WHITE] == 0
    others = texts_of([0, 1, 2, 5, 3, 4], np.eye(6).tolist())
    assert Complements.fit(log, others, PLAIN).weights.toarray()[RED, WHITE] > 0


def test_recent_baskets_count_more():
    early = [(f"u{user}", item, user) for user in range(30) for item in (PASTA, SAUCE)]
    late = [(f"u{user}", item, 400 + user) for user in range(30) for item in (PASTA, RED)]
    noise = [(f"v{user}", BREAD, day) for user in range(30) for day in (10, 410)]
    log = log_of(early + late + noise, 6)
    equal = Complements.fit(log, TEXTS, PLAIN).weights.toarray()
    aged = Complements.fit(log, TEXTS, ComplementsConfig(half_life=100)).weights.toarray()
    assert equal[PASTA, SAUCE] == pytest.approx(equal[PASTA, RED])
    assert aged[PASTA, RED] > 5 * aged[PASTA, SAUCE]


def test_only_the_strongest_are_kept():
    rows = [(f"u{user}", item, 1) for user in range(20) for item in range(5) if user >= item]
    log = log_of([*rows, *((f"v{user}", 5, 1) for user in range(20))], 6)
    apart = texts_of(list(range(6)), np.eye(6).tolist())
    weights = Complements.fit(log, apart, PLAIN.model_copy(update={"keep": 2})).weights
    assert np.diff(weights.indptr).max() == 2
    assert np.flatnonzero(weights.toarray()[4]).tolist() == [2, 3], "all share 16 baskets, and of these two fewer are by chance"
    equal = [(f"u{user}", item, 1) for user in range(20) for item in range(4)]
    weights = Complements.fit(log_of([*equal, ("v", 5, 1)], 6), apart, PLAIN.model_copy(update={"keep": 2})).weights
    assert np.flatnonzero(weights.toarray()[3]).tolist() == [0, 1], "ties go to the first row"


def test_lists_leave_out_the_basket_what_is_not_allowed_and_substitutes_of_any_item():
    weights = np.zeros((6, 6), dtype=np.float32)
    weights[PASTA, [SAUCE, RED, WHITE]] = [0.5, 0.4, 0.3]
    weights[SAUCE, [PASTA, BREAD]] = [0.6, 0.2]
    fitted = Complements.fit(shop(), TEXTS, PLAIN)
    row = ComplementRetriever(Complements(type(fitted.weights)(weights), fitted.weighting), TEXTS)
    found = row.retrieve(Histories.of_baskets([[PASTA], [PASTA, SAUCE], [PASTA, WHITE], [], [RARE]], 100), 4)
    assert found.rows.tolist() == [[SAUCE, RED, WHITE, -1], [RED, WHITE, BREAD, -1], [SAUCE, -1, -1, -1], [-1] * 4, [-1] * 4]
    np.testing.assert_allclose(found.scores[0, :3], [0.5, 0.4, 0.3])
    np.testing.assert_array_equal(found.features[COMPLEMENT_SCORE][0, :3], found.scores[0, :3])
    allowed = np.ones(6, dtype=bool)
    allowed[RED] = False
    assert row.retrieve(basket(PASTA), 4, allowed).rows.tolist() == [[SAUCE, WHITE, -1, -1]]
    assert row.retrieve(basket(PASTA), 4, allowed[None]).rows.tolist() == [[SAUCE, WHITE, -1, -1]]


def test_files_hold_all_of_it():
    fitted = Complements.fit(shop(), TEXTS)
    again = Complements.from_files(fitted.to_files())
    np.testing.assert_array_equal(again.weights.toarray(), fitted.weights.toarray())
    assert fitted.weights.nnz > 0


def test_a_log_without_purchases_or_with_rare_ones_has_none():
    log = log_of([("a", 0, 1), ("a", 1, 1)], 6)
    assert Complements.fit(log, TEXTS).weights.nnz == 0
    assert Complements.fit(log.where(np.zeros(2, dtype=bool)), TEXTS).weights.shape == (6, 6)


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 4), st.integers(0, 5), st.integers(0, 6)), min_size=1, max_size=80),
    st.lists(st.lists(st.integers(0, 5), max_size=4), min_size=1, max_size=4),
    st.lists(st.booleans(), min_size=6, max_size=6),
)
def test_whatever_was_bought_a_list_keeps_its_promises(rows, baskets, allowed):
    log = log_of([(f"u{user}", item, day) for user, item, day in rows], 6)
    config = ComplementsConfig(least_baskets=1, least_together=0, half_life=None, shrinkage=1)
    row = ComplementRetriever(Complements.fit(log, TEXTS, config), TEXTS)
    users, permitted = Histories.of_baskets(baskets, 100), np.array(allowed)
    found = row.retrieve(users, 3, permitted)
    for place, basket_rows in enumerate(baskets):
        listed = found.rows[place][found.valid[place]]
        assert len(set(listed.tolist())) == len(listed)
        assert not set(listed.tolist()) & set(basket_rows)
        assert permitted[listed].all()
        assert not TEXTS.any_near(listed, np.array(basket_rows, dtype=np.int64), config.near).any()
        assert (np.diff(found.scores[place][found.valid[place]]) <= 0).all()
        alone = row.retrieve(users.take(np.array([place])), 3, permitted)
        assert alone.rows[0].tolist() == found.rows[place].tolist(), "a list does not depend on its batch"
