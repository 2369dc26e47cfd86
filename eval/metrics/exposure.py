"""Exposure of items: how lists spread over items, brands and prices, compared with the catalogue and with purchases."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np

BANDS = 5  # price bands, with equally many known items each
LARGEST = 10  # brands that are listed by name


@dataclass(frozen=True)
class Exposure:
    """Shares of one brand or price band, each 0 to 1.

    Attributes
    ----------
    shown : share of the exposure
    bought : share of the purchases before the cut
    catalogue : share of the known items
    """

    name: str
    shown: float
    bought: float
    catalogue: float


def seen(rows: np.ndarray, n_items: int) -> np.ndarray:
    """Return the exposure of each item: the sum of 1 / log2(1 + place) over the places it holds in any list.

    Parameters
    ----------
    rows : int (b, k), catalogue rows, best first, padded with -1

    Returns
    -------
    float (n_items,)

    References
    ----------
    Singh and Joachims (2018), KDD, "Fairness of exposure in rankings", section 3.
    """
    weight = np.broadcast_to(1 / np.log2(np.arange(2, rows.shape[1] + 2)), rows.shape)
    filled = rows >= 0
    return np.bincount(rows[filled], weights=weight[filled], minlength=n_items)


def gini(exposure: np.ndarray) -> float:
    """Return the Gini coefficient of the items' exposure: 0 where all are equal, near 1 where one item has everything.

    G = sum over i of (2 i - n - 1) x_i / (n * sum of x), with x sorted upwards and i from 1. Ties do not matter. It
    grows with the number of items that could be shown.

    Parameters
    ----------
    exposure : float (n,), not negative

    Returns
    -------
    0 to 1; nan where nothing is shown

    References
    ----------
    Fleder and Hosanagar (2009), Management Science 55(5).
    """
    n, total = len(exposure), exposure.sum()
    if not total:
        return float("nan")
    ranks = np.arange(1, n + 1)
    return float(((2 * ranks - n - 1) * np.sort(exposure)).sum() / (n * total))


def popularity(rows: np.ndarray, buyers: np.ndarray, n_buyers: int, k: int) -> np.ndarray:
    """Return the average recommendation popularity (ARP) of each list.

    ARP@k = mean over a list's first k items of (buyers of the item / `n_buyers`).

    Parameters
    ----------
    rows : int (b, k'), padded with -1
    buyers : int (n_items,), distinct buyers of each item before the cut
    n_buyers : users with a purchase before the cut

    Returns
    -------
    float (b,), 0 to 1; nan for an empty list

    References
    ----------
    Yin, Cui, Li, Yao, Chen (2012), PVLDB 5(9); Abdollahpouri, Burke, Mobasher (2019), FLAIRS.
    """
    top = rows[:, :k]
    filled = top >= 0
    share = np.where(filled, buyers[np.maximum(top, 0)], 0).sum(axis=1) / max(n_buyers, 1)
    return np.where(filled.any(axis=1), share / np.maximum(filled.sum(axis=1), 1), np.nan)


def price_bands(prices: np.ndarray, known: np.ndarray) -> tuple[np.ndarray, list[str]]:
    """Assign each item to a price band.

    Parameters
    ----------
    prices : float (n_items,), nan where unknown
    known : bool (n_items,), the items that are cut into `BANDS` bands of equal size

    Returns
    -------
    The band of each item, int64 (n_items,), and the names of the bands, cheapest first; the last is "price unknown".
    """
    known_prices = prices[known & ~np.isnan(prices)]
    edges = np.unique(np.quantile(known_prices, np.arange(1, BANDS) / BANDS)) if len(known_prices) else np.empty(0)
    band = np.where(np.isnan(prices), len(edges) + 1, np.searchsorted(edges, prices, side="right"))
    ends = [f"{edge:.2f}" for edge in edges]
    between = (f"{low} to {high}" for low, high in itertools.pairwise(ends))
    names = [f"below {ends[0]}", *between, f"{ends[-1]} and more"] if ends else ["all prices"]
    return band, [*names, "price unknown"]


def brands(codes: np.ndarray, names: list[str], known: np.ndarray) -> tuple[np.ndarray, list[str]]:
    """Assign each item to one of the `LARGEST` brands by known items, to "other brands" or to "no brand".

    Parameters
    ----------
    codes : int (n_items,), place in `names`, -1 where an item has no brand
    known : bool (n_items,)

    Returns
    -------
    The group of each item, int64 (n_items,), and the names of the groups.
    """
    counts = np.bincount(codes[known & (codes >= 0)], minlength=len(names))
    largest = [code for code in np.argsort(-counts, kind="stable")[:LARGEST].tolist() if counts[code]]
    place = np.full(len(names) + 1, len(largest), dtype=np.int64)  # -1 indexes the last
    place[largest], place[-1] = np.arange(len(largest)), len(largest) + 1
    return place[codes], [*(names[code] for code in largest), "other brands", "no brand"]


def shares(group: np.ndarray, names: list[str], shown: np.ndarray, bought: np.ndarray, known: np.ndarray) -> list[Exposure]:
    """Return the shares of each group that is not empty.

    Parameters
    ----------
    group : int (n_items,), place in `names`
    shown : float (n_items,), exposure
    bought : int (n_items,), purchases
    known : bool (n_items,), whether the item is in the catalogue at the cut
    """

    def share(weights: np.ndarray) -> np.ndarray:
        total = np.bincount(group, weights=weights, minlength=len(names))
        return total / max(float(total.sum()), 1e-12)

    columns = zip(names, *(share(weights.astype(float)).tolist() for weights in (shown, bought, known)), strict=True)
    return [Exposure(*column) for column in columns if any(column[1:])]
