"""Baselines that look for near users, near texts, and for both near buyers and near titles."""

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
    """`group`: steps a group; `within`, `across`: what a step or a group counts of the next younger one; `neighbours`: users whose mean is
    taken; `own`: share of the user's own vector in the score; `measure`: how near users are found, "euclidean" in the paper."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    group: int = Field(default=7, ge=1)
    within: float = Field(default=0.9, gt=0, le=1)
    across: float = Field(default=0.7, gt=0, le=1)
    neighbours: int = Field(default=300, ge=1)
    own: float = Field(default=0.7, ge=0, le=1)
    measure: Literal["euclidean", "cosine"] = "euclidean"


@dataclass(frozen=True)
class TifuKnn:
    """TIFU-kNN (Hu, He, Gao, Zhang 2020, SIGIR, arXiv 2006.00556, section 4): the user's own frequencies, aged by groups of baskets, beside
    the mean of those of the nearest users.

    Attributes
    ----------
    vectors: csr float32 (n_users, n_items), of the log's users. people: rows of those who have a history, int64 (m,).
    """

    vectors: sp.csr_array
    people: np.ndarray
    config: TifuConfig

    @classmethod
    def fit(cls, log: Interactions, config: TifuConfig) -> TifuKnn:
        """Vectors of all users of the log."""
        users = Histories.of_users(log, np.arange(log.n_users), log.end if len(log) else 0)
        vectors = user_vectors(users, log.n_items, config)
        return cls(vectors, np.flatnonzero(np.diff(vectors.indptr)), config)

    @cached_property
    def _known(self) -> sp.csr_array:
        return self.vectors[self.people]

    @cached_property
    def _turned(self) -> sp.csr_array:
        return self._known.T.tocsr()

    @cached_property
    def _squares(self) -> np.ndarray:
        return np.asarray((self._known**2).sum(axis=1), dtype=np.float32)

    def scores(self, users: Histories) -> np.ndarray:
        """float32 (b, n_items)."""
        config, own = self.config, user_vectors(users, self.vectors.shape[1], self.config).toarray()
        # Sparse times dense: a product of two sparse matrices takes several times longer here.
        near = (self._known @ np.ascontiguousarray(own.T)).T  # (b, m)
        near = near / np.sqrt(self._squares) if config.measure == "cosine" else 2 * near - self._squares
        if users.rows is not None:  # nobody is their own neighbour
            near[self.people[None, :] == users.rows[:, None]] = -np.inf
        k = min(config.neighbours, len(self.people))
        chosen = np.argpartition(-near, k - 1, axis=1)[:, :k] if k else np.zeros((len(users), 0), dtype=np.int64)
        # Who has nothing in common with the user is a neighbour by the paper's measure, never by the cosine.
        real = np.take_along_axis(near, chosen, axis=1) > (0 if config.measure == "cosine" else -np.inf)
        share = np.zeros((len(self.people), len(users)), dtype=np.float32)
        user, place = np.nonzero(real)
        share[chosen[user, place], user] = (1 - config.own) / max(k, 1)
        return np.float32(config.own) * own + (self._turned @ share).T


def user_vectors(users: Histories, n_items: int, config: TifuConfig) -> sp.csr_array:
    """Baskets as 0/1 vectors, averaged in groups with decay, and the groups averaged with decay; csr float32 (b, n_items).

    Groups are counted from the last basket backwards; an item counts once a basket, with the weight of its event.
    """
    back = steps_back(users)
    order = np.lexsort((-users.weight, back, users.item, users.user))  # an item of a basket: its weightiest event first
    same = np.zeros(len(order), dtype=bool)
    same[1:] = (np.diff(users.user[order]) == 0) & (np.diff(users.item[order]) == 0) & (np.diff(back[order]) == 0)
    chosen = order[~same]
    user, back = users.user[chosen], back[chosen]
    steps = np.zeros(len(users), dtype=np.int64)
    np.maximum.at(steps, user, back + 1)
    group, place = np.divmod(back, config.group)
    size = np.minimum(config.group, steps[user] - group * config.group)
    groups = -(-steps[user] // config.group)
    weight = users.weight[chosen] * config.within**place / size * config.across**group / groups
    return sp.coo_array((weight.astype(np.float32), (user, users.item[chosen])), shape=(len(users), n_items)).tocsr()


class TextKnnConfig(BaseModel):
    """`pool`: "mean": cosine to the weighted mean of the history; "max": the nearest one of its last `last` distinct texts."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    pool: Literal["mean", "max"] = "mean"
    weighting: Weighting = Weighting(count="log", half_life=30.0)
    last: int = Field(default=10, ge=1)


@dataclass(frozen=True)
class TextKnn:
    """Nearness of texts alone, by an encoder that was never trained on this shop; cold items are scored like all others.

    Attributes
    ----------
    vectors: distinct, of unit length, float32 (n_texts, dim). text_of: which of them each item has, int64 (n_items,).
    """

    vectors: np.ndarray
    text_of: np.ndarray
    config: TextKnnConfig

    @classmethod
    def of(cls, texts: np.ndarray, config: TextKnnConfig) -> TextKnn:
        """From the items' text vectors (n_items, dim), of any length."""
        vectors = np.ascontiguousarray(texts, dtype=np.float32)
        vectors = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
        _, first, text_of = np.unique(vectors.view(f"V{vectors.shape[1] * 4}").ravel(), return_index=True, return_inverse=True)
        return cls(vectors[first], text_of, config)

    def scores(self, users: Histories) -> np.ndarray:
        """float32 (b, n_items)."""
        read = users.with_items(self.text_of)
        if self.config.pool == "mean":
            mean = history_matrix(read, len(self.vectors), self.config.weighting) @ self.vectors
            return (mean @ self.vectors.T)[:, self.text_of]
        recent = read.recent_items(len(self.vectors), self.config.last)
        best = np.zeros((len(users), len(self.vectors)), dtype=np.float32)
        for column in recent.rows.T:  # (b,) one text of each user
            held = np.flatnonzero(column >= 0)
            best[held] = np.maximum(best[held], self.vectors[column[held]] @ self.vectors.T)
        return best[:, self.text_of]


@dataclass(frozen=True)
class TitleKnn:
    """Item-to-item neighbours, plus the TF-IDF cosine between titles: an item of the history adds both, by its weight.

    Attributes
    ----------
    items: the neighbours. titles: csr float32 (n_titles, words), rows of unit length. title_of: int64 (n_items,). share: of the titles.
    """

    items: ItemWeights
    titles: sp.csr_array
    title_of: np.ndarray
    share: float

    def scores(self, users: Histories) -> np.ndarray:
        """float32 (b, n_items)."""
        history = history_matrix(users.with_items(self.title_of), self.titles.shape[0], self.items.weighting)
        alike = ((history @ self.titles) @ self.titles.T).toarray()
        return self.items.scores(users) + np.float32(self.share) * alike[:, self.title_of]


def title_vectors(titles: Sequence[str]) -> tuple[sp.csr_array, np.ndarray]:
    """TF-IDF of the words of the distinct titles, csr float32 (n_titles, words), and which of them each item has, int64 (n_items,)."""
    distinct, title_of = np.unique(np.array(titles, dtype=object).astype(str), return_inverse=True)
    # Letters and digits, single ones too ("PS 3"): the list of English stop words would take "it" of a film's name.
    from sklearn.feature_extraction.text import TfidfVectorizer

    made = TfidfVectorizer(sublinear_tf=True, token_pattern=r"(?u)\b\w+\b", dtype=np.float32).fit_transform(distinct)
    return sp.csr_array(made), title_of
