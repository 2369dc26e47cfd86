"""Metrics of two variants' visits on paper; segments, first visits, covariates."""

import numpy as np
import pytest

from eval.baselines.registry import BaselinesConfig
from eval.simulation.visits import PRIMARY, Visits, known_before
from tests.eval.shops import at_day, log_of

NAN = float("nan")
# Day 10 is the first. u0 had 0 and comes on two days; u1 had 1 and 2 and comes on the second; u2 is new; u3 only
# views.
EVENTS = [
    *[("u0", 0, 1), ("u1", 1, 2), ("u1", 2, 3), ("u3", 1, 4)],
    *[("u0", 0, 10.5), ("u0", 3, 10.6), ("u0", 3, 11.2), ("u1", 4, 11.5), ("u2", 1, 11.7), ("u3", 2, 10.2, "view")],
]


def visits(lists_a, lists_b, horizon=1, events=EVENTS):
    log = log_of(events, 12)
    user = log.user_rows(["u0", "u3", "u0", "u1", "u2"])
    lists = {"a": np.array(lists_a), "b": np.array(lists_b)}
    return Visits(user, np.array([0, 0, 1, 1, 1]), lists, log, at_day(10), horizon)


def padded(*items):
    return [*items, *[-1] * (10 - len(items))]


A = [padded(0), padded(0), padded(3), padded(1), padded(1)]
NOTHING = [padded()] * 5


def test_lists_are_evaluated_on_the_purchases_of_that_day():
    earned = visits(A, NOTHING).earned("a")
    both = 1 + 1 / np.log2(3)
    assert earned[PRIMARY] == pytest.approx([1 / both, NAN, 1, 0, 1], nan_ok=True)
    assert earned["hit_rate@10"] == pytest.approx([1, NAN, 1, 0, 1], nan_ok=True)
    # u0 had 0 before the first day, and 3 before the second; u2 had nothing.
    assert earned["ndcg@10 repeat"] == pytest.approx([1, NAN, 1, NAN, NAN], nan_ok=True)
    assert earned["ndcg@10 new"] == pytest.approx([0, NAN, NAN, 0, 1], nan_ok=True)
    assert np.isnan(visits(A, NOTHING).earned("a")["revenue@10"]).all()  # no prices here


def test_a_longer_horizon_counts_what_is_bought_later():
    bought = visits(A, NOTHING, horizon=2).bought
    assert list(zip(bought.user.tolist(), bought.item.tolist(), strict=True)) == [(0, 0), (0, 3), (2, 3), (3, 4), (4, 1)]
    later = visits(A, NOTHING, horizon=2, events=[*EVENTS, ("u3", 2, 11.9), ("u0", 7, 12.5)]).bought
    assert {(1, 2), (2, 7)} <= set(zip(later.user.tolist(), later.item.tolist(), strict=True))
    assert (0, 7) not in set(zip(later.user.tolist(), later.item.tolist(), strict=True))


def test_revenue_is_what_was_paid():
    shop = visits(A, NOTHING)
    price = np.full(len(shop.log), np.nan)
    price[(shop.log.item == 0)] = 3.0
    price[(shop.log.item == 3)] = 1.0
    priced = type(shop)(shop.user, shop.day, shop.lists, type(shop.log)(**{**vars_of(shop.log), "price": price}), shop.start, 1)
    assert priced.earned("a")["revenue@10"] == pytest.approx([0.75, NAN, 1, NAN, NAN], nan_ok=True)


def vars_of(log):
    return {name: getattr(log, name) for name in log.__dataclass_fields__}


def test_users_count_once_however_many_visits():
    shop = visits(A, NOTHING)
    ids = shop.log.user_ids[shop.users].tolist()
    assert ids[0] == "u0"  # came first
    assert sorted(ids) == ["u0", "u1", "u2"]  # u3 bought nothing
    mean = dict(zip(ids, shop.by_user(shop.earned("a")["hit_rate@10"]), strict=True))
    assert mean == {"u0": 1, "u1": 0, "u2": 1}
    first = dict(zip(ids, shop.at_entry(shop.earned("a")["ndcg@10 repeat"]), strict=True))
    assert first["u0"] == 1
    assert shop.entry_day.tolist() == [0, 1, 1]


def test_segments_partition_the_users():
    shop = visits(A, NOTHING)
    ids = shop.log.user_ids[shop.users]
    who = {name: set(ids[inside]) for name, inside in shop.segments().items()}
    assert who == {"all": {"u0", "u1", "u2"}, "heavy": {"u1"}, "light": {"u0"}, "newcomers": {"u2"}}


def test_coverage_is_of_the_known_items():
    assert visits(A, NOTHING).coverage("a") == pytest.approx(3 / 4)  # of 0 to 3, sold before the last day, 0, 1 and 3 are shown
    assert visits(A, NOTHING).coverage("b") == 0


def test_covariates_do_not_see_the_simulated_days():
    shop = visits(A, NOTHING)
    known = known_before(shop.log, shop.start, shop.users, BaselinesConfig())
    other = log_of([*EVENTS[:4], *[(user, 9, 11.1) for user in ("u0", "u1", "u2", "u3")]], 12)
    again = known_before(other, shop.start, shop.users, BaselinesConfig())
    assert np.array_equal(known, again)
    assert (known[list(shop.log.user_ids[shop.users]).index("u2")] == 0).all()


def test_frequent_items_are_evaluated_before_the_start():
    events = [("u0", 0, day) for day in range(1, 60, 3)] + [("u1", day, day) for day in range(1, 60, 3)] + [("u0", 0, 61)]
    known = known_before(log_of(events, 60), at_day(60), np.array([0, 1]), BaselinesConfig())
    assert known[0, 3] == 1 > known[1, 3]
