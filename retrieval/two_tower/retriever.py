"""The two towers as a retriever: a user's vector against the index of the catalogue's texts."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Protocol

import numpy as np

from features.names import TOWER_SCORE
from retrieval.candidates import Candidates

if TYPE_CHECKING:
    from features.data.histories import Histories
    from retrieval.index import ItemIndex


class UserTower(Protocol):
    """Says where a user stands among the items."""

    def user_vectors(self, users: Histories, item_vectors: np.ndarray) -> np.ndarray:
        """User vectors float32 (b, dim) of histories over item vectors (n_items, dim); zero without history."""
        ...


@dataclass(frozen=True)
class TwoTowerRetriever:
    """The two towers as a retriever: the user's vector against the index of text vectors.

    The index holds one vector a distinct text; of the many items that can share a text, the best sellers among the allowed come first.

    Attributes
    ----------
    tower: the user tower. vectors: of the distinct texts, float32 (t, dim). index: over them. text_of: each item's text, int64 (n_items,).
    sales: by which items of one text are preferred, float32 (n_items,).
    """

    tower: UserTower
    vectors: np.ndarray
    index: ItemIndex
    text_of: np.ndarray
    sales: np.ndarray

    @cached_property
    def _by_text(self) -> np.ndarray:
        """Items by text, best sellers first, int64 (n_items,)."""
        return np.lexsort((np.arange(len(self.text_of)), -self.sales, self.text_of))

    @cached_property
    def _starts(self) -> np.ndarray:
        return np.searchsorted(self.text_of[self._by_text], np.arange(len(self.vectors) + 1))

    def user_vectors(self, users: Histories) -> np.ndarray:
        """float32 (b, dim); zero without history."""
        return users.once(self.tower, "vectors", lambda: self.tower.user_vectors(users.with_items(self.text_of), self.vectors))

    def retrieve(self, users: Histories, k: int, allowed: np.ndarray | None = None) -> Candidates:
        """See `Retriever`. One item a text, then the texts' second items, if texts are fewer than k."""
        queries = self.user_vectors(users)
        rows, scores = self.nearest(queries, k, allowed)
        known = (users.lengths > 0)[:, None]
        rows, scores = np.where(known, rows, -1), np.where(known, scores, -np.inf).astype(np.float32)
        return Candidates(users, rows, scores, {TOWER_SCORE: np.where(rows >= 0, scores, np.nan).astype(np.float32)})

    def nearest(self, queries: np.ndarray, k: int, allowed: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Items nearest to vectors (b, dim): rows int64 (b, k) padded -1, cosine float32 (b, k); distinct texts first."""
        mask = np.ones(len(self.text_of), dtype=bool) if allowed is None else allowed
        shared = mask.ndim == 1
        texts, near = self.index.search(queries, min(k, len(self.vectors)), self._texts_with(mask))
        rows, scores = np.full((len(queries), k), -1, dtype=np.int64), np.full((len(queries), k), -np.inf, dtype=np.float32)
        for i, (found, value) in enumerate(zip(texts, near, strict=True)):
            items, place, score = self._items(found[found >= 0], value[found >= 0], mask if shared else mask[i])
            order = np.lexsort((-score, place))[:k]
            rows[i, : len(order)], scores[i, : len(order)] = items[order], score[order]
        return rows, scores

    def pair_scores(self, users: Histories, rows: np.ndarray) -> np.ndarray:
        """Cosine of user and candidate, float32 (b, k); nan for users without history."""
        queries = self.user_vectors(users)
        near = np.einsum("bd,bkd->bk", queries, self.vectors[self.text_of[np.maximum(rows, 0)]])
        return np.where((rows >= 0) & (users.lengths > 0)[:, None], near, np.nan).astype(np.float32)

    def _texts_with(self, mask: np.ndarray) -> np.ndarray:
        """Texts of allowed items: (t,) or (b, t)."""
        return np.logical_or.reduceat(mask[..., self._by_text], self._starts[:-1], axis=-1)

    def _items(self, texts: np.ndarray, near: np.ndarray, mask: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Allowed items of some texts: rows, which of its text's items each is (0 the best seller), score of its text."""
        begin, counts = self._starts[texts], np.diff(self._starts)[texts]
        offsets = np.cumsum(counts) - counts
        items = self._by_text[np.arange(counts.sum()) + np.repeat(begin - offsets, counts)]
        owner = np.repeat(np.arange(len(texts)), counts)[mask[items]]
        items = items[mask[items]]
        place = np.arange(len(items)) - np.searchsorted(owner, owner)
        return items, place, near[owner]
