"""Facets: categories, brands and prices of the items that fit a query, and what reviews praise them for, with counts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from recsys.apps.search.answers import PRAISED, Facet

if TYPE_CHECKING:
    from collections.abc import Mapping

    import polars as pl

    from features.reviews.praise import PraisedAspects
    from recsys.snapshot.snapshot import Snapshot

MOST = 10  # values of a facet
RANGES = 4  # of prices, with about as many items each
LEAST_FOR_RANGES = 8  # items with a price


def facets_of(snapshot: Snapshot, shelves: Mapping[str, np.ndarray], praised: PraisedAspects, rows: np.ndarray) -> tuple[Facet, ...]:
    """Return the facets of items (n,); a facet with one value or none narrows nothing and is left out.

    An aspect that all the items are praised for narrows nothing either.

    Parameters
    ----------
    shelves : codes of category and brand, see `ranking.reasons.Reasons.shelves`.
    """
    found = [Facet(name, _values(snapshot.catalog.frame[name], shelves[name], rows)) for name in ("category", "brand")]
    found.append(Facet("price", _ranges(snapshot.prices[rows])))
    found = [facet for facet in found if len(facet.values) > 1]
    if aspects := [(name, count) for name, count in praised.counts(rows).items() if count < len(rows)]:
        found.append(Facet(PRAISED, tuple(aspects[:MOST])))
    return tuple(found)


def _values(names: pl.Series, codes: np.ndarray, rows: np.ndarray) -> tuple[tuple[str, int], ...]:
    """Return the names that most of the items have, and how many; of equally many the one of the first item."""
    held = rows[codes[rows] >= 0]
    _, first, counts = np.unique(codes[held], return_index=True, return_counts=True)
    most = np.lexsort((first, -counts))[:MOST]
    return tuple(zip(names[held[first[most]]].to_list(), counts[most].tolist(), strict=True))


def _ranges(prices: np.ndarray) -> tuple[tuple[str, int], ...]:
    """Return ranges of prices with about equally many items, as "low-high"."""
    known = prices[~np.isnan(prices)]
    if len(known) < LEAST_FOR_RANGES:
        return ()
    edges = np.unique(np.round(np.quantile(known, np.linspace(0, 1, RANGES + 1)), 2))
    if len(edges) < 3:
        return ()
    place = np.clip(np.searchsorted(edges, known, side="right") - 1, 0, len(edges) - 2)
    counts = np.bincount(place, minlength=len(edges) - 1)
    return tuple((f"{low:g}-{high:g}", int(n)) for low, high, n in zip(edges[:-1], edges[1:], counts, strict=True) if n)
