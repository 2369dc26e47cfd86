"""Parts shared by models that score the whole catalogue: history vectors, and retrievers over their scores."""

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
    """How the events of a user with an item become one weight.

    Attributes
    ----------
    count : str
        "once" caps the sum of the events' weights at 1; "log" takes log(1 + sum).
    half_life : float, optional
        Days after which an event counts half; None for no decay.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    count: Literal["once", "log"] = "once"
    half_life: float | None = Field(default=None, gt=0)


class ItemScorer(Protocol):
    """A model that scores every item of the catalogue for a user."""

    @property
    def n_items(self) -> int:
        """Number of items in the catalogue."""
        ...

    def scores(self, users: Histories) -> np.ndarray:
        """Return dense scores float32 (b, n_items), 0 where the model knows nothing. Pass few users at once."""
        ...

    def pair_scores(self, users: Histories, rows: np.ndarray) -> np.ndarray:
        """Return scores float32 (b, k) of catalogue rows int64 (b, k); 0 where the row is -1."""
        ...


def history_matrix(users: Histories, n_items: int, weighting: Weighting) -> sp.csr_array:
    """Return the histories as a matrix of user-item weights, float32 csr (b, n_items), see `Weighting`.

    Events of weight 0 leave no entry.
    """
    weight = users.weight
    if weighting.half_life is not None:
        weight = weight * np.exp2(-users.age / np.float32(weighting.half_life))
    matrix = sp.coo_array((weight, (users.user, users.item)), shape=(len(users), n_items), dtype=np.float32).tocsr()
    matrix.data = np.minimum(matrix.data, 1) if weighting.count == "once" else np.log1p(matrix.data)
    matrix.eliminate_zeros()
    return matrix


def log_matrix(log: Interactions, weighting: Weighting) -> sp.csr_array:
    """Return `history_matrix` of every user of a log at its end, so that models are fitted on what they score."""
    now = log.end if len(log) else 0
    return history_matrix(Histories.of_users(log, np.arange(log.n_users), now), log.n_items, weighting)


def gather(scores: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Return scores (b, n_items) at rows (b, k), float32 (b, k); 0 where the row is -1."""
    return np.where(rows >= 0, np.take_along_axis(scores, np.maximum(rows, 0), axis=1), 0).astype(np.float32)


def batches(n: int) -> Iterator[np.ndarray]:
    """Yield the integers below n in arrays of at most `BATCH`."""
    for begin in range(0, n, BATCH):
        yield np.arange(begin, min(begin + BATCH, n))


@dataclass(frozen=True)
class TopOfAll:
    """Retriever over scores that are the same for every user. Implements `Retriever`.

    Attributes
    ----------
    scores : float32 (n_items,)
        Only items with a score above 0 are retrieved.
    name : str
        Feature column that carries the score.
    """

    scores: np.ndarray
    name: str

    @cached_property
    def _order(self) -> np.ndarray:
        """Items with a score above 0, best first, ties by row."""
        positive = np.flatnonzero(self.scores > 0)
        return positive[np.argsort(-self.scores[positive], kind="stable")]

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
    """Retriever over a scorer: its best items with a score above 0. Implements `Retriever`.

    Attributes
    ----------
    scorer : ItemScorer
    name : str
        Feature column that carries the score.
    """

    scorer: ItemScorer
    name: str

    def retrieve(self, users: Histories, k: int, allowed: np.ndarray | None = None) -> Candidates:
        """Return at most k items a user, best first, ties by row; fewer where fewer score above 0. See `Retriever`."""
        rows = np.full((len(users), k), -1, dtype=np.int64)
        scores = np.full((len(users), k), -np.inf, dtype=np.float32)
        for part in batches(len(users)):
            dense = self.scorer.scores(users if len(part) == len(users) else users.take(part))
            eligible = dense > 0
            if allowed is not None:
                eligible &= allowed if allowed.ndim == 1 else allowed[part]
            for i, user in enumerate(part.tolist()):
                items = np.flatnonzero(eligible[i])  # a small part of the catalogue for most models
                (best,), (scores[user],) = top_k(dense[i, items][None], k)
                valid = best >= 0
                rows[user, valid] = items[best[valid]]
        return Candidates(users, rows, scores, {self.name: np.where(rows >= 0, scores, np.nan).astype(np.float32)})
