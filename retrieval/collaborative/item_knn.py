"""Item-based k nearest neighbours (ItemKNN): items with similar buyers."""

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
    """Parameters of ItemKNN.

    Attributes
    ----------
    weighting : Weighting
        How a history becomes a vector.
    measure : str
        "cosine" over buyers, "tfidf" (cosine after TF-IDF weighting) or "bm25" (dot product after BM25 weighting).
    min_buyers : int
        Items with fewer buyers have no neighbours: one buyer does not make two items similar.
    keep : int
        Neighbours of an item.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    weighting: Weighting = Weighting()
    measure: Literal["cosine", "tfidf", "bm25"] = "cosine"
    min_buyers: int = Field(default=2, ge=1)
    keep: int = Field(default=100, ge=1)


class ItemToItem(ItemWeights):
    """The nearest neighbours of each item by its buyers, see `ItemToItemConfig`."""

    @classmethod
    def fit(cls, log: Interactions, config: ItemToItemConfig | None = None) -> ItemToItem:
        """Fit with implicit, which does not hold the whole (n_items, n_items) matrix."""
        from implicit.nearest_neighbours import all_pairs_knn, bm25_weight, normalize, tfidf_weight

        config = config or ItemToItemConfig()
        matrix = log_matrix(log, config.weighting).astype(np.float64)
        matrix.data[np.bincount(matrix.indices, minlength=log.n_items)[matrix.indices] < config.min_buyers] = 0
        matrix.eliminate_zeros()
        # The TF-IDF weight of an item that every user bought is 0, and its normalised column is 0 / 0.
        with np.errstate(invalid="ignore"):
            by_item = sp.coo_matrix(matrix.T)
            if config.measure == "bm25":
                by_item = bm25_weight(by_item, K1=1.2, B=0.75)
            else:
                by_item = normalize(tfidf_weight(by_item) if config.measure == "tfidf" else by_item)
            weighted = sp.csr_matrix(by_item.T)
        weighted.data = np.nan_to_num(weighted.data)
        # One more, because the nearest neighbour of an item is itself.
        neighbours = all_pairs_knn(weighted, config.keep + 1, show_progress=False)
        valid = (neighbours.row != neighbours.col) & (neighbours.data > 0)
        index = (neighbours.row[valid], neighbours.col[valid])
        weights = sp.coo_array((neighbours.data[valid], index), shape=(log.n_items, log.n_items), dtype=np.float32)
        return cls(weights.tocsr(), config.weighting)
