"""Baselines with little or no fit, Bayesian personalised ranking, and lists that another program made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import scipy.sparse as sp
from pydantic import BaseModel, ConfigDict, Field

from features.errors import DataError
from retrieval.collaborative.scoring import Weighting, history_matrix, log_matrix

if TYPE_CHECKING:
    from pathlib import Path

    from features.data.catalog import Catalog
    from features.data.histories import Histories
    from features.data.interactions import Interactions

LIST_COLUMNS = ("user_id", "item_id", "rank")


@dataclass(frozen=True)
class ForAll:
    """The same scores for every user.

    Attributes
    ----------
    score : float32 (n_items,)
    """

    score: np.ndarray

    def scores(self, users: Histories) -> np.ndarray:
        """Return float32 (b, n_items)."""
        return np.broadcast_to(self.score, (len(users), len(self.score)))


@dataclass(frozen=True)
class PersonalFrequency:
    """What the user bought, by the sum of the aged weights of its events; 0 for everything else."""

    n_items: int
    weighting: Weighting

    def scores(self, users: Histories) -> np.ndarray:
        """Return float32 (b, n_items)."""
        return history_matrix(users, self.n_items, self.weighting).toarray()


class BPRConfig(BaseModel):
    """Settings of `BPR`: factors, learning rate, L2 regularisation and epochs of stochastic gradient descent."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    factors: int = Field(default=64, ge=1)
    rate: float = Field(default=0.05, gt=0)
    l2: float = Field(default=0.01, ge=0)
    epochs: int = Field(default=100, ge=1)
    seed: int = 0


@dataclass(frozen=True)
class BPR:
    """Bayesian personalised ranking: matrix factorisation for the order of pairs, by the package implicit.

    Attributes
    ----------
    users : float32 (n_users, d), of the log's users; the last column is 1
    items : float32 (n_items, d); the last column is the item's bias

    References
    ----------
    Rendle, Freudenthaler, Gantner, Schmidt-Thieme (2009), UAI, arXiv 1205.2618.
    """

    users: np.ndarray
    items: np.ndarray

    @classmethod
    def fit(cls, log: Interactions, config: BPRConfig) -> BPR:
        """Fit on one thread: the same seed gives the same factors."""
        from implicit.cpu.bpr import BayesianPersonalizedRanking

        model = BayesianPersonalizedRanking(
            factors=config.factors,
            learning_rate=config.rate,
            regularization=config.l2,
            iterations=config.epochs,
            num_threads=1,
            random_state=config.seed,
        )
        matrix = log_matrix(log, Weighting())
        # As in ALS: users who only appear after the end of the log must not change what is drawn at random.
        known = np.diff(matrix.indptr) > 0
        model.fit(sp.csr_matrix(matrix[known]), show_progress=False)
        users = np.zeros((log.n_users, model.user_factors.shape[1]), dtype=np.float32)
        users[known] = model.user_factors
        users[:, -1] = 1
        items = np.array(model.item_factors, dtype=np.float32)
        items[np.bincount(matrix.indices, minlength=log.n_items) == 0] = 0
        return cls(users, items)

    def scores(self, users: Histories) -> np.ndarray:
        """Return float32 (b, n_items); an unknown user gets the items' biases."""
        rows = np.full(len(users), -1) if users.rows is None else users.rows
        vectors = np.where(rows[:, None] >= 0, self.users[np.maximum(rows, 0)], np.eye(1, self.users.shape[1], self.users.shape[1] - 1))
        return vectors.astype(np.float32) @ self.items.T


@dataclass(frozen=True)
class GivenLists:
    """Lists that another program made, evaluated like any other system; users without a list score 0 everywhere.

    Attributes
    ----------
    offsets : int64 (n_users + 1,), of the log's users
    item : int64 (m,), catalogue rows
    score : float32 (m,), above 0, higher is better
    """

    offsets: np.ndarray
    item: np.ndarray
    score: np.ndarray
    n_items: int

    @classmethod
    def read(cls, path: Path, catalog: Catalog, log: Interactions) -> GivenLists:
        """Read a Parquet file with the columns user_id, item_id and rank (1 is best).

        Users and items that are not known here are left out.

        Raises
        ------
        DataError
            A column is missing, or no user and item of the file are known here.
        """
        frame = pl.read_parquet(path)
        missing = set(LIST_COLUMNS) - set(frame.columns)
        if missing:
            raise DataError(f"{path} lacks the columns {sorted(missing)}; found {frame.columns}: write {', '.join(LIST_COLUMNS)}")
        user = log.user_rows(frame["user_id"].cast(pl.String).to_list())
        item, rank = catalog.rows(frame["item_id"].cast(pl.String).to_list()), frame["rank"].to_numpy()
        known = np.flatnonzero((user >= 0) & (item >= 0))
        if not len(known):
            raise DataError(
                f"none of the {len(frame):,} rows of {path} names a user and an item of this shop, expected some: "
                "give a file made for this shop"
            )
        known = known[np.argsort(user[known], kind="stable")]
        offsets = np.searchsorted(user[known], np.arange(log.n_users + 1))
        return cls(offsets, item[known], (1 / rank[known]).astype(np.float32), len(catalog))

    def scores(self, users: Histories) -> np.ndarray:
        """Return float32 (b, n_items)."""
        scores = np.zeros((len(users), self.n_items), dtype=np.float32)
        for line, row in zip(scores, [] if users.rows is None else users.rows, strict=False):
            chosen = slice(self.offsets[row], self.offsets[row + 1]) if row >= 0 else slice(0, 0)
            line[self.item[chosen]] = self.score[chosen]
        return scores
