"""What people paid for each item, usually and of late."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from features.interactions import Interactions


def median_paid(log: Interactions) -> np.ndarray:
    """Median unit price paid for each item, float (n_items,); nan where none is known."""
    known = ~np.isnan(log.price)
    item, price = log.item[known], log.price[known]
    order = np.lexsort((price, item))
    item, price = item[order], price[order]
    out = np.full(log.n_items, np.nan)
    starts = np.flatnonzero(np.diff(item, prepend=-1))
    sizes = np.diff(np.append(starts, len(item)))
    out[item[starts]] = price[starts + (sizes - 1) // 2]
    return out


def against_usual(log: Interactions, lately: np.ndarray) -> np.ndarray:
    """Log of what was paid lately for each item over what is usually paid, by geometric means, float (n_items,): below 0 is on offer.

    lately: bool (n_events,). nan where nothing was paid lately.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        paid = np.log(log.price)
        means = []
        for some in (lately & np.isfinite(paid), np.isfinite(paid)):
            total = np.bincount(log.item[some], weights=paid[some], minlength=log.n_items)
            means.append(total / np.bincount(log.item[some], minlength=log.n_items))
    return means[0] - means[1]
