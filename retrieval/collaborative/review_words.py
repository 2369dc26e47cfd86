"""The words that customers write about items, as side information of collaborative models."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Self

import numpy as np
import polars as pl
import scipy.sparse as sp
from safetensors.numpy import save

from features.data.reviews import NO_TIME
from features.storage.arrays import arrays_of
from retrieval.lexical.analyzer import NO_STEMMING, Analyzer
from retrieval.lexical.term_counts import TermCounts

if TYPE_CHECKING:
    from collections.abc import Mapping

    from features.data.reviews import Reviews

LEAST_REVIEWS = 3  # a word in fewer reviews relates no two items
COMMON = 0.2  # share of the reviews above which a word tells nothing of an item
_FILE = "review_words.safetensors"


@dataclass(frozen=True, eq=False)
class ReviewWords:
    """How often each word stands in each review, from which the words of items before any moment follow.

    Which word a column stands for is not kept: nothing asks.

    Attributes
    ----------
    review : index of each review among the shop's, ascending, int64 (n,).
    item : rows of the catalogue, int32 (n,).
    time : seconds since the epoch, ascending, int64 (n,).
    counts : uint16 csr (n, n_words).
    n_items : items in the catalogue.
    """

    review: np.ndarray
    item: np.ndarray
    time: np.ndarray
    counts: sp.csr_array
    n_items: int

    @classmethod
    def of(cls, reviews: Reviews) -> Self:
        """Count the words of reviews with a text and a time; of equal texts only the earliest counts."""
        texts = pl.DataFrame({"text": reviews.full_text})
        first = texts.select((pl.col("text") != "") & (pl.int_range(pl.len()).over("text") == 0))["text"]
        kept = np.flatnonzero(first.to_numpy() & (reviews.time != NO_TIME))
        # Words are not stemmed: reviews of a shop come in more than one language.
        counted = TermCounts.count(texts[kept], Analyzer(NO_STEMMING))
        counts = sp.csr_array(counted.counts)
        return cls(kept, reviews.item[kept], reviews.time[kept], counts, reviews.n_items)

    def __len__(self) -> int:
        return len(self.review)

    def of_reviews(self, kept: np.ndarray) -> Self:
        """Keep some reviews, given by their index among the shop's."""
        places = np.flatnonzero(np.isin(self.review, kept))
        counts = sp.csr_array(self.counts[places])
        return replace(self, review=self.review[places], item=self.item[places], time=self.time[places], counts=counts)

    def before(self, now: int) -> sp.csr_array | None:
        """Return TF-IDF of the items' words in the reviews before `now`, in seconds since the epoch.

        Returns
        -------
        float64 csr (n_items, n_words), rows of unit norm, empty for items without reviews; None if no word relates two items.
        """
        end = int(np.searchsorted(self.time, now))
        counts = sp.csr_array(self.counts[:end])
        reviews_of = np.bincount(counts.indices, minlength=counts.shape[1])
        telling = np.flatnonzero((reviews_of >= LEAST_REVIEWS) & (reviews_of <= max(COMMON * end, LEAST_REVIEWS)))
        if not len(telling):
            return None
        words = sp.csr_array(counts[:, telling], dtype=np.float64)
        rarity = 1 + np.log((1 + end) / (1 + reviews_of[telling]))
        words.data = (1 + np.log(words.data)) * rarity[words.indices]
        of_item = sp.csr_array((np.ones(end), (self.item[:end], np.arange(end))), shape=(self.n_items, end))
        return _unit_rows(sp.csr_array(of_item @ _unit_rows(words)))

    def to_files(self) -> dict[str, bytes]:
        """Return the arrays as one safetensors file."""
        arrays = {"review": self.review, "item": self.item, "time": self.time, "data": self.counts.data.astype(np.uint16)}
        arrays |= {"columns": self.counts.indices.astype(np.int32), "rows": self.counts.indptr.astype(np.int64)}
        arrays["shape"] = np.array([self.n_items, self.counts.shape[1]], dtype=np.int64)
        return {_FILE: save({name: np.ascontiguousarray(array) for name, array in arrays.items()})}

    @classmethod
    def from_files(cls, files: Mapping[str, bytes]) -> Self | None:
        """Read the file of `to_files`; None if there is none."""
        if _FILE not in files:
            return None
        arrays = arrays_of(files, _FILE)
        n_items, n_words = arrays["shape"].tolist()
        counts = sp.csr_array((arrays["data"], arrays["columns"], arrays["rows"]), shape=(len(arrays["review"]), n_words))
        return cls(arrays["review"], arrays["item"], arrays["time"], counts, n_items)


def _unit_rows(matrix: sp.csr_array) -> sp.csr_array:
    """Return a matrix with rows of unit norm; empty rows stay so."""
    norms = np.sqrt(np.asarray(matrix.multiply(matrix).sum(axis=1)).ravel())
    return sp.csr_array(sp.diags_array(1 / np.where(norms > 0, norms, 1)) @ matrix)
