"""Buying again: gaps shrunk by hand, survival curves, and lists of what is due."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.data.histories import Histories
from features.data.interactions import DAY
from features.data.times.step_time import with_step_time
from features.names import DUE_CHANCE, DUE_IN_DAYS, NEXT_IN_DAYS
from retrieval.related.buy_again import BuyAgain, BuyAgainConfig
from retrieval.related.survival import RATIOS, last_share, survival, survival_at
from tests.retrieval.related.shops import log_of

WEEKLY, MONTHLY, ONCE, OTHER = range(4)
CATEGORY = np.array([0, 1, 2, 0])
NOW = 200 * DAY


def rows(users: int = 30) -> list[tuple[str, int, float]]:
    """Each customer buys one item about every 7 days and another about every 30, on days of their own, and a third one once."""
    draw, found = np.random.default_rng(0), []
    for user in range(users):
        for item, gap in ((WEEKLY, 7), (MONTHLY, 30)):
            day = draw.integers(gap)
            while day < 200:
                found.append((f"u{user:02}", item, day + 0.5))
                day += max(1, gap + draw.integers(-gap // 5, gap // 5 + 1))
        found.append((f"u{user:02}", ONCE, float(draw.integers(100))))
    return found


LOG = log_of(rows(), 4)
MODEL = BuyAgain.fit(LOG, CATEGORY, NOW)


def history(*days: float, item: int = WEEKLY, now: int = NOW) -> Histories:
    """A customer who bought an item so many days before now."""
    log = log_of([("a", item, now / DAY - day) for day in days], 4)
    return Histories.of_users(log, np.array([0]), now)


def test_the_usual_gap_is_the_items_mixed_with_its_categorys():
    config = BuyAgainConfig(item_prior=3, category_prior=2)
    log = log_of([("a", 0, 1), ("a", 0, 5), ("a", 1, 1), ("a", 1, 17), ("b", 3, 1), ("b", 3, 2), ("b", 2, 2)], 4)
    gap = np.log(BuyAgain.fit(log, CATEGORY, 20 * DAY, config).gap)
    logs = np.log([4, 16, 1])
    shop = logs.mean()
    drinks, other = (logs[0] + logs[2] + 2 * shop) / 4, (logs[1] + 2 * shop) / 3
    np.testing.assert_allclose(gap, [(logs[0] + 3 * drinks) / 4, (logs[1] + 3 * other) / 4, shop, (logs[2] + 3 * drinks) / 4], rtol=1e-5)


def test_a_customer_with_own_gaps_is_expected_by_them():
    model = BuyAgain.fit(LOG, CATEGORY, NOW)
    slow = model.due(history(42, 28, 14, 0.2)).due_in[0]
    usual = model.due(history(0.2)).due_in[0]
    expected = np.exp((3 * np.log(14) + 4 * np.log(model.gap[WEEKLY])) / 7)
    assert slow == pytest.approx(expected, abs=1.1)
    assert usual == pytest.approx(model.gap[WEEKLY], abs=1.1)
    assert usual < slow


def test_what_is_over_its_gap_is_overdue():
    found = MODEL.due(history(*(7.0 * i + 8.5 for i in range(9))))
    assert -4 < found.due_in[0] < -1
    assert 0 <= found.next_in[0] <= 56
    assert 0 < found.chance[0] <= 1


def test_the_chance_rises_until_the_gap_is_over():
    chances = [MODEL.due(history(*(7.0 * i + since for i in range(9)))).chance[0] for since in (0.5, 3.5, 6.5)]
    late = MODEL.due(history(*(30.0 * i + 2 for i in range(6)), item=MONTHLY)).chance[0]
    assert chances[0] < chances[1]
    assert late < 0.2
    assert chances[-1] > 0.8


def test_lists_hold_what_is_likely_soon_and_nothing_else():
    users = Histories.of_users(LOG, np.arange(LOG.n_users), NOW)
    found = MODEL.retrieve(users, 4)
    assert set(found.rows[found.valid].tolist()) <= {WEEKLY, MONTHLY}, "what nobody buys again is given up"
    assert np.isfinite(found.features[DUE_IN_DAYS][found.valid]).all()
    assert found.valid.any(axis=1).mean() > 0.9
    np.testing.assert_array_equal(found.features[DUE_CHANCE][found.valid], found.scores[found.valid])
    assert np.isfinite(found.features[NEXT_IN_DAYS][found.valid]).all()
    allowed = np.array([False, True, True, True])
    assert WEEKLY not in MODEL.retrieve(users, 4, allowed).rows
    each = np.broadcast_to(allowed, (len(users), 4))
    np.testing.assert_array_equal(MODEL.retrieve(users, 4, allowed).rows, MODEL.retrieve(users, 4, each).rows)


def test_who_has_left_is_not_reminded():
    assert not MODEL.retrieve(history(190, 183, 176), 4).valid.any()


@pytest.mark.parametrize(
    ("log", "why"),
    [
        (log_of([(f"u{user}", user % 4, day) for day, user in enumerate(range(40))], 4), "nobody buys again"),
        (with_step_time(LOG, "steps"), "no calendar"),
        (LOG.where(np.zeros(len(LOG), dtype=bool)), "no purchases"),
    ],
)
def test_shops_without_repeat_purchases_have_no_such_list(log, why):
    model = BuyAgain.fit(log, CATEGORY, NOW)
    assert not model.retrieve(Histories.of_users(log, np.arange(log.n_users), NOW), 3).valid.any(), why


def test_unknown_visitors_and_those_who_only_looked_have_none():
    looked = replace(history(7.0), event=np.array([2], dtype=np.int8))
    for users in (Histories.of_baskets([[]], NOW), looked):
        assert not MODEL.retrieve(users, 3).valid.any()


def test_nothing_after_the_cut_is_learned():
    early = BuyAgain.fit(LOG, CATEGORY, 100 * DAY)
    cut = BuyAgain.fit(LOG.between(None, 100 * DAY), CATEGORY, 100 * DAY)
    for name in ("gap", "kind", "survival"):
        np.testing.assert_array_equal(getattr(early, name), getattr(cut, name))


def test_files_hold_all_of_it():
    again = BuyAgain.from_files(MODEL.to_files())
    users = Histories.of_users(LOG, np.arange(LOG.n_users), NOW)
    np.testing.assert_array_equal(again.retrieve(users, 3).rows, MODEL.retrieve(users, 3).rows)
    assert again.config == MODEL.config
    assert not BuyAgain.from_files(BuyAgain.nothing().to_files()).retrieve(users, 3).valid.any()


def test_censored_gaps_count_as_long_as_they_lasted():
    # Of four gaps two end after 1 usual gap, one leaves at 2 and one ends at 3: 1/2 outlives 1, and nothing 3.
    curve = survival(np.array([1.0, 1.0, 2.0, 3.0]), np.array([True, True, False, True]), np.zeros(4, dtype=np.int64), 2)
    stratum = np.zeros(3, dtype=np.int64)
    np.testing.assert_allclose(survival_at(curve, stratum, np.array([0.9, 1.1, 2.9])), [1, 0.5, 0.5], atol=0.02)
    assert survival_at(curve, stratum[:1], np.array([3.2]))[0] == 0
    assert curve[1].tolist() == curve[0].tolist(), "a stratum without gaps has the curve of all"


@given(st.lists(st.tuples(st.floats(0, 60), st.booleans(), st.integers(0, 2)), min_size=1, max_size=60), st.floats(0.01, 0.99))
def test_curves_fall_and_are_inverted(gaps, share):
    ratio, ended, stratum = (np.array(column) for column in zip(*gaps, strict=True))
    curves = survival(ratio, ended, stratum, 3)
    assert ((curves >= 0) & (curves <= 1)).all()
    assert (np.diff(curves, axis=1) <= 1e-6).all()
    each = np.arange(3)
    wanted = np.maximum(np.full(3, share), curves[:, -1] + 1e-3)
    at = last_share(curves, each, np.minimum(wanted, 1.0))
    assert ((at >= 0) & (at <= RATIOS[-1])).all()
    np.testing.assert_allclose(survival_at(curves, each, at), np.minimum(wanted, 1.0), atol=1e-4)
