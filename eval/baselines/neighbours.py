"""Nearest-neighbour baselines: near users, near texts, and near items by buyers and titles together."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Literal

import numpy as np
import scipy.sparse as sp
from pydantic import BaseModel, ConfigDict, Field

from features.data.histories import Histories
from retrieval.collaborative.markov import steps_back
from retrieval.collaborative.scoring import Weighting, history_matrix

if TYPE_CHECKING:
    from collections.abc import Sequence

    from features.data.interactions import Interactions
    from retrieval.collaborative.item_weights import ItemWeights


class TifuConfig(BaseModel):
    """Settings of TIFU-kNN.

    Attributes
    ----------
    group : steps a group
    within : weight of a step relative to the next younger one of its group
    across : weight of a group relative to the next younger one
    neighbours : nearest users whose mean is taken
    own : share of the user's own vector in the score
    measure : distance between users; the paper uses "euclidean"
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    group: int = Field(default=7, ge=1)
    within: float = Field(default=0.9, gt=0, le=1)
    across: float = Field(default=0.7, gt=0, le=1)
    neighbours: int = Field(default=300, ge=1)
    own: float = Field(default=0.7, ge=0, le=1)
    measure: Literal["euclidean", "cosine"] = "euclidean"


@dataclass(frozen=True)
class TifuKnn:
    """TIFU-kNN: the user's own frequencies, aged by groups of baskets, and the mean of those of the nearest users.

    Attributes
    ----------
    vectors : csr float32 (n_users, n_items), of the log's users
    people : int64 (m,), rows of the users with a history

    References
    ----------
    Hu, He, Gao, Zhang (2020), SIGIR, arXiv 2006.00556, section 4.
    """

    vectors: sp.csr_array
    people: np.ndarray
    config: TifuConfig

    @classmethod
    def fit(cls, log: Interactions, config: TifuConfig) -> TifuKnn:
        """Compute the vectors of all users of the log."""
        users = Histories.of_users(log, np.arange(log.n_users), log.end if len(log) else 0)
        vectors = user_vectors(users, log.n_items, config)
        return cls(vectors, np.flatnonzero(np.diff(vectors.indptr)), config)

    @cached_property
    def _known(self) -> sp.csr_array:
        return self.vectors[self.people]

    @cached_property
    def _items_by_user(self) -> sp.csr_array:
        return self._known.T.tocsr()

    @cached_property
    def _squares(self) -> np.ndarray:
        return np.asarray((self._known**2).sum(axis=1), dtype=np.float32)

    def scores(self, users: Histories) -> np.ndarray:
        """Return float32 (b, n_items)."""
        config, frequencies = self.config, user_vectors(users, self.vectors.shape[1], self.config).toarray()
        # Sparse times dense: a product of two sparse matrices takes several times longer here.
        similarity = (self._known @ np.ascontiguousarray(frequencies.T)).T  # (b, m)
        similarity = similarity / np.sqrt(self._squares) if config.measure == "cosine" else 2 * similarity - self._squares
        if users.rows is not None:  # no user is their own neighbour
            similarity[self.people[None, :] == users.rows[:, None]] = -np.inf
        k = min(config.neighbours, len(self.people))
        chosen = np.argpartition(-similarity, k - 1, axis=1)[:, :k] if k else np.zeros((len(users), 0), dtype=np.int64)
        # A user with nothing in common is a neighbour by the paper's measure, never by the cosine.
        real = np.take_along_axis(similarity, chosen, axis=1) > (0 if config.measure == "cosine" else -np.inf)
        share = np.zeros((len(self.people), len(users)), dtype=np.float32)
        user, place = np.nonzero(real)
        share[chosen[user, place], user] = (1 - config.own) / max(k, 1)
        return np.float32(config.own) * frequencies + (self._items_by_user @ share).T


def user_vectors(users: Histories, n_items: int, config: TifuConfig) -> sp.csr_array:
    """Return baskets as 0/1 vectors, averaged in groups with decay, and the groups averaged with decay.

    Groups are counted from the last basket backwards. An item counts once a basket, with the weight of its event.

    Returns
    -------
    csr float32 (b, n_items)
    """
    back = steps_back(users)
    order = np.lexsort((-users.weight, back, users.item, users.user))  # of each item of a basket the event with the most weight first
    duplicate = np.zeros(len(order), dtype=bool)
    duplicate[1:] = (np.diff(users.user[order]) == 0) & (np.diff(users.item[order]) == 0) & (np.diff(back[order]) == 0)
    chosen = order[~duplicate]
    user, back = users.user[chosen], back[chosen]
    steps = np.zeros(len(users), dtype=np.int64)
    np.maximum.at(steps, user, back + 1)
    group, place = np.divmod(back, config.group)
    size = np.minimum(config.group, steps[user] - group * config.group)
    groups = -(-steps[user] // config.group)
    weight = users.weight[chosen] * config.within**place / size * config.across**group / groups
    return sp.coo_array((weight.astype(np.float32), (user, users.item[chosen])), shape=(len(users), n_items)).tocsr()


class TextKnnConfig(BaseModel):
    """Settings of `TextKnn`.

    Attributes
    ----------
    pool : "mean": cosine to the weighted mean of the history; "max": to the nearest of its last distinct texts
    last : how many distinct texts "max" compares with
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    pool: Literal["mean", "max"] = "mean"
    weighting: Weighting = Weighting(count="log", half_life=30.0)
    last: int = Field(default=10, ge=1)


@dataclass(frozen=True)
class TextKnn:
    """Text similarity alone, by an encoder that was never trained on this shop; cold items are scored like all others.

    Attributes
    ----------
    vectors : float32 (n_texts, dim), of the distinct texts, unit norm
    text_of : int64 (n_items,), which of them each item has
    """

    vectors: np.ndarray
    text_of: np.ndarray
    config: TextKnnConfig

    @classmethod
    def of(cls, texts: np.ndarray, config: TextKnnConfig) -> TextKnn:
        """Make it from the items' text vectors, float (n_items, dim), of any length."""
        vectors = np.ascontiguousarray(texts, dtype=np.float32)
        vectors = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
        _, first, text_of = np.unique(vectors.view(f"V{vectors.shape[1] * 4}").ravel(), return_index=True, return_inverse=True)
        return cls(vectors[first], text_of, config)

    def scores(self, users: Histories) -> np.ndarray:
        """Return float32 (b, n_items)."""
        texts = users.with_items(self.text_of)
        if self.config.pool == "mean":
            mean = history_matrix(texts, len(self.vectors), self.config.weighting) @ self.vectors
            return (mean @ self.vectors.T)[:, self.text_of]
        recent = texts.recent_items(len(self.vectors), self.config.last)
        best = np.zeros((len(users), len(self.vectors)), dtype=np.float32)
        for column in recent.rows.T:  # (b,) one text of each user
            filled = np.flatnonzero(column >= 0)
            best[filled] = np.maximum(best[filled], self.vectors[column[filled]] @ self.vectors.T)
        return best[:, self.text_of]


@dataclass(frozen=True)
class TitleKnn:
    """Item-to-item neighbours plus the TF-IDF cosine between titles: each item of the history adds both, by its weight.

    Attributes
    ----------
    items : the neighbours
    titles : csr float32 (n_titles, words), unit rows
    title_of : int64 (n_items,), which title each item has
    share : weight of the titles' cosine
    """

    items: ItemWeights
    titles: sp.csr_array
    title_of: np.ndarray
    share: float

    def scores(self, users: Histories) -> np.ndarray:
        """Return float32 (b, n_items)."""
        history = history_matrix(users.with_items(self.title_of), self.titles.shape[0], self.items.weighting)
        similarity = ((history @ self.titles) @ self.titles.T).toarray()
        return self.items.scores(users) + np.float32(self.share) * similarity[:, self.title_of]


def title_vectors(titles: Sequence[str]) -> tuple[sp.csr_array, np.ndarray]:
    """Return TF-IDF vectors of the distinct titles.

    Returns
    -------
    csr float32 (n_titles, words), and int64 (n_items,): which of them each item has
    """
    distinct, title_of = np.unique(np.array(titles, dtype=object).astype(str), return_inverse=True)
    # Single letters and digits are words too ("PS 3"). No stop words: they would take "it" out of a film's name.
    from sklearn.feature_extraction.text import TfidfVectorizer

    vectors = TfidfVectorizer(sublinear_tf=True, token_pattern=r"(?u)\b\w+\b", dtype=np.float32).fit_transform(distinct)
    return sp.csr_array(vectors), title_of
