"""Markov chains over items: transitions between the steps of a user.

A step is everything that a user did at one moment: a basket, or one event of a log without baskets. There is a
transition from each item of a step to each item of the user's next step. With a reach above 1, later steps count as
well, with a weight that decays, and earlier steps of the history add to the scores.

References
----------
Rendle, Freudenthaler, Schmidt-Thieme 2010, "Factorizing personalized Markov chains for next-basket recommendation",
WWW, section 4.
Kamehkhosh, Jannach, Ludewig 2017, "A comparison of frequent pattern techniques and a deep learning method for
session-based recommendation", RecTemp, section 2 (sequential rules).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Self

import numpy as np
import scipy.sparse as sp
from pydantic import BaseModel, ConfigDict, Field
from safetensors.numpy import save

from features.data.histories import Histories
from features.storage.arrays import arrays_of
from retrieval.collaborative.item_weights import moved_weights
from retrieval.collaborative.scoring import batches, gather

if TYPE_CHECKING:
    from collections.abc import Mapping

    from features.data.interactions import Interactions


class MarkovConfig(BaseModel):
    """Parameters of the Markov chain.

    Attributes
    ----------
    reach : int
        Steps over which a transition counts.
    decay : float
        Factor of the weight from one step to the next one.
    source, target : float
        Exponents of the normalisation: a count is divided by the sum over its source item to the power `source`, and by
        the sum over its target item to the power `target`. With `target` 0 popular targets score high, with 1 targets
        of few sources.
    keep : int
        Transitions of an item that remain after pruning.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    reach: int = Field(default=3, ge=1)
    decay: float = Field(default=0.8, gt=0, le=1)
    source: float = Field(default=0.5, ge=0, le=1)
    target: float = Field(default=0.0, ge=0, le=1)
    keep: int = Field(default=200, ge=1)


@dataclass(frozen=True)
class Markov:
    """Transitions between items. Implements `ItemScorer`.

    Attributes
    ----------
    weights : float32 csr (n_items, n_items)
        From an item to the items that follow it, the item itself included.
    config : MarkovConfig
        Parameters of the fit.
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
        items = sp.coo_array((np.ones(len(step), np.float32), (step, users.item)), shape=(n_steps, log.n_items)).tocsr()
        items.data[:] = 1  # an item counts once a step
        before = _before(owner, config) @ items  # items of the earlier steps, by step
        return cls(_strongest(_normalised((before.T.tocsr() @ items).tocsr(), config), config.keep), config)

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
        """Return the items of the last `reach` steps, weighted by their most recent step, float32 (b, n_items)."""
        back = steps_back(users)
        # Oldest first: in the order of (user, item), the last event of an item is the newest.
        order = np.lexsort((-back, users.item, users.user))
        newest = np.ones(len(order), dtype=bool)
        newest[:-1] = (np.diff(users.item[order]) != 0) | (np.diff(users.user[order]) != 0)
        chosen = order[newest & (back[order] < self.config.reach)]
        weight = np.power(np.float32(self.config.decay), back[chosen].astype(np.float32))
        return sp.coo_array((weight, (users.user[chosen], users.item[chosen])), shape=(len(users), self.n_items)).tocsr()

    def moved(self, rows: np.ndarray) -> Self:
        """Return the model over another catalogue, see `moved_weights`."""
        return replace(self, weights=moved_weights(self.weights, rows))

    def to_files(self) -> dict[str, bytes]:
        """Return the matrix in safetensors and the configuration in JSON."""
        arrays = {"data": self.weights.data, "indices": self.weights.indices, "indptr": self.weights.indptr}
        return {"weights.safetensors": save(arrays), "config.json": self.config.model_dump_json().encode()}

    @classmethod
    def from_files(cls, files: Mapping[str, bytes]) -> Self:
        """Read the files of `to_files`."""
        arrays = arrays_of(files, "weights.safetensors")
        n = len(arrays["indptr"]) - 1
        weights = sp.csr_array((arrays["data"], arrays["indices"], arrays["indptr"]), shape=(n, n))
        return cls(weights, MarkovConfig.model_validate_json(files["config.json"]))


def steps_back(users: Histories) -> np.ndarray:
    """Return how many steps each event lies before the user's last step, int64 (n,)."""
    step = _steps(users)
    last = np.zeros(len(users), dtype=np.int64)
    last[users.user] = step  # the last write is the user's last event
    return last[users.user] - step


def _steps(users: Histories) -> np.ndarray:
    """Return the number of each event's step, int64 (n,), counted over all users."""
    if not len(users.item):
        return np.zeros(0, dtype=np.int64)
    return np.concatenate([[0], np.cumsum((np.diff(users.age) != 0) | (np.diff(users.user) != 0))]).astype(np.int64)


def _before(owner: np.ndarray, config: MarkovConfig) -> sp.csr_array:
    """Return the weights of earlier steps of the same user, float32 (n_steps, n_steps); `owner` is each step's user."""
    pairs = [np.flatnonzero(owner[:-gap] == owner[gap:]) for gap in range(1, config.reach + 1)]
    first = np.concatenate(pairs)
    gap = np.repeat(np.arange(1, config.reach + 1), [len(steps) for steps in pairs])
    weight = np.power(np.float32(config.decay), (gap - 1).astype(np.float32))
    return sp.coo_array((weight, (first + gap, first)), shape=(len(owner), len(owner))).tocsr()


def _normalised(counts: sp.csr_array, config: MarkovConfig) -> sp.csr_array:
    """Divide counts by powers of the sums of their rows and columns."""
    source, target = (np.maximum(np.asarray(counts.sum(axis=axis)), 1e-12) for axis in (1, 0))
    return (sp.diags_array(source**-config.source) @ counts @ sp.diags_array(target**-config.target)).tocsr().astype(np.float32)


def _strongest(matrix: sp.csr_array, keep: int) -> sp.csr_array:
    """Return the `keep` largest entries of each row; among equal entries the first."""
    selected = np.ones(matrix.nnz, dtype=bool)
    for row in np.flatnonzero(np.diff(matrix.indptr) > keep):
        begin, end = matrix.indptr[row : row + 2]
        data = matrix.data[begin:end]
        threshold = np.partition(data, len(data) - keep)[len(data) - keep]
        ties = np.flatnonzero(data == threshold)
        selected[begin:end] = data > threshold
        selected[begin + ties[: keep - (data > threshold).sum()]] = True
    row = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))[selected]
    return sp.coo_array((matrix.data[selected], (row, matrix.indices[selected])), shape=matrix.shape).tocsr()
