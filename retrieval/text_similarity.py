"""Similarity of an item's words to those of the last items of a history: what a shop knows before it knows its customers.

A shop with few customers has hardly seen two of its items bought together, and most of what is bought next was never sold before. The words
of a title say what follows from the first purchase on.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import scipy.sparse as sp

from features.names import BRAND, TITLE, WORDS_LAST, WORDS_SIMILARITY
from retrieval.collaborative.scoring import TopScores, batches, gather

if TYPE_CHECKING:
    from features.data.histories import Histories
    from retrieval.candidates import Candidates
    from retrieval.lexical.index import LexicalIndex

LAST = 10  # distinct texts of a history that are compared, the newest
FADE = 0.9  # weight of a text of the history relative to the next newer one
FIELDS = {TITLE: 1.0, BRAND: 0.3}  # weights of the words that are compared
TIE = 1e-4  # the most that sales add to a similarity: among equal texts the best seller comes first


@dataclass(frozen=True, eq=False)
class TextSimilarity:
    """Cosine of TF-IDF vectors between items and the last items of a history. Implements `ItemScorer` and `Retriever`.

    Attributes
    ----------
    words : float32 csr (t, n_terms)
        TF-IDF of the distinct texts, rows of unit norm or empty.
    text_of : int64 (n_items,)
        The text of each item.
    sales : float32 (n_items,)
        Order among items of equal similarity.
    """

    words: sp.csr_array
    text_of: np.ndarray
    sales: np.ndarray

    @classmethod
    def of(cls, lexical: LexicalIndex, text_of: np.ndarray, sales: np.ndarray) -> TextSimilarity:
        """Weight the words that search has counted by their rarity; the words of reviews do not count."""
        weights = np.array([FIELDS.get(field, 0.0) for field in lexical.config.weights])
        counts = sp.csr_array(lexical.counts.weighted(weights), dtype=np.float32)
        counts.eliminate_zeros()
        texts_with = np.bincount(counts.indices, minlength=counts.shape[1])
        rarity = 1 + np.log((1 + counts.shape[0]) / (1 + texts_with))
        counts.data = (np.log1p(counts.data) * rarity[counts.indices]).astype(np.float32)
        norms = np.sqrt(np.asarray(counts.multiply(counts).sum(axis=1)).ravel())
        words = sp.csr_array(sp.diags_array(1 / np.where(norms > 0, norms, 1)) @ counts, dtype=np.float32)
        return cls(words, text_of, sales)

    @property
    def n_items(self) -> int:
        return len(self.text_of)

    @cached_property
    def _texts_by_word(self) -> sp.csr_array:
        return self.words.T.tocsr()

    @cached_property
    def _ties(self) -> np.ndarray:
        return (TIE * self.sales / max(float(self.sales.max(initial=0)), 1e-9)).astype(np.float32)

    def scores(self, users: Histories) -> np.ndarray:
        """Return the largest similarity to the last texts, faded from the newest on, float32 (b, n_items); 0 where nothing is similar."""
        similarity = users.once(self, "similarity", lambda: self._similarities(users))[1][:, self.text_of]
        return np.where(similarity > 0, similarity + self._ties, 0)

    def _similarities(self, users: Histories) -> tuple[np.ndarray, np.ndarray]:
        """Return the largest similarity to the texts of the last moment, and to the last texts, faded, float32 (b, t) each."""
        recent = users.with_items(self.text_of).recent_items(self.words.shape[0], LAST)
        shape = (len(users), self.words.shape[0])
        last, faded = np.zeros(shape, dtype=np.float32), np.zeros(shape, dtype=np.float32)
        for user, (texts, ages) in enumerate(zip(recent.rows, recent.age, strict=True)):
            newest, age = texts[texts >= 0][::-1], ages[texts >= 0][::-1]
            if not len(newest):
                continue
            cosine = (self.words[newest] @ self._texts_by_word).toarray()
            # Everything of one moment is equally new.
            step = np.concatenate([[0], np.cumsum(np.diff(age) > 0)]).astype(np.float32)
            last[user] = cosine[step == 0].max(axis=0)
            faded[user] = (cosine * np.power(np.float32(FADE), step)[:, None]).max(axis=0)
        return last, faded

    def pair_scores(self, users: Histories, rows: np.ndarray) -> np.ndarray:
        """Return `scores` of catalogue rows (b, k) without the part of the sales, float32 (b, k); 0 where the row is -1."""
        return self.features(users, rows)[WORDS_SIMILARITY]

    def features(self, users: Histories, rows: np.ndarray) -> dict[str, np.ndarray]:
        """Return both similarities of catalogue rows (b, k), float32 (b, k) each; 0 where the row is -1."""
        out = {name: np.zeros(rows.shape, dtype=np.float32) for name in (WORDS_LAST, WORDS_SIMILARITY)}
        for part in batches(len(users)):
            some = users if len(part) == len(users) else users.take(part)
            texts = np.where(rows[part] >= 0, self.text_of[np.maximum(rows[part], 0)], -1)
            for name, found in zip(out, some.once(self, "similarity", lambda some=some: self._similarities(some)), strict=True):
                out[name][part] = gather(found, texts)
        return out

    def retrieve(self, users: Histories, k: int, allowed: np.ndarray | None = None) -> Candidates:
        """See `Retriever`."""
        return TopScores(self, WORDS_SIMILARITY).retrieve(users, k, allowed)
