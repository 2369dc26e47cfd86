"""What customers clicked and bought after a query: the search log's own evidence about a query and an item.

A click far down a list says more than one at its top, where everything is looked at. So each counts 1 / propensity of its place
(Joachims, Swaminathan and Schnabel 2017, WSDM).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Self

import numpy as np
from safetensors.numpy import save

from features.behavior.click_propensities import ClickPropensities
from features.names import CART, CLICK, PURCHASE, SEARCH_EVENTS, SHOWN
from features.storage.arrays import arrays_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from features.data.queries import Queries

GAIN = {CLICK: 1.0, CART: 2.0, PURCHASE: 3.0}  # a purchase follows a click, and each has a row
PRIOR = 20.0  # shows without a click that every pair of a query and an item starts with


@dataclass(frozen=True)
class QueryClicks:
    """Evidence for pairs of a query and an item.

    Attributes
    ----------
    keys : object (q,), the queries' keys, sorted.
    offsets : int64 (q + 1,), where each query's items begin.
    item : int32 (n,), catalogue rows, ascending within a query.
    value : float32 (n,), gain a show, shrunk towards 0.
    """

    keys: np.ndarray
    offsets: np.ndarray
    item: np.ndarray
    value: np.ndarray

    @classmethod
    def empty(cls) -> Self:
        """Return the evidence of a shop without a search log."""
        return cls(np.zeros(0, dtype=object), np.zeros(1, np.int64), np.zeros(0, np.int32), np.zeros(0, np.float32))

    @classmethod
    def count(cls, log: Queries, key_of: Callable[[str], str], *, debiased: bool = True, share: float = 1.0) -> Self:
        """Count the log.

        Parameters
        ----------
        key_of : maps a query to its key, so that wordings of the same query count together; "" leaves a query out.
        debiased : whether a click counts by the propensity of its place; otherwise each counts 1.
        share : of the log whose level the values are to have, if `log` is a part of it: the longer a log, the less `PRIOR` weighs.
        """
        keys = np.array([key_of(text) for text in log.texts.tolist()], dtype=str)
        used = (log.item >= 0) & (keys[log.query] != "")
        # Of these rows alone: a query that no row has any more, such as an erased user's, must not be kept.
        texts, row = np.unique(log.query[used], return_inverse=True)
        distinct, of_text = np.unique(keys[texts], return_inverse=True)
        query, item = of_text[row].astype(np.int64), log.item[used].astype(np.int64)
        event, rank = log.event[used], log.rank[used]
        pair, place = np.unique(query * max(log.n_items, 1) + item, return_inverse=True)
        weight = ClickPropensities.estimate(log).weights(rank) if debiased else np.ones(len(rank))
        gains = np.array([GAIN.get(name, 0.0) for name in SEARCH_EVENTS])
        shown = np.bincount(place, event == SEARCH_EVENTS.index(SHOWN), minlength=len(pair))
        gain = np.bincount(place, gains[event] * weight, minlength=len(pair))
        offsets = np.searchsorted(pair // max(log.n_items, 1), np.arange(len(distinct) + 1))
        value = (gain / (np.maximum(shown, share) + share * PRIOR)).astype(np.float32)
        return cls(distinct.astype(object), offsets.astype(np.int64), (pair % max(log.n_items, 1)).astype(np.int32), value)

    @cached_property
    def _row_of(self) -> dict[str, int]:
        return {key: row for row, key in enumerate(self.keys.tolist())}

    def of(self, key: str) -> tuple[np.ndarray, np.ndarray]:
        """Return the items of a query's key, int32 (m,), and their values, float32 (m,)."""
        row = self._row_of.get(key)
        if row is None:
            return self.item[:0], self.value[:0]
        part = slice(self.offsets[row], self.offsets[row + 1])
        return self.item[part], self.value[part]

    def values(self, keys: Sequence[str], rows: np.ndarray) -> np.ndarray:
        """Return the value of candidate rows (b, k) for each query's key, float32 (b, k); 0 without evidence."""
        out = np.zeros(rows.shape, dtype=np.float32)
        for b, key in enumerate(keys):
            item, value = self.of(key)
            if len(item):
                place = np.minimum(np.searchsorted(item, rows[b]), len(item) - 1)
                out[b] = np.where(item[place] == rows[b], value[place], 0)
        return out

    def to_files(self) -> dict[str, bytes]:
        """Return the arrays as safetensors."""
        letters = "\n".join(self.keys.tolist()).encode()
        arrays = {"keys": np.frombuffer(letters, dtype=np.uint8), "offsets": self.offsets, "item": self.item, "value": self.value}
        return {"query_clicks.safetensors": save({name: np.ascontiguousarray(array) for name, array in arrays.items()})}

    @classmethod
    def from_files(cls, files: Mapping[str, bytes]) -> Self:
        """Read the files that `to_files` wrote."""
        arrays = arrays_of(files, "query_clicks.safetensors")
        text = arrays["keys"].tobytes().decode()
        keys = text.split("\n") if len(arrays["offsets"]) > 1 else []
        return cls(np.array(keys, dtype=object), arrays["offsets"], arrays["item"], arrays["value"])
