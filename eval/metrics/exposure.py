"""Who gets seen: how lists spread over items, brands and prices, against the catalogue and against what people buy."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np

BANDS = 5  # of price, with equally many known items in each
LARGEST = 10  # brands that are told by name


@dataclass(frozen=True)
class Exposure:
    """Shares of one brand or price band, each 0 to 1: of the places shown, of the purchases before the cut, of the known items."""

    name: str
    shown: float
    bought: float
    catalogue: float


def seen(rows: np.ndarray, n_items: int) -> np.ndarray:
    """Exposure of each item, float (n_items,), by lists (b, k): 1 / log2(1 + place) for each place that it holds.

    Singh and Joachims (2018), KDD, "Fairness of exposure in rankings", section 3.
    """
    weight = np.broadcast_to(1 / np.log2(np.arange(2, rows.shape[1] + 2)), rows.shape)
    held = rows >= 0
    return np.bincount(rows[held], weights=weight[held], minlength=n_items)


def gini(exposure: np.ndarray) -> float:
    """How unequal the exposure of items (n,) is: 0 where all have the same, near 1 where one has all; nan where nothing is shown.

    Fleder and Hosanagar (2009), Management Science 55(5). It grows with the number of items that could be shown.
    """
    n, total = len(exposure), exposure.sum()
    if not total:
        return float("nan")
    ranks = np.arange(1, n + 1)
    return float(((2 * ranks - n - 1) * np.sort(exposure)).sum() / (n * total))


def popularity(rows: np.ndarray, buyers: np.ndarray, n_buyers: int, k: int) -> np.ndarray:
    """Average recommendation popularity of each list (b,): mean share of the users who had bought its first k items; nan for an empty list.

    buyers: distinct buyers of each item before the cut, int (n_items,), of n_buyers. Yin, Cui, Li, Yao, Chen (2012), PVLDB 5(9);
    Abdollahpouri, Burke, Mobasher (2019), FLAIRS.
    """
    top = rows[:, :k]
    held = top >= 0
    share = np.where(held, buyers[np.maximum(top, 0)], 0).sum(axis=1) / max(n_buyers, 1)
    return np.where(held.any(axis=1), share / np.maximum(held.sum(axis=1), 1), np.nan)


def price_bands(prices: np.ndarray, known: np.ndarray) -> tuple[np.ndarray, list[str]]:
    """Band of each item, int64 (n_items,), and the bands' names, cheap ones first; the last is of unknown price.

    prices: float (n_items,), nan where unknown. known: the items by which bands are cut into `BANDS` of equal size, bool (n_items,).
    """
    told = prices[known & ~np.isnan(prices)]
    edges = np.unique(np.quantile(told, np.arange(1, BANDS) / BANDS)) if len(told) else np.empty(0)
    band = np.where(np.isnan(prices), len(edges) + 1, np.searchsorted(edges, prices, side="right"))
    ends = [f"{edge:.2f}" for edge in edges]
    between = (f"{low} to {high}" for low, high in itertools.pairwise(ends))
    names = [f"below {ends[0]}", *between, f"{ends[-1]} and more"] if ends else ["all prices"]
    return band, [*names, "price unknown"]


def brands(codes: np.ndarray, names: list[str], known: np.ndarray) -> tuple[np.ndarray, list[str]]:
    """The same for the `LARGEST` brands by known items, all others together, and items without one.

    codes: int (n_items,), place in `names`, -1 where there is none.
    """
    counts = np.bincount(codes[known & (codes >= 0)], minlength=len(names))
    largest = [code for code in np.argsort(-counts, kind="stable")[:LARGEST].tolist() if counts[code]]
    place = np.full(len(names) + 1, len(largest), dtype=np.int64)  # the last is what -1 finds
    place[largest], place[-1] = np.arange(len(largest)), len(largest) + 1
    return place[codes], [*(names[code] for code in largest), "other brands", "no brand"]


def shares(group: np.ndarray, names: list[str], shown: np.ndarray, bought: np.ndarray, known: np.ndarray) -> list[Exposure]:
    """The groups that hold anything.

    group: place in `names`, int (n_items,). shown: exposure, bought: purchases, known: in the catalogue, each (n_items,).
    """

    def share(weights: np.ndarray) -> np.ndarray:
        total = np.bincount(group, weights=weights, minlength=len(names))
        return total / max(float(total.sum()), 1e-12)

    columns = zip(names, *(share(weights.astype(float)).tolist() for weights in (shown, bought, known)), strict=True)
    return [Exposure(*column) for column in columns if any(column[1:])]
