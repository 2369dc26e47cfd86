"""Fits the expert on items that nobody has bought, for a snapshot."""

from __future__ import annotations

from typing import TYPE_CHECKING

from retrieval.index import ItemIndex
from retrieval.new_items.cold_start import ColdStart

if TYPE_CHECKING:
    import numpy as np

    from features.data.catalog import Catalog
    from features.data.interactions import Interactions
    from features.text.embeddings import TextVectors
    from retrieval.collaborative.als import ALS

DAYS = 28.0  # of a window, as that of the ranker's probabilities


def fit_cold_start(
    catalog: Catalog, log: tuple[Interactions, ALS], now: int, texts: TextVectors, index: ItemIndex | None = None
) -> ColdStart:
    """Fit on a log and the collaborative model of it.

    Parameters
    ----------
    index : of the texts' own vectors; None where there is none, as where the towers learned vectors of items.
    """
    events, als = log
    return ColdStart.fit(events, catalog, now, texts_with(texts, index), als, 1.0 if events.ordinal else DAYS)


def texts_with(texts: TextVectors, index: ItemIndex | None) -> tuple[np.ndarray, np.ndarray, ItemIndex]:
    """Return vectors, the text of each item and an index, as `ColdStart` takes them; without an index one is built."""
    return texts.vectors, texts.text_of, index or ItemIndex.build(texts.vectors)
