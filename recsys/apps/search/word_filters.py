"""Which items meet the filters that were read from a query's words, and which of the filters are dropped."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ranking.filters import Filters

if TYPE_CHECKING:
    from collections.abc import Sequence

    from features.data.histories import Histories
    from recsys.snapshot.snapshot import Snapshot
    from retrieval.lexical.filters.exclusions import TitledTexts
    from retrieval.lexical.query import QueryFilter


def meeting(snapshot: Snapshot, one: QueryFilter, users: Histories, texts: TitledTexts) -> np.ndarray:
    """Return which items meet a filter, bool (n_items,).

    A text that says that it is without something is not excluded for naming it.
    """
    if one.kind == "without":
        words, texts = str(one.value), texts.remembering()
        named = np.setdiff1d(texts.holding(words), texts.saying_without(words), assume_unique=True)
        return ~np.isin(snapshot.text_of, named)
    if one.kind == "brand":
        return (snapshot.catalog.frame["brand"] == one.value).fill_null(value=False).to_numpy()
    match one.value:
        case tuple() as paths:
            return snapshot.catalog.frame["category"].is_in(paths).fill_null(value=False).to_numpy()  # whole paths of this catalogue
        case float() as price:
            filters = Filters(min_price=price) if one.kind == "min_price" else Filters(max_price=price)
        case _:
            filters = Filters(in_stock=True)
    return filters.allowed(snapshot.catalog, snapshot.prices, users)


def relaxed(each: Sequence[np.ndarray], allowed: np.ndarray, fitting: np.ndarray) -> tuple[list[int], np.ndarray]:
    """Drop as few filters as leave something of what was asked for; of several ways the one that keeps the first filters.

    Parameters
    ----------
    each : which items meet each filter, bool (n_items,).
    allowed : what the options of the request allow, bool (n_items,).
    fitting : items that have the query's words, bool (n_items,). If none of them is allowed, any item will do.

    Returns
    -------
    dropped : places of the filters.
    allowed : what the others leave, bool (n_items,).
    """
    wanted = allowed & fitting
    wanted = wanted if wanted.any() else allowed
    if not wanted.any():  # the options alone leave nothing
        return [], np.logical_and.reduce([allowed, *each])
    met = np.sum([np.zeros(len(allowed), dtype=np.int64), *each], axis=0)
    best = wanted & (met == met[wanted].max())  # an item that meets most filters says which the fewest are that must go
    dropped, left = [], allowed
    for place, mask in enumerate(each):
        if (best & mask).any():
            best, left = best & mask, left & mask
        else:
            dropped.append(place)
    return dropped, left
