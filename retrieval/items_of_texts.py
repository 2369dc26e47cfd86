"""The items of each distinct text: an index holds a text once, and many items may share it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np


@dataclass(frozen=True)
class ItemsOfTexts:
    """Items by their text, best sellers first.

    Attributes
    ----------
    text_of : the text of each item, int64 (n_items,).
    sales : order among items of one text, float (n_items,).
    n_texts : number of texts.
    """

    text_of: np.ndarray
    sales: np.ndarray
    n_texts: int

    @cached_property
    def _by_text(self) -> np.ndarray:
        """Items sorted by text, best sellers first, int64 (n_items,)."""
        return np.lexsort((np.arange(len(self.text_of)), -self.sales, self.text_of))

    @cached_property
    def _starts(self) -> np.ndarray:
        """Offset of each text's items in `_by_text`, int64 (n_texts + 1,)."""
        return np.searchsorted(self.text_of[self._by_text], np.arange(self.n_texts + 1))

    def texts_with(self, mask: np.ndarray) -> np.ndarray:
        """Return which texts have an item of the mask, bool (n_items,) or (b, n_items): bool (n_texts,) or (b, n_texts)."""
        return np.logical_or.reduceat(mask[..., self._by_text], self._starts[:-1], axis=-1)

    def of(self, texts: np.ndarray, mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the items of some texts (m,) that are in a mask, bool (n_items,), text by text, and each item's place in `texts`."""
        begin, counts = self._starts[texts], np.diff(self._starts)[texts]
        offsets = np.cumsum(counts) - counts
        items = self._by_text[np.arange(counts.sum()) + np.repeat(begin - offsets, counts)]
        kept = mask[items]
        return items[kept], np.repeat(np.arange(len(texts)), counts)[kept]
