"""Retrieval with the two towers: the user vector against the index of the catalogue's texts."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Protocol

import numpy as np

from features.names import TOWER_SCORE
from retrieval.candidates import Candidates
from retrieval.items_of_texts import ItemsOfTexts

if TYPE_CHECKING:
    from features.data.histories import Histories
    from retrieval.index import NearestItems


class UserTower(Protocol):
    """A user tower at inference."""

    def user_vectors(self, users: Histories, item_vectors: np.ndarray) -> np.ndarray:
        """Return user vectors of histories.

        Parameters
        ----------
        users : Histories
            The b users with their histories.
        item_vectors : float32 (n_items, dim)

        Returns
        -------
        float32 (b, dim)
            Of unit norm; zero without history.
        """
        ...


@dataclass(frozen=True)
class TwoTowerRetriever:
    """Retriever by the cosine of user vector and text vector. Implements `Retriever`.

    The index holds one vector for each distinct text. Among the items that share a text, best sellers come first.

    Attributes
    ----------
    tower : UserTower
    vectors : float32 (t, dim)
        Unit vectors of the distinct texts.
    index : NearestItems
        Over `vectors`.
    text_of : int64 (n_items,)
        The text of each item.
    sales : float32 (n_items,)
        Order among items of one text.
    """

    tower: UserTower
    vectors: np.ndarray
    index: NearestItems
    text_of: np.ndarray
    sales: np.ndarray

    @cached_property
    def _items_of(self) -> ItemsOfTexts:
        return ItemsOfTexts(self.text_of, self.sales, len(self.vectors))

    def user_vectors(self, users: Histories) -> np.ndarray:
        """Return user vectors float32 (b, dim); zero without history."""
        return users.once(self.tower, "vectors", lambda: self.tower.user_vectors(users.with_items(self.text_of), self.vectors))

    def retrieve(self, users: Histories, k: int, allowed: np.ndarray | None = None) -> Candidates:
        """See `Retriever`. The first items of all texts come before their second items."""
        queries = self.user_vectors(users)
        rows, scores = self.nearest(queries, k, allowed)
        known = (users.lengths > 0)[:, None]
        rows, scores = np.where(known, rows, -1), np.where(known, scores, -np.inf).astype(np.float32)
        return Candidates(users, rows, scores, {TOWER_SCORE: np.where(rows >= 0, scores, np.nan).astype(np.float32)})

    def nearest(self, queries: np.ndarray, k: int, allowed: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Return the items nearest to given vectors, one item of each text before the second of any.

        Parameters
        ----------
        queries : float32 (b, dim)
        k : int
        allowed : bool (n_items,) or (b, n_items), optional
            Items that may be returned; None allows all.

        Returns
        -------
        rows : int64 (b, k), padded with -1
        scores : float32 (b, k), cosine; -inf where padded
        """
        mask = np.ones(len(self.text_of), dtype=bool) if allowed is None else allowed
        shared = mask.ndim == 1
        texts, cosine = self.index.search(queries, min(k, len(self.vectors)), self._items_of.texts_with(mask))
        rows, scores = np.full((len(queries), k), -1, dtype=np.int64), np.full((len(queries), k), -np.inf, dtype=np.float32)
        for i, (nearest, value) in enumerate(zip(texts, cosine, strict=True)):
            items, place, score = self._items(nearest[nearest >= 0], value[nearest >= 0], mask if shared else mask[i])
            order = np.lexsort((-score, place))[:k]
            rows[i, : len(order)], scores[i, : len(order)] = items[order], score[order]
        return rows, scores

    def pair_scores(self, users: Histories, rows: np.ndarray) -> np.ndarray:
        """Return the cosine of users and rows (b, k), float32 (b, k); nan for padding and users without history."""
        queries = self.user_vectors(users)
        cosine = np.einsum("bd,bkd->bk", queries, self.vectors[self.text_of[np.maximum(rows, 0)]])
        return np.where((rows >= 0) & (users.lengths > 0)[:, None], cosine, np.nan).astype(np.float32)

    def _items(self, texts: np.ndarray, scores: np.ndarray, mask: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the allowed items of texts, the rank of each in its text (0: best seller), and its text's score."""
        items, owner = self._items_of.of(texts, mask)
        place = np.arange(len(items)) - np.searchsorted(owner, owner)
        return items, place, scores[owner]
