"""Which customer gets which offer: a linear program over customers and offers, solved by HiGHS.

Offers are divisible only where a limit that all share is binding: of a vertex of the program, at most as many customers as there are such
limits have a fraction of an offer (Dantzig 1957 has it for one limit). They get none, so the limits hold and the loss is a few customers.
Whether an offer is used at all is decided by branching, because each that is used needs a group of customers.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import scipy.sparse as sp
from scipy.optimize import linprog

from features.errors import DataError

NONE = -1  # stands for no offer
_WHOLE = 1 - 1e-6  # a variable of the solver that is 1
_INFEASIBLE = 2  # status of scipy's linprog


@dataclass(frozen=True)
class ExposureLimit:
    """How far the share of a group's customers who get an offer may be from the share of all.

    Attributes
    ----------
    groups : int (n,), of each customer; `NONE` for customers of no group, who are not compared.
    gap : share, 0 to 1.
    """

    groups: np.ndarray
    gap: float


@dataclass(frozen=True)
class AllocationProblem:
    """Customers and offers.

    Attributes
    ----------
    values : float (n, m), expected profit of each offer to each customer, its cost taken off.
    costs : float (n, m), expected, not negative.
    budget : of all costs together.
    allowed : bool (n, m).
    min_group : an offer goes to at least as many customers, or to nobody.
    exposure : limits of sensitive attributes, each on all offers together.
    """

    values: np.ndarray
    costs: np.ndarray
    budget: float
    allowed: np.ndarray
    min_group: int = 1
    exposure: tuple[ExposureLimit, ...] = field(default=())

    def __post_init__(self) -> None:
        if self.values.shape != self.costs.shape or self.values.shape != self.allowed.shape:
            shapes = f"values {self.values.shape}, costs {self.costs.shape}, allowed {self.allowed.shape}"
            raise DataError(f"the plan's tables differ in shape: {shapes}, expected customers x offers")
        if (self.costs < 0).any():
            raise DataError(f"a cost is negative ({self.costs.min():g}), expected 0 or more: mend the offers' costs")
        if not self.budget >= 0:
            raise DataError(f"the budget is {self.budget:g}, expected 0 or more")


def allocate(problem: AllocationProblem) -> np.ndarray:
    """Return the offer of each customer, int64 (n,), `NONE` for none: the highest expected profit within all limits.

    Raises
    ------
    DataError
        If the solver stops without a plan.
    """
    # With limits of exposure it may pay to give an offer at a loss: it makes room for others.
    worth = problem.allowed & ((problem.values > 0) | bool(problem.exposure))
    customer, offer = np.nonzero(worth)
    found = None
    if len(customer) and problem.costs[worth].min() <= problem.budget:
        found = _branch(_Program(problem, customer, offer), frozenset(), frozenset())
    return np.full(len(problem.values), NONE, dtype=np.int64) if found is None else found


def _branch(program: _Program, closed: frozenset[int], used: frozenset[int]) -> np.ndarray | None:
    """Return the best plan with offers that nobody gets and offers that a whole group gets; None if there is none.

    Where an offer goes to fewer customers than its smallest group, either it is closed or its group is filled: the better plan counts.
    """
    plan = program.solve(closed, used)
    if plan is None:
        return None
    counts = np.bincount(plan[plan != NONE], minlength=program.problem.values.shape[1])
    small = [int(j) for j in np.flatnonzero((counts > 0) & (counts < program.problem.min_group)) if j not in used]
    if not small:
        return plan
    plans = [_branch(program, closed | {small[0]}, used), _branch(program, closed, used | {small[0]})]
    return max((plan for plan in plans if plan is not None), key=program.profit, default=None)


@dataclass(frozen=True)
class _Program:
    """The linear program; its variables are pairs of a customer and an offer.

    Attributes
    ----------
    customer, offer : int64 (k,), of each variable.
    """

    problem: AllocationProblem
    customer: np.ndarray
    offer: np.ndarray

    def profit(self, plan: np.ndarray) -> float:
        """Return the expected profit of a plan."""
        some = np.flatnonzero(plan != NONE)
        return float(self.problem.values[some, plan[some]].sum())

    def solve(self, closed: frozenset[int], used: frozenset[int]) -> np.ndarray | None:
        """Return the offers of customers without the closed offers and with a whole group of the used ones; None if that cannot be."""
        table, bounds = self._limits
        if used:
            offers = np.array(sorted(used))
            table = sp.vstack([table, -(self.offer[None] == offers[:, None]).astype(float)], format="csr")
            # The customers with a fraction, as many as there are shared limits, get nothing: the group must be large enough without.
            least = self.problem.min_group + self._shared + len(offers)
            bounds = np.concatenate([bounds, np.full(len(offers), -float(least))])
        highest = np.where(np.isin(self.offer, list(closed)), 0.0, 1.0)
        values = self.problem.values[self.customer, self.offer]
        box = np.column_stack([np.zeros(len(values)), highest])
        solved = linprog(-values, A_ub=table, b_ub=bounds, bounds=box, method="highs-ipm")
        if solved.status == _INFEASIBLE:
            return None
        if solved.x is None:
            raise DataError(f"the solver found no plan ({solved.message}): relax the smallest group or the limits of exposure")
        plan = np.full(len(self.problem.values), NONE, dtype=np.int64)
        whole = solved.x > _WHOLE
        plan[self.customer[whole]] = self.offer[whole]
        return plan

    @cached_property
    def _exposure(self) -> list[tuple[np.ndarray, float]]:
        return [row for limit in self.problem.exposure for row in _exposure_rows(limit, self.customer)]

    @property
    def _shared(self) -> int:
        return 1 + len(self._exposure)

    @cached_property
    def _limits(self) -> tuple[sp.csr_array, np.ndarray]:
        """One offer a customer, the budget, and the limits of exposure: coefficients and bounds from above."""
        n, k = len(self.problem.values), len(self.customer)
        each = sp.csr_array((np.ones(k), (self.customer, np.arange(k))), shape=(n, k))
        rows = [self.problem.costs[self.customer, self.offer], *(row for row, _ in self._exposure)]
        bounds = [self.problem.budget, *(gap for _, gap in self._exposure)]
        return sp.vstack([each, sp.csr_array(np.stack(rows))], format="csr"), np.concatenate([np.ones(n), bounds])


def _exposure_rows(limit: ExposureLimit, customer: np.ndarray) -> list[tuple[np.ndarray, float]]:
    """Return for each group, in each direction, the coefficients of its share less that of all, and the gap."""
    groups, counted = limit.groups, limit.groups != NONE
    rows = []
    for group in np.unique(groups[counted]):
        size = int((groups == group).sum())
        share = (groups[customer] == group) / size - counted[customer] / int(counted.sum())
        # The customers with a fraction, who get nothing, move a share by a customer or two.
        gap = max(0.0, limit.gap - 2 / size)
        rows += [(share, gap), (-share, gap)]
    return rows
