"""Arranging a list: what each rule does, and that no rule is ever broken, whatever the rules and the list are."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.data.histories import Histories
from ranking.merchandising.arrange import Arranged, arrange_lists, beside, with_rows
from ranking.merchandising.facts import ActiveCampaign, ActiveLimit, ActiveRules
from retrieval.candidates import Candidates

N = 30
BRAND = np.arange(N) % 3
CHANCE = np.linspace(0.5, 0.01, N)


def mask(*rows: int) -> np.ndarray:
    return np.isin(np.arange(N), rows)


def limit(most: int, first: int | None = None, codes: np.ndarray = BRAND) -> ActiveLimit:
    return ActiveLimit("limit", codes, most, first)


def campaign(rows: tuple[int, ...], at_least: int, first: int) -> ActiveCampaign:
    return ActiveCampaign("campaign", mask(*rows), at_least, first, np.array(rows))


NOBODY = Histories.of_baskets([[]], 0)


def arrange(rows: np.ndarray, scores: np.ndarray, k: int, rules: ActiveRules) -> Arranged:
    """One list, as `arrange_lists` arranges it among others."""
    found = Candidates(NOBODY, rows[None], scores[None], {"place": np.arange(len(rows), dtype=np.float32)[None]})
    lists, (names,) = arrange_lists(found, k, rules)
    shown = lists.rows[0] >= 0
    return Arranged(lists.rows[0][shown], lists.features["place"][0][shown].astype(np.int64), names)


def listed(rules: ActiveRules, k: int = 6, rows: np.ndarray | None = None, scores: np.ndarray | None = None) -> Arranged:
    rows = np.arange(12) if rows is None else rows
    return arrange(rows, CHANCE[rows] if scores is None else scores, k, rules)


def test_without_rules_a_list_stays() -> None:
    one = listed(ActiveRules(), rows=np.array([4, 2, 9, -1, -1]))
    assert (one.rows.tolist(), one.places.tolist(), one.rules) == ([4, 2, 9], [0, 1, 2], (None, None, None))


@pytest.mark.parametrize(
    ("pins", "expected"),
    [
        ({1: (7, "a")}, [7, 0, 1, 2, 3, 4]),
        ({3: (0, "a")}, [1, 2, 0, 3, 4, 5]),
        ({6: (9, "a"), 2: (8, "b")}, [0, 8, 1, 2, 3, 9]),
        ({9: (7, "a")}, [0, 1, 2, 3, 4, 5]),  # behind the list
        ({1: (20, "a")}, [0, 1, 2, 3, 4, 5]),  # no candidate: it may not be shown
    ],
)
def test_a_pinned_item_stands_at_its_position(pins: dict[int, tuple[int, str]], expected: list[int]) -> None:
    one = listed(ActiveRules(pins=pins))
    assert one.rows.tolist() == expected
    assert {place + 1: name for place, name in enumerate(one.rules) if name} == {
        position: name for position, (row, name) in pins.items() if position <= 6 and row < 12
    }


def test_a_list_that_is_shorter_than_a_pins_position_ends_with_it() -> None:
    one = listed(ActiveRules(pins={5: (2, "a")}, limits=(limit(1),)), rows=np.arange(9))
    assert one.rows.tolist() == [0, 1, 2]
    assert one.rules == (None, None, "a")


@pytest.mark.parametrize(
    ("factors", "expected", "moved"),
    [
        ([("up", (5,), 100.0)], [5, 0, 1, 2, 3, 4], {5: "up"}),
        ([("down", (0,), 0.0)], [1, 2, 3, 4, 5, 6], {}),
        ([("down", (0,), 0.95)], [1, 0, 2, 3, 4, 5], {0: "down"}),
        ([("up", (0,), 2.0)], [0, 1, 2, 3, 4, 5], {}),  # it stands where the ranking has it
        ([("up", (4, 5), 50.0), ("more", (5,), 100.0)], [5, 4, 0, 1, 2, 3], {5: "more", 4: "up"}),
    ],
)
def test_factors_move_items(factors: list[Any], expected: list[int], moved: dict[int, str]) -> None:
    one = listed(ActiveRules(factors=tuple((name, mask(*rows), factor) for name, rows, factor in factors)))
    assert one.rows.tolist() == expected
    assert {row: name for row, name in zip(one.rows.tolist(), one.rules, strict=True) if name} == moved


def test_expected_profit_orders_by_probability_times_margin() -> None:
    margin = np.ones(N)
    margin[5], margin[0] = 10.0, -1.0
    one = listed(ActiveRules(value=margin))
    assert one.rows.tolist() == [5, 1, 2, 3, 4, 6], "what loses money is last"
    assert one.rules == ("objective", None, None, None, None, "objective"), "the last one gains the place of what loses money"
    both = listed(ActiveRules(value=margin, factors=(("up", mask(6), 100.0),)))
    assert both.rows.tolist()[:2] == [6, 5]
    assert both.rules[:2] == ("up", "objective")


@pytest.mark.parametrize(
    ("loser", "factor", "expected"),
    [
        (2, 100.0, [0, 2, 1]),  # boosted: above the smaller loss
        (1, 0.05, [0, 2, 1]),  # buried: below the larger loss
        (1, 0.0, [0, 2, 1]),  # behind all others
        (0, 0.0, [1, 2, 0]),  # also what earns money
    ],
)
def test_a_factor_moves_what_loses_money_as_it_moves_the_rest(loser: int, factor: float, expected: list[int]) -> None:
    margin = np.where(np.arange(N) == 1, -0.2, np.where(np.arange(N) == 2, -1.0, 1.0))
    assert listed(ActiveRules(value=margin), rows=np.arange(3)).rows.tolist() == [0, 1, 2]
    one = listed(ActiveRules(value=margin, factors=(("it", mask(loser), factor),)), rows=np.arange(3))
    assert one.rows.tolist() == expected
    assert factor < 1 or one.rules == (None, "it", None)


def test_a_list_that_is_not_in_the_order_of_its_scores_keeps_it() -> None:
    rows, scores = np.array([3, 0, 2, 1]), np.array([0.1, 0.4, 0.2, 0.3])
    assert listed(ActiveRules(value=np.ones(N)), rows=rows, scores=scores).rows.tolist() == [3, 0, 2, 1]
    assert listed(ActiveRules(factors=(("up", mask(1), 5.0),)), rows=rows, scores=scores).rows.tolist() == [1, 3, 0, 2]


@pytest.mark.parametrize(
    "scores", [np.array([-1.0, -2.0, -3.0]), np.zeros(3), np.array([np.nan, np.nan, np.nan]), np.array([2.0, 1.0, np.nan])]
)
def test_scores_that_are_no_probabilities_can_be_weighed(scores: np.ndarray) -> None:
    one = listed(ActiveRules(factors=(("up", mask(2), 100.0),)), rows=np.arange(3), scores=scores)
    assert one.rows.tolist() == [2, 0, 1]


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        (ActiveRules(limits=(limit(1, first=3),)), [0, 1, 2, 3, 4, 5]),
        (ActiveRules(limits=(limit(1, first=4, codes=np.arange(N) // 3),)), [0, 3, 6, 9, 1, 2]),
        (ActiveRules(limits=(limit(2),)), [0, 1, 2, 3, 4, 5]),
        (ActiveRules(limits=(limit(1),)), [0, 1, 2]),  # shorter, for a limit holds
        (ActiveRules(limits=(limit(0, codes=np.where(np.arange(N) < 3, 0, -1)),)), [3, 4, 5, 6, 7, 8]),
        (ActiveRules(pins={5: (6, "a")}, limits=(limit(1, first=5, codes=np.arange(N) // 6),)), [0]),
        (ActiveRules(pins={2: (3, "a")}, limits=(limit(1, first=3),)), [1, 3, 2, 0, 4, 5]),  # the pin is counted before it is reached
    ],
)
def test_limits_hold(rules: ActiveRules, expected: list[int]) -> None:
    assert listed(rules).rows.tolist()[: len(expected)] == expected
    assert len(listed(rules).rows) <= 6


@pytest.mark.parametrize(
    ("rules", "expected", "names"),
    [
        (ActiveRules(campaigns=(campaign((8, 10), 1, 4),)), [0, 1, 2, 8, 3, 4], {8}),
        (ActiveRules(campaigns=(campaign((8, 10), 2, 4),)), [0, 1, 8, 10, 2, 3], {8, 10}),
        (ActiveRules(campaigns=(campaign((1, 8), 1, 4),)), [0, 1, 2, 3, 4, 5], set()),  # it is there by itself
        (ActiveRules(campaigns=(campaign((8,), 3, 4),)), [0, 1, 2, 8, 3, 4], {8}),  # it has no more
        (ActiveRules(campaigns=(campaign((25,), 1, 4),)), [0, 1, 2, 3, 4, 5], set()),
        (ActiveRules(pins={4: (9, "a")}, campaigns=(campaign((8,), 1, 4),)), [0, 1, 8, 9, 2, 3], {8}),
        (ActiveRules(campaigns=(campaign((8,), 1, 2), campaign((9,), 1, 2))), [8, 9, 0, 1, 2, 3], {8, 9}),
    ],
)
def test_a_campaign_has_its_places(rules: ActiveRules, expected: list[int], names: set[int]) -> None:
    one = listed(rules)
    assert one.rows.tolist() == expected
    assert {row for row, name in zip(one.rows.tolist(), one.rules, strict=True) if name == "campaign"} == names


def drawn(rng: np.random.Generator) -> ActiveRules:
    """Random rules over N items; pins that a limit forbids are conflicts, and left out."""
    limits = tuple(
        ActiveLimit(f"limit {i}", rng.integers(-1, 4, N), int(rng.integers(1, 4)), (None, 5, 8)[int(rng.integers(3))])
        for i in range(int(rng.integers(3)))
    )
    pins: dict[int, tuple[int, str]] = {}
    for i, row in enumerate(rng.permutation(N)[: int(rng.integers(4))].tolist()):
        pins[int(rng.integers(1, 12))] = (row, f"pin {i}")
    for one in limits:
        for code in range(4):
            held = [position for position, (row, _) in sorted(pins.items()) if one.codes[row] == code and position <= (one.first or N)]
            for position in held[one.most :]:
                del pins[position]
    factors = tuple((f"factor {i}", rng.random(N) < 0.3, float(rng.choice([0, 0.5, 2, 10]))) for i in range(int(rng.integers(3))))
    campaigns = tuple(
        ActiveCampaign(f"campaign {i}", members, int(rng.integers(1, 4)), int(rng.integers(4, 10)), np.flatnonzero(members))
        for i in range(int(rng.integers(2)))
        for members in [rng.random(N) < 0.2]
    )
    return ActiveRules(pins, factors, limits, campaigns, rng.normal(1, 1, N) if rng.random() < 0.3 else None)


def broken(one: Arranged, rows: np.ndarray, k: int, rules: ActiveRules) -> str | None:
    """What a list breaks; None if it keeps all."""
    got = one.rows.tolist()
    if len(set(got)) != len(got) or not set(got) <= set(rows[rows >= 0].tolist()) or len(got) > k:
        return "an item twice, one that was not given, or more than k"
    if rows[one.places].tolist() != got or len(one.rules) != len(got):
        return "places or rules do not belong to the rows"
    whole = len(got) == min(k, int((rows >= 0).sum()))
    if not rules.limits and not whole:
        return "shorter without a limit"
    for position, (row, name) in rules.pins.items():
        if whole and row in rows and position <= len(got) and (got[position - 1] != row or one.rules[position - 1] != name):
            return "a pin is elsewhere"
    for limited in rules.limits:
        counts = np.bincount(limited.codes[one.rows[: limited.first or k]] + 1, minlength=1)[1:]
        if counts.max(initial=0) > limited.most:
            return "a limit is exceeded"
    if not rules.limits:
        for wanted in rules.campaigns:
            window = min(wanted.first, len(got))
            pinned = sum(position <= window and row in rows for position, (row, _) in rules.pins.items())
            later = sum(wanted.mask[row] and row in rows for position, (row, _) in rules.pins.items() if window < position <= len(got))
            most = min(wanted.at_least, int(wanted.mask[rows[rows >= 0]].sum()) - later, window - pinned)
            if wanted.mask[one.rows[:window]].sum() < most:
                return "a campaign lacks places"
    return None


def test_no_rule_is_broken_in_ten_thousand_lists() -> None:
    rng = np.random.default_rng(0)
    seen = {"pins": 0, "limits": 0, "campaigns": 0, "shorter": 0}
    for _ in range(10_000):
        rules, k = drawn(rng), int(rng.integers(1, 12))
        rows = np.concatenate([rng.permutation(N)[: int(rng.integers(N))], [-1] * int(rng.integers(3))]).astype(np.int64)
        one = arrange(rows, np.where(rows >= 0, rng.random(len(rows)), -np.inf), k, rules)
        assert (said := broken(one, rows, k, rules)) is None, (said, rules, rows, k, one)
        seen["pins"] += any(name is not None and name.startswith("pin") for name in one.rules)
        seen["limits"] += bool(rules.limits)
        seen["campaigns"] += any(name is not None and name.startswith("campaign") for name in one.rules)
        seen["shorter"] += len(one.rows) < min(k, int((rows >= 0).sum()))
    assert min(seen.values()) > 100, "each kind is among them"


@given(st.permutations(range(N)), st.integers(0, N), st.integers(1, 12), st.integers(0, 2**31))
def test_no_rule_is_broken(rows: list[int], n: int, k: int, seed: int) -> None:
    rules, given_rows = drawn(np.random.default_rng(seed)), np.array(rows[:n], dtype=np.int64)
    assert broken(arrange(given_rows, CHANCE[:n], k, rules), given_rows, k, rules) is None


def candidates(rows: list[list[int]], **features: list[list[float]]) -> Candidates:
    users = Histories.of_baskets([[] for _ in rows], 0)
    scores = np.where(np.array(rows) >= 0, 0.5, -np.inf).astype(np.float32)
    return Candidates(users, np.array(rows), scores, {name: np.array(column, dtype=np.float32) for name, column in features.items()})


def test_lists_of_several_users_are_arranged_each_for_itself() -> None:
    found = candidates([[0, 1, 2, 3], [5, 4, -1, -1]], x=[[0, 1, 2, 3], [5, 4, np.nan, np.nan]])
    lists, names = arrange_lists(found, 3, ActiveRules(pins={1: (4, "a")}))
    assert lists.rows.tolist() == [[0, 1, 2], [4, 5, -1]]
    assert names == [(None, None, None), ("a", None)]
    assert lists.features["x"][1, :2].tolist() == [4, 5]
    back, _ = arrange_lists(found, 3, ActiveRules(pins={1: (4, "a")}), lambda one: one.take(np.array([[3, 2, 1, 0], [0, 1, -1, -1]])))
    assert back.rows.tolist() == [[3, 2, 1], [4, 5, -1]]


def test_wanted_items_join_the_lists_that_lack_them() -> None:
    found = candidates([[0, 1, -1], [3, 7, 2]], x=[[0, 1, np.nan], [3, 7, 2]])
    rows = beside(found, np.array([2, 7, 9]), np.arange(N) != 9)
    assert rows.tolist() == [[2, 7, -1], [-1, -1, -1]]
    both = with_rows(found, candidates(rows.tolist(), y=[[2, 7, np.nan]] * 2))
    assert both.rows.tolist() == [[0, 1, 2, 7, -1, -1], [3, 7, 2, -1, -1, -1]]
    assert np.isnan(both.features["y"][0, :2]).all()
    assert both.features["y"][0, 2:4].tolist() == [2, 7]


def test_pins_behind_a_short_list_move_up_to_its_end() -> None:
    one = listed(ActiveRules(pins={5: (0, "five"), 6: (1, "six"), 9: (2, "nine")}), k=6, rows=np.arange(4))
    assert one.rows.tolist() == [2, 3, 0, 1]
    assert one.rules == (None, None, "five", "six")
