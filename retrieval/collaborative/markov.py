"""What follows what: first-order transitions between a user's steps (Rendle, Freudenthaler, Schmidt-Thieme 2010, WWW, section 4).

A step is all that a user did at one moment: a basket, or one event of a log that has no baskets. Each item of a step leads to each item of
the user's next one. With a reach above 1 the steps after that count as well, less and less (sequential rules: Kamehkhosh, Jannach,
Ludewig 2017, RecTemp, section 2), and earlier steps of the history speak beside the last one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np
import scipy.sparse as sp
from pydantic import BaseModel, ConfigDict, Field
from safetensors.numpy import save

from features.data.histories import Histories
from features.storage.arrays import arrays_of
from retrieval.collaborative.scoring import batches, gather

if TYPE_CHECKING:
    from collections.abc import Mapping

    from features.data.interactions import Interactions


class MarkovConfig(BaseModel):
    """`reach`: steps over which a transition counts; `decay`: what each step further counts of the one before.

    A transition's count is divided by how often its first item had a next step, to the power `source`, and by how often its second was a
    next step, to the power `target`: 0 prefers what sells anyway, 1 what follows nothing else. `keep`: transitions an item.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    reach: int = Field(default=3, ge=1)
    decay: float = Field(default=0.8, gt=0, le=1)
    source: float = Field(default=0.5, ge=0, le=1)
    target: float = Field(default=0.0, ge=0, le=1)
    keep: int = Field(default=200, ge=1)


@dataclass(frozen=True)
class Markov:
    """Transitions between items; see `ItemScorer`.

    Attributes
    ----------
    weights: float32 csr (n_items, n_items), from an item to what comes after it, itself included. config: how they were counted.
    """

    weights: sp.csr_array
    config: MarkovConfig

    @classmethod
    def fit(cls, log: Interactions, config: MarkovConfig | None = None) -> Markov:
        """Count the transitions of every user of the log."""
        config = config or MarkovConfig()
        users = Histories.of_users(log, np.arange(log.n_users), log.end if len(log) else 0)
        step = _steps(users)
        n_steps = int(step.max(initial=-1)) + 1
        owner = np.zeros(n_steps, dtype=np.int64)
        owner[step] = users.user
        held = sp.coo_array((np.ones(len(step), np.float32), (step, users.item)), shape=(n_steps, log.n_items)).tocsr()
        held.data[:] = 1  # bought twice at one moment is bought
        before = _before(owner, config) @ held  # of each step, what came before it
        return cls(_strongest(_normalised((before.T.tocsr() @ held).tocsr(), config), config.keep), config)

    @property
    def n_items(self) -> int:
        return self.weights.shape[0]

    def scores(self, users: Histories) -> np.ndarray:
        """See `ItemScorer`."""
        return (self._last_steps(users) @ self.weights).toarray()

    def pair_scores(self, users: Histories, rows: np.ndarray) -> np.ndarray:
        """See `ItemScorer`."""
        scores = np.zeros(rows.shape, dtype=np.float32)
        for part in batches(len(users)):
            scores[part] = gather(self.scores(users.take(part)), rows[part])
        return scores

    def _last_steps(self, users: Histories) -> sp.csr_array:
        """Items of the last steps, each by its last one: float32 (b, n_items)."""
        back = steps_back(users)
        # Oldest first, so of an item's events the last one in the order of (user, item) is its newest.
        order = np.lexsort((-back, users.item, users.user))
        newest = np.ones(len(order), dtype=bool)
        newest[:-1] = (np.diff(users.item[order]) != 0) | (np.diff(users.user[order]) != 0)
        chosen = order[newest & (back[order] < self.config.reach)]
        weight = np.power(np.float32(self.config.decay), back[chosen].astype(np.float32))
        return sp.coo_array((weight, (users.user[chosen], users.item[chosen])), shape=(len(users), self.n_items)).tocsr()

    def to_files(self) -> dict[str, bytes]:
        """The matrix in safetensors, the configuration in JSON."""
        arrays = {"data": self.weights.data, "indices": self.weights.indices, "indptr": self.weights.indptr}
        return {"weights.safetensors": save(arrays), "config.json": self.config.model_dump_json().encode()}

    @classmethod
    def from_files(cls, files: Mapping[str, bytes]) -> Self:
        """What `to_files` made."""
        arrays = arrays_of(files, "weights.safetensors")
        n = len(arrays["indptr"]) - 1
        weights = sp.csr_array((arrays["data"], arrays["indices"], arrays["indptr"]), shape=(n, n))
        return cls(weights, MarkovConfig.model_validate_json(files["config.json"]))


def steps_back(users: Histories) -> np.ndarray:
    """How many steps before the user's last each event lies, int64 (n,): 0 for the last one."""
    step = _steps(users)
    last = np.zeros(len(users), dtype=np.int64)
    last[users.user] = step  # the last write is the user's last event
    return last[users.user] - step


def _steps(users: Histories) -> np.ndarray:
    """A number for each event's step, int64 (n,), counting on from user to user."""
    if not len(users.item):
        return np.zeros(0, dtype=np.int64)
    return np.concatenate([[0], np.cumsum((np.diff(users.age) != 0) | (np.diff(users.user) != 0))]).astype(np.int64)


def _before(owner: np.ndarray, config: MarkovConfig) -> sp.csr_array:
    """Which steps of the same user come before each step, by how much they count, float32 (n_steps, n_steps); `owner` (n_steps,)."""
    pairs = [np.flatnonzero(owner[:-gap] == owner[gap:]) for gap in range(1, config.reach + 1)]
    first = np.concatenate(pairs)
    gap = np.repeat(np.arange(1, config.reach + 1), [len(some) for some in pairs])
    weight = np.power(np.float32(config.decay), (gap - 1).astype(np.float32))
    return sp.coo_array((weight, (first + gap, first)), shape=(len(owner), len(owner))).tocsr()


def _normalised(counts: sp.csr_array, config: MarkovConfig) -> sp.csr_array:
    """Counts over powers of their rows' and columns' sums."""
    source, target = (np.maximum(np.asarray(counts.sum(axis=axis)), 1e-12) for axis in (1, 0))
    return (sp.diags_array(source**-config.source) @ counts @ sp.diags_array(target**-config.target)).tocsr().astype(np.float32)


def _strongest(matrix: sp.csr_array, keep: int) -> sp.csr_array:
    """The `keep` largest entries of each row; of equal ones those that come first."""
    kept = np.ones(matrix.nnz, dtype=bool)
    for row in np.flatnonzero(np.diff(matrix.indptr) > keep):
        begin, end = matrix.indptr[row : row + 2]
        data = matrix.data[begin:end]
        least = np.partition(data, len(data) - keep)[len(data) - keep]
        level = np.flatnonzero(data == least)
        kept[begin:end] = data > least
        kept[begin + level[: keep - (data > least).sum()]] = True
    row = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))[kept]
    return sp.coo_array((matrix.data[kept], (row, matrix.indices[kept])), shape=matrix.shape).tocsr()
