"""The allocation of offers."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.errors import DataError
from ranking.outcomes.allocation import NONE, AllocationProblem, ExposureLimit, allocate


def profit(problem: AllocationProblem, plan: np.ndarray) -> float:
    some = np.flatnonzero(plan != NONE)
    return float(problem.values[some, plan[some]].sum())


def cost(problem: AllocationProblem, plan: np.ndarray) -> float:
    some = np.flatnonzero(plan != NONE)
    return float(problem.costs[some, plan[some]].sum())


def drawn(seed: int, n: int = 60, m: int = 3, **limits: Any) -> AllocationProblem:
    rng = np.random.default_rng(seed)
    values, costs = rng.normal(0.3, 1, (n, m)), rng.uniform(0.1, 1, (n, m))
    return AllocationProblem(values, costs, 6.0, rng.random((n, m)) < 0.8, **limits)


def test_each_plan_of_a_small_shop_is_no_better() -> None:
    values, costs = np.array([[3.0, 2.0], [2.0, 2.5], [1.0, -1.0]]), np.array([[1.0, 1.0], [1.0, 1.0], [1.0, 0.1]])
    problem = AllocationProblem(values, costs, 2.0, np.array([[True, True], [True, True], [True, True]]))
    best = max(
        (np.array(plan) for plan in itertools.product((NONE, 0, 1), repeat=3) if cost(problem, np.array(plan)) <= 2.0),
        key=lambda plan: profit(problem, plan),
    )
    assert profit(problem, allocate(problem)) == pytest.approx(profit(problem, best))


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), min_group=st.sampled_from([1, 4, 12]), gap=st.sampled_from([None, 0.1, 0.3]))
def test_no_limit_is_broken(seed: int, min_group: int, gap: float | None) -> None:
    groups = np.random.default_rng(seed).integers(-1, 2, 60)
    problem = drawn(seed, min_group=min_group, exposure=() if gap is None else (ExposureLimit(groups, gap),))
    plan = allocate(problem)
    some = np.flatnonzero(plan != NONE)
    assert cost(problem, plan) <= problem.budget + 1e-9
    assert problem.allowed[some, plan[some]].all()
    counts = np.bincount(plan[some], minlength=3)
    assert ((counts == 0) | (counts >= min_group)).all()
    if gap is not None:
        told = groups != NONE
        for group in (0, 1):
            assert abs((plan[groups == group] != NONE).mean() - (plan[told] != NONE).mean()) <= gap + 1e-9


def test_the_solver_is_near_the_bound_and_ahead_of_the_greedy_one() -> None:
    problem = drawn(1, n=500)
    ratio = np.where(problem.allowed & (problem.values > 0), problem.values / problem.costs, -np.inf)
    offer = ratio.argmax(axis=1)
    order = np.argsort(-ratio.max(axis=1))
    sent = order[np.cumsum(problem.costs[order, offer[order]]) <= problem.budget]
    greedy = np.full(500, NONE)
    greedy[sent] = offer[sent]
    assert profit(problem, allocate(problem)) >= profit(problem, greedy)


@pytest.mark.parametrize("budget", [0.0, 0.05])
def test_without_a_budget_nobody_gets_anything(budget: float) -> None:
    problem = AllocationProblem(np.ones((4, 2)), np.full((4, 2), 0.1), budget, np.ones((4, 2), dtype=bool))
    assert (allocate(problem) == NONE).all()


def test_offers_that_cost_nothing_need_no_budget() -> None:
    problem = AllocationProblem(np.ones((4, 1)), np.zeros((4, 1)), 0.0, np.array([[True], [True], [False], [True]]))
    assert allocate(problem).tolist() == [0, 0, NONE, 0]


def test_a_group_that_cannot_be_filled_is_left_out() -> None:
    values = np.column_stack([np.full(20, 1.0), np.where(np.arange(20) < 3, 5.0, 0.1)])
    problem = AllocationProblem(values, np.full((20, 2), 0.5), 5.0, np.ones((20, 2), dtype=bool), min_group=8)
    counts = np.bincount(allocate(problem)[allocate(problem) != NONE], minlength=2)
    assert ((counts == 0) | (counts >= 8)).all()
    assert counts.sum() >= 8


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"costs": np.full((4, 2), -1.0)}, "a cost is negative"),
        ({"budget": -1.0}, "the budget is -1"),
        ({"budget": float("nan")}, "the budget is nan"),
        ({"allowed": np.ones((4, 1), dtype=bool)}, "differ in shape"),
    ],
)
def test_what_is_no_problem_is_refused(change: dict, said: str) -> None:
    given_ = {"values": np.ones((4, 2)), "costs": np.ones((4, 2)), "budget": 1.0, "allowed": np.ones((4, 2), dtype=bool)}
    with pytest.raises(DataError, match=said):
        AllocationProblem(**(given_ | change))
