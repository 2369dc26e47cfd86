"""Customers who have enough: who bought so recently that nothing is due within the window."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from features.behavior.user_item import Groups
from features.names import REPEAT_GAP

if TYPE_CHECKING:
    from features.data.histories import Histories
    from recsys.apps.customers.audience.products import Product
    from recsys.recommend.pipeline import Recommender


def saturated(recommender: Recommender, users: Histories, product: Product, days: float) -> np.ndarray:
    """Return whom nothing is due for within so many days, bool (b,).

    The gap is the customer's own between purchases of the product, else that of all customers of the item. Who bought an item once in a
    shop where nobody buys again has it for good. Of what nobody has bought, nobody has enough.
    """
    nobody = np.zeros(len(users), dtype=bool)
    if product.kind == "unsold":
        return nobody
    mine = np.zeros(len(recommender.snapshot.catalog), dtype=np.int64)
    mine[product.rows] = 1
    groups = Groups.of(users, mine[users.item], 2, ())
    entry = groups.find(np.arange(len(users)), np.ones(1, dtype=np.int64))
    bought, at = entry >= 0, np.maximum(entry, 0)
    if not bought.any():
        return nobody
    if not recommender.snapshot.buys_again:
        return bought
    count, last, first = groups.count[at], groups.last[at], groups.first[at]
    own = np.where(count > 1, (first - last) / np.maximum(count - 1, 1), np.nan)
    usual = float(recommender.snapshot.stats.columns[REPEAT_GAP][product.row]) if product.kind == "sold" else float("nan")
    gap = np.where(np.isnan(own), usual, own)
    return bought & (gap - last > days)  # an unknown gap leaves nobody out
