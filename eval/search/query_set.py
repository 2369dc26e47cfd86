"""Queries with what is relevant to each: what a search is judged on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from features.storage.sorted_unique import sorted_unique

if TYPE_CHECKING:
    from eval.metrics.judged import Judgments

# Queries, the user of each (None: unknown), k -> catalogue rows int (b, k), best first, padded with -1.
SearchRun = Callable[[Sequence[str], Sequence[str | None], int], np.ndarray]


@dataclass(frozen=True)
class QuerySet:
    """Queries, who asks them, and graded judgments.

    Attributes
    ----------
    name : how the queries were made: "judged", "personal", "log"
    queries : text of each, as typed
    users : external id of who asks it; None for an unknown visitor
    judgments : of these queries; their rating says how relevant an item is
    slices : name -> bool (b,), the queries of a kind
    notes : what was left out or guessed, one line each
    """

    name: str
    queries: tuple[str, ...]
    users: tuple[str | None, ...]
    judgments: Judgments
    slices: Mapping[str, np.ndarray] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        lengths = {len(self.queries), len(self.users), self.judgments.pairs.n_users, *map(len, self.slices.values())}
        if len(lengths) > 1:
            raise ValueError(f"queries, users, judgments and slices have the lengths {sorted(lengths)}, expected one")

    def __len__(self) -> int:
        return len(self.queries)

    @property
    def asked(self) -> tuple[tuple[str, ...], tuple[str | None, ...]]:
        """The queries and who asks them."""
        return self.queries, self.users

    @property
    def judged_queries(self) -> int:
        """Number of queries with something relevant: the others are left out of most metrics."""
        return int((self.judgments.relevant.counts > 0).sum())

    @cached_property
    def clusters(self) -> np.ndarray | None:
        """What the bootstrap draws as a whole, int64 (b,): all queries of a customer; None where every query stands alone."""
        if not any(user is not None for user in self.users):
            return None
        names = [f"user {user}" if user is not None else f"query {i}" for i, user in enumerate(self.users)]
        return np.unique(names, return_inverse=True)[1]

    def with_slices(self, slices: Mapping[str, np.ndarray], *notes: str) -> QuerySet:
        """Return the same queries with more slices; slices without a query are left out."""
        found = {name: members for name, members in slices.items() if members.any()}
        return replace(self, slices={**self.slices, **found}, notes=(*self.notes, *notes))

    def asked_by_nobody(self) -> QuerySet:
        """Return the same queries and judgments as asked by unknown visitors."""
        return replace(self, users=(None,) * len(self))


def sample(places: np.ndarray, most: int, seed: int) -> np.ndarray:
    """Return at most so many of some places, drawn without replacement, in ascending order."""
    if len(places) <= most:
        return sorted_unique(places)
    return np.sort(np.random.default_rng(seed).choice(places, most, replace=False))
