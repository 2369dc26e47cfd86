"""What all models that score the whole catalogue share: how a history becomes a vector, and how scores become candidates."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Literal, Protocol

import numpy as np
import scipy.sparse as sp
from pydantic import BaseModel, ConfigDict, Field

from features.data.histories import Histories
from retrieval.candidates import Candidates
from retrieval.topk import top_k

if TYPE_CHECKING:
    from collections.abc import Iterator

    from features.data.interactions import Interactions

# Users scored at once: (64, 100k items) float32 is 25 MB.
BATCH = 64


class Weighting(BaseModel):
    """What a user's events with an item count together. `half_life`: days after which an event counts half; None: no ageing."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    count: Literal["once", "log"] = "once"
    half_life: float | None = Field(default=None, gt=0)


class ItemScorer(Protocol):
    """Says of every item of the catalogue how well it suits a user."""

    @property
    def n_items(self) -> int:
        """Size of the catalogue."""
        ...

    def scores(self, users: Histories) -> np.ndarray:
        """float32 (b, n_items), 0 where nothing is known. Keep b small: the answer is dense."""
        ...

    def pair_scores(self, users: Histories, rows: np.ndarray) -> np.ndarray:
        """float32 (b, k) for catalogue rows (b, k); 0 where the row is -1."""
        ...


def history_matrix(users: Histories, n_items: int, weighting: Weighting) -> sp.csr_array:
    """One row a user, one column an item: the sum of the events' weights, aged; then at most 1 ("once") or its log1p ("log").

    float32 (b, n_items). Events without weight leave no entry.
    """
    weight = users.weight
    if weighting.half_life is not None:
        weight = weight * np.exp2(-users.age / np.float32(weighting.half_life))
    matrix = sp.coo_array((weight, (users.user, users.item)), shape=(len(users), n_items), dtype=np.float32).tocsr()
    matrix.data = np.minimum(matrix.data, 1) if weighting.count == "once" else np.log1p(matrix.data)
    matrix.eliminate_zeros()
    return matrix


def log_matrix(log: Interactions, weighting: Weighting) -> sp.csr_array:
    """`history_matrix` of every user of a log at its end: fit and answer see users the same way."""
    now = log.end if len(log) else 0
    return history_matrix(Histories.of_users(log, np.arange(log.n_users), now), log.n_items, weighting)


def gather(scores: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """scores (b, n_items) at rows (b, k); 0 where the row is -1."""
    return np.where(rows >= 0, np.take_along_axis(scores, np.maximum(rows, 0), axis=1), 0).astype(np.float32)


def batches(n: int) -> Iterator[np.ndarray]:
    """0..n in pieces of at most `BATCH`."""
    for begin in range(0, n, BATCH):
        yield np.arange(begin, min(begin + BATCH, n))


@dataclass(frozen=True)
class TopOfAll:
    """The retriever over one score an item, the same for everybody: see `TopScores`.

    scores: float32 (n_items,). name: of the column of evidence.
    """

    scores: np.ndarray
    name: str

    @cached_property
    def _order(self) -> np.ndarray:
        """Items with a score above 0, best first, ties by row."""
        known = np.flatnonzero(self.scores > 0)
        return known[np.argsort(-self.scores[known], kind="stable")]

    def retrieve(self, users: Histories, k: int, allowed: np.ndarray | None = None) -> Candidates:
        """See `Retriever`."""
        rows = np.full((len(users), k), -1, dtype=np.int64)
        if allowed is None or allowed.ndim == 1:
            best = (self._order if allowed is None else self._order[allowed[self._order]])[:k]
            rows[:, : len(best)] = best
        else:
            for user, mask in enumerate(allowed):
                best = self._order[mask[self._order]][:k]
                rows[user, : len(best)] = best
        scores = np.where(rows >= 0, self.scores[np.maximum(rows, 0)], -np.inf).astype(np.float32)
        return Candidates(users, rows, scores, {self.name: np.where(rows >= 0, scores, np.nan).astype(np.float32)})


@dataclass(frozen=True)
class TopScores:
    """The retriever over a scorer: its best items with a score above 0, that is, those it knows something for.

    `name` is the column of evidence that carries the score.
    """

    scorer: ItemScorer
    name: str

    def retrieve(self, users: Histories, k: int, allowed: np.ndarray | None = None) -> Candidates:
        """At most k items a user, best first, ties by row; fewer (padded) where the scorer knows fewer. See `Retriever`."""
        rows = np.full((len(users), k), -1, dtype=np.int64)
        scores = np.full((len(users), k), -np.inf, dtype=np.float32)
        for part in batches(len(users)):
            dense = self.scorer.scores(users if len(part) == len(users) else users.take(part))
            good = dense > 0
            if allowed is not None:
                good &= allowed if allowed.ndim == 1 else allowed[part]
            for place, user in enumerate(part.tolist()):
                known = np.flatnonzero(good[place])  # most models know something for a small part of the catalogue
                best, scores[user] = (found[0] for found in top_k(dense[place, known][None], k))
                taken = best >= 0
                rows[user, taken] = known[best[taken]]
        return Candidates(users, rows, scores, {self.name: np.where(rows >= 0, scores, np.nan).astype(np.float32)})
