"""Item-to-item neighbours by cosine of their buyers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
import scipy.sparse as sp
from pydantic import BaseModel, ConfigDict, Field

from retrieval.collaborative.item_weights import ItemWeights
from retrieval.collaborative.scoring import Weighting, log_matrix

if TYPE_CHECKING:
    from features.data.interactions import Interactions


class ItemToItemConfig(BaseModel):
    """`measure`: how co-purchases are weighed; `keep`: neighbours an item. One buyer alone makes no two things belong together."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    weighting: Weighting = Weighting()
    measure: Literal["cosine", "tfidf", "bm25"] = "cosine"
    min_buyers: int = Field(default=2, ge=1)
    keep: int = Field(default=100, ge=1)


class ItemToItem(ItemWeights):
    """Items bought by the same people, the nearest `keep` an item: cosine over their buyers, by TF-IDF or not, or a dot product by BM25."""

    @classmethod
    def fit(cls, log: Interactions, config: ItemToItemConfig | None = None) -> ItemToItem:
        """The neighbours are found by implicit, without ever holding the whole item x item matrix."""
        from implicit.nearest_neighbours import all_pairs_knn, bm25_weight, normalize, tfidf_weight

        config = config or ItemToItemConfig()
        matrix = log_matrix(log, config.weighting).astype(np.float64)
        matrix.data[np.bincount(matrix.indices, minlength=log.n_items)[matrix.indices] < config.min_buyers] = 0
        matrix.eliminate_zeros()
        # An item that only those bought who bought everything tells nothing: its TF-IDF column is 0 / 0.
        with np.errstate(invalid="ignore"):
            turned = sp.coo_matrix(matrix.T)
            if config.measure == "bm25":
                turned = bm25_weight(turned, K1=1.2, B=0.75)
            else:
                turned = normalize(tfidf_weight(turned) if config.measure == "tfidf" else turned)
            weighted = sp.csr_matrix(turned.T)
        weighted.data = np.nan_to_num(weighted.data)
        # One place more, because the nearest neighbour of an item is itself.
        near = all_pairs_knn(weighted, config.keep + 1, show_progress=False)
        good = (near.row != near.col) & (near.data > 0)
        index = (near.row[good], near.col[good])
        weights = sp.coo_array((near.data[good], index), shape=(log.n_items, log.n_items), dtype=np.float32)
        return cls(weights.tocsr(), config.weighting)
