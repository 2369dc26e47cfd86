"""The one type between the stages: some items for each user of a request, with scores and the evidence for them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Protocol

import numpy as np

if TYPE_CHECKING:
    from features.data.histories import Histories


@dataclass(frozen=True)
class Candidates:
    """k items for each of b users, best first.

    Attributes
    ----------
    users: whom they are for, with what was known of them (b).
    rows: catalogue rows, int64 (b, k), padded with -1 at the end of a row.
    scores: float32 (b, k), higher is better; -inf where padded.
    evidence: named columns float32 (b, k) that stages add: a retriever's score, a feature, a rank. nan where unknown.
    """

    users: Histories
    rows: np.ndarray
    scores: np.ndarray
    features: dict[str, np.ndarray] = field(default_factory=dict)

    def __post_init__(self) -> None:
        shape = (len(self.users), self.rows.shape[1])
        for name, array in {"rows": self.rows, "scores": self.scores, **self.features}.items():
            if array.shape != shape:
                raise ValueError(f"{name} has shape {array.shape}, expected {shape}: one row a user, one column a candidate")

    @property
    def valid(self) -> np.ndarray:
        """Which places hold an item, bool (b, k)."""
        return self.rows >= 0

    def for_users(self, users: np.ndarray) -> Candidates:
        """The lists of some of the users, in the order given."""
        features = {name: column[users] for name, column in self.features.items()}
        return Candidates(self.users.take(users), self.rows[users], self.scores[users], features)

    def take(self, order: np.ndarray) -> Candidates:
        """Columns by index, int (b, m): reorders or cuts each user's list, with all its evidence. -1 makes padding."""
        index, each = np.maximum(order, 0), np.arange(len(order))[:, None]
        gone = order < 0
        some_gone = bool(gone.any())

        def pick(array: np.ndarray, fill: float) -> np.ndarray:
            taken = array[each, index]
            if some_gone:
                taken[gone] = fill
            return taken

        features = {name: pick(column, np.nan) for name, column in self.features.items()}
        return replace(self, rows=pick(self.rows, -1), scores=pick(self.scores, -np.inf), features=features)

    def first(self, k: int) -> Candidates:
        """The first k of each list."""
        return replace(
            self, rows=self.rows[:, :k], scores=self.scores[:, :k], features={name: column[:, :k] for name, column in self.features.items()}
        )

    def ranked(self, scores: np.ndarray, k: int | None = None, **features: np.ndarray) -> Candidates:
        """The same candidates, best first by new scores (b, k); nan counts as worst, ties keep their order."""
        scores = np.where(self.valid & ~np.isnan(scores), scores, -np.inf).astype(np.float32)
        # Padding goes last, behind an item whose score is -inf.
        order = np.lexsort((-scores, ~self.valid), axis=1)[:, :k]
        return replace(self, scores=scores, features=self.features | features).take(order)


class Retriever(Protocol):
    """Finds items among the whole catalogue."""

    def retrieve(self, users: Histories, k: int, allowed: np.ndarray | None = None) -> Candidates:
        """The best k items a user, among those `allowed` (bool, (n_items,) or (b, n_items); None allows all)."""
        ...


class Ranker(Protocol):
    """Puts candidates in a better order."""

    def rank(self, candidates: Candidates) -> Candidates:
        """The same items, best first, with scores of its own."""
        ...
