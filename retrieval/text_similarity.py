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
from safetensors.numpy import save

from features.names import TITLE, WORDS_KNN, WORDS_LAST, WORDS_SIMILARITY
from features.storage.arrays import arrays_of
from retrieval.collaborative.scoring import TopScores, batches, gather

if TYPE_CHECKING:
    from collections.abc import Mapping

    from features.data.histories import Histories
    from retrieval.candidates import Candidates
    from retrieval.collaborative.models import Collaborative
    from retrieval.lexical.index import LexicalIndex

LAST = 10  # distinct items of a history that are compared, the newest
FADE = 0.7  # weight of an item of the history relative to one of the next moment
FIELDS = (TITLE,)  # whose words are compared; brand and category have features of their own
TIE = 1e-4  # the most that sales add to a score: among equal texts the best seller comes first


@dataclass(frozen=True, eq=False)
class TextSimilarity:
    """Sum of similarities between an item and the last items of a history. Implements `ItemScorer` and `Retriever`.

    The similarity of two items is the cosine of the TF-IDF vectors of their titles, plus that of their buyers.

    Attributes
    ----------
    words : float32 csr (t, n_terms)
        TF-IDF of the distinct texts, rows of unit norm or empty.
    text_of : int64 (n_items,)
        The text of each item.
    neighbours : float32 csr (n_items, n_items)
        Similarity by buyers.
    sales : float32 (n_items,)
        Order among items of equal similarity.
    """

    words: sp.csr_array
    text_of: np.ndarray
    neighbours: sp.csr_array
    sales: np.ndarray

    @classmethod
    def of(cls, lexical: LexicalIndex, text_of: np.ndarray, models: Collaborative) -> TextSimilarity:
        """Weight the words that search has counted by their rarity."""
        weights = np.array([float(field in FIELDS) for field in lexical.config.weights])
        counts = sp.csr_array(lexical.counts.weighted(weights), dtype=np.float32)
        counts.eliminate_zeros()
        texts_with = np.bincount(counts.indices, minlength=counts.shape[1])
        rarity = 1 + np.log((1 + counts.shape[0]) / (1 + texts_with))
        counts.data = ((1 + np.log(counts.data)) * rarity[counts.indices]).astype(np.float32)
        norms = np.sqrt(np.asarray(counts.multiply(counts).sum(axis=1)).ravel())
        words = sp.csr_array(sp.diags_array(1 / np.where(norms > 0, norms, 1)) @ counts, dtype=np.float32)
        return cls(words, text_of, models.item_knn.weights, models.popularity.ranking)

    def to_files(self) -> dict[str, bytes]:
        """Return the words in safetensors; everything else belongs to the catalogue and to the collaborative models."""
        arrays = {name: getattr(self.words, name) for name in ("data", "indices", "indptr")}
        return {"words.safetensors": save(arrays | {"shape": np.array(self.words.shape)})}

    @classmethod
    def from_files(cls, files: Mapping[str, bytes], text_of: np.ndarray, models: Collaborative) -> TextSimilarity:
        """Read the files of `to_files`."""
        arrays = arrays_of(files, "words.safetensors")
        shape = tuple(arrays["shape"].tolist())
        words = sp.csr_array((arrays["data"], arrays["indices"], arrays["indptr"]), shape=shape)
        return cls(words, text_of, models.item_knn.weights, models.popularity.ranking)

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
        """Return the sums, and a trifle for sales, float32 (b, n_items); 0 where nothing is similar."""
        together = self._similarities(users)[WORDS_KNN]
        return np.where(together > 0, together + self._ties, 0)

    def _similarities(self, users: Histories) -> dict[str, np.ndarray]:
        """Return the features of all items, float32 (b, n_items) each, cached for these users."""
        return users.once(self, "similarities", lambda: self._compute(users))

    def _compute(self, users: Histories) -> dict[str, np.ndarray]:
        recent = users.recent_items(self.n_items, LAST)
        user, place = np.nonzero(recent.rows >= 0)
        # Oldest first: everything of one moment is equally new.
        newer = np.zeros(recent.rows.shape, dtype=np.float32)
        steps = (np.diff(recent.age, axis=1) != 0) & (recent.rows[:, 1:] >= 0)
        newer[:, :-1] = np.cumsum(steps[:, ::-1], axis=1)[:, ::-1]
        newer, item = newer[user, place], recent.rows[user, place]
        shape = (len(users), self.n_items)
        faded = sp.coo_array((np.power(np.float32(FADE), newer), (user, item)), shape=shape).tocsr()
        last = sp.coo_array((np.float32(newer == 0), (user, item)), shape=shape).tocsr()
        by_words = {WORDS_LAST: self._by_words(last), WORDS_SIMILARITY: self._by_words(faded)}
        return by_words | {WORDS_KNN: by_words[WORDS_SIMILARITY] + (faded @ self.neighbours).toarray()}

    def _by_words(self, history: sp.csr_array) -> np.ndarray:
        """Return the weighted sum of the cosines to the items of histories (b, n_items), float32 (b, n_items)."""
        shape = (history.shape[0], self.words.shape[0])
        texts = sp.csr_array((history.data, self.text_of[history.indices], history.indptr), shape=shape)
        return ((texts @ self.words) @ self._texts_by_word).toarray()[:, self.text_of]

    def pair_scores(self, users: Histories, rows: np.ndarray) -> np.ndarray:
        """Return the sums of catalogue rows (b, k), float32 (b, k); 0 where the row is -1."""
        return self.features(users, rows)[WORDS_KNN]

    def features(self, users: Histories, rows: np.ndarray) -> dict[str, np.ndarray]:
        """Return the similarities of catalogue rows (b, k), float32 (b, k) each; 0 where the row is -1.

        By words to what was bought last, by words to the last items, and the sum over these by words and buyers.
        """
        out = {name: np.zeros(rows.shape, dtype=np.float32) for name in (WORDS_LAST, WORDS_SIMILARITY, WORDS_KNN)}
        for part in batches(len(users)):
            found = self._similarities(users if len(part) == len(users) else users.take(part))
            for name, column in out.items():
                column[part] = gather(found[name], rows[part])
        return out

    def retrieve(self, users: Histories, k: int, allowed: np.ndarray | None = None) -> Candidates:
        """See `Retriever`."""
        return TopScores(self, WORDS_KNN).retrieve(users, k, allowed)
