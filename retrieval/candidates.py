"""Candidates, the one type between stages: items for each user of a request, with scores and candidate features."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Protocol

import numpy as np

from features.data.histories import Histories

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True)
class Candidates:
    """k items for each of b users, best first.

    Attributes
    ----------
    users : Histories
        The b users with their histories.
    rows : int64 (b, k)
        Catalogue rows, padded with -1 at the end of a row.
    scores : float32 (b, k)
        Higher is better; -inf where padded.
    features : dict of str to float32 (b, k)
        Columns that stages add: a retriever's score, a ranking feature, a rank; nan where unknown.
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
        """Where `rows` holds an item and no padding, bool (b, k)."""
        return self.rows >= 0

    def for_users(self, users: np.ndarray) -> Candidates:
        """Return the lists of some users (positions in the batch, int (m,)), in the order given."""
        features = {name: column[users] for name, column in self.features.items()}
        return Candidates(self.users.take(users), self.rows[users], self.scores[users], features)

    def take(self, order: np.ndarray) -> Candidates:
        """Return each user's list reordered or cut, with all its features.

        Parameters
        ----------
        order : int (b, m)
            Columns of each user's list, best first; -1 makes padding.
        """
        columns, users = np.maximum(order, 0), np.arange(len(order))[:, None]
        padding = order < 0
        padded = bool(padding.any())

        def pick(array: np.ndarray, fill: float) -> np.ndarray:
            taken = array[users, columns]
            if padded:
                taken[padding] = fill
            return taken

        features = {name: pick(column, np.nan) for name, column in self.features.items()}
        return replace(self, rows=pick(self.rows, -1), scores=pick(self.scores, -np.inf), features=features)

    def trimmed(self) -> Candidates:
        """Return the lists without the columns at their end in which every user has padding; one column stays."""
        return self.first(max(1, int(self.valid.sum(axis=1).max(initial=1))))

    def first(self, k: int) -> Candidates:
        """Return the first k candidates of each user."""
        return replace(
            self, rows=self.rows[:, :k], scores=self.scores[:, :k], features={name: column[:, :k] for name, column in self.features.items()}
        )

    def ranked(self, scores: np.ndarray, k: int | None = None, **features: np.ndarray) -> Candidates:
        """Return the best k candidates by new scores (b, m), best first; nan counts as worst, ties keep their order."""
        scores = np.where(self.valid & ~np.isnan(scores), scores, -np.inf).astype(np.float32)
        # Padding goes last, after an item whose score is -inf.
        order = np.lexsort((-scores, ~self.valid), axis=1)[:, :k]
        return replace(self, scores=scores, features=self.features | features).take(order)


class Retriever(Protocol):
    """A source of candidates that searches the whole catalogue."""

    def retrieve(self, users: Histories, k: int, allowed: np.ndarray | None = None) -> Candidates:
        """Return at most k items for each user, best first.

        Parameters
        ----------
        users : Histories
            The b users with their histories.
        k : int
            Length of each list; lists that are shorter are padded.
        allowed : bool (n_items,) or (b, n_items), optional
            Items that may be returned, for all users or for each; None allows all.
        """
        ...


class Ranker(Protocol):
    """A stage that reorders candidates."""

    def rank(self, candidates: Candidates) -> Candidates:
        """Return the same items, best first by new scores."""
        ...


def joined(parts: Sequence[Candidates]) -> Candidates:
    """Concatenate the users of several lists, padded to the longest; a feature that a part lacks is nan there."""
    if len(parts) == 1:
        return parts[0]
    width = max((part.rows.shape[1] for part in parts), default=0)
    names = dict.fromkeys(name for part in parts for name in part.features)

    def padded(array: np.ndarray, fill: float) -> np.ndarray:
        return np.pad(array, ((0, 0), (0, width - array.shape[1])), constant_values=fill)

    def column(part: Candidates, name: str) -> np.ndarray:
        return part.features.get(name, np.full(part.rows.shape, np.nan, dtype=np.float32))

    return Candidates(
        Histories.joined([part.users for part in parts]),
        np.concatenate([padded(part.rows, -1) for part in parts]),
        np.concatenate([padded(part.scores, -np.inf) for part in parts]),
        {name: np.concatenate([padded(column(part, name), np.nan) for part in parts]) for name in names},
    )
