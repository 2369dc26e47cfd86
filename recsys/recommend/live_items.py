"""Prices and availability that the shop changed after its catalogue was read, in answers of the bundle that is in use.

Whatever answers reads three arrays: `Snapshot.prices`, `Catalog.available` and `Catalog.stock`. `LiveItems.catch_up` replaces them by
changed copies, and nothing is built anew; a request that has begun may see either. Features of the ranker stay as the build counted them.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from features.data.prices import exact
from features.names import AVAILABLE, STOCK
from recsys.workspace.item_changes import Known

if TYPE_CHECKING:
    from collections.abc import Sequence

    from recsys.snapshot.snapshot import Snapshot
    from recsys.workspace.item_changes import ItemChange, ItemChanges

ITEMS_AS_OF = "items_as_of"  # of `Manifest.about`: when the catalogue was written that a bundle was built from


@dataclass
class LiveItems:
    """The changes of items in one opened snapshot.

    Attributes
    ----------
    as_of : when the catalogue was written, seconds since the epoch; earlier changes give way to it.
    """

    snapshot: Snapshot
    store: ItemChanges
    as_of: float
    _known: Known = field(default_factory=Known)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def catch_up(self) -> int:
        """Read what is new in the store. Returns how many items of the catalogue it is about.

        Raises
        ------
        DataError
            The store cannot be read.
        """
        with self._lock:
            new = self.store.since(self._known)
            if new.known == self._known:
                return 0
            applied = self._apply([change.after(self.as_of) for change in new.changes], whole=new.whole)
            self._known = new.known
            return applied

    def _apply(self, changes: Sequence[ItemChange], *, whole: bool) -> int:
        catalog = self.snapshot.catalog
        if whole:
            prices, available = self.snapshot.stats.current_prices(catalog), catalog.frame[AVAILABLE].to_numpy().copy()
            stock = catalog.frame[STOCK].to_numpy().astype(np.float64)
        else:
            prices, available, stock = self.snapshot.prices.copy(), catalog.available.copy(), catalog.stock.copy()
        rows = catalog.rows([change.item_id for change in changes])
        known = [(row, change) for row, change in zip(rows.tolist(), changes, strict=True) if row >= 0]
        priced = [(row, change.price) for row, change in known if change.price is not None]
        prices[[row for row, _ in priced]] = exact(np.array([price for _, price in priced], dtype=np.float64))
        for row, change in known:
            if change.available is not None:
                available[row] = change.available
                stock[row] = np.nan  # known no more, unless the change says it
            if change.stock is not None:
                stock[row] = change.stock
        # Each is replaced at once: a reader has the old array or the new one, never a half-written one.
        vars(self.snapshot)["prices"] = prices
        vars(catalog)["available"] = available
        vars(catalog)["stock"] = stock
        return sum(change.price is not None or change.available is not None for _, change in known)
