"""Never-sold items: how likely each of them is to sell soon, and how similar its text is to what the user bought.

A list ranked by purchase probability never shows a never-sold item, because its probability is close to zero next to
any item that sells. A list of never-sold items alone can be ranked well, because first sales are not random: some
categories change their range every month, and shops number products in the order in which they arrive, so the
neighbours of last week's first sales often come next.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
from safetensors.numpy import save

from features.behavior.item_stats import narrow_codes, text_codes
from features.data.interactions import DAY
from features.storage.arrays import arrays_of
from features.storage.sorted_unique import sorted_unique
from retrieval.collaborative.scoring import Weighting, gather, history_matrix

if TYPE_CHECKING:
    from collections.abc import Mapping

    import lightgbm as lgb

    from features.data.catalog import Catalog
    from features.data.histories import Histories
    from features.data.interactions import Interactions

WINDOWS = 3  # past windows that the rate is learned from
PERIODS = (28, 91)  # days over which sales and first sales are counted
REACH = (5, 20, 100)  # neighbours on each side in the order of ids
ROUNDS = 100
TREES = {"objective": "poisson", "learning_rate": 0.05, "num_leaves": 15, "lambda_l2": 5.0, "verbose": -1, "deterministic": True, "seed": 0}
SQUARINGS = 3  # of the cosine, to its 8th power: .9 counts .43, .5 counts .004
MOST_TEXTS = 200  # texts of a user's history, by weight
FLOOR = 0.1  # an item's similarity for a user who has bought nothing similar
HISTORY = Weighting(count="log", half_life=90.0)


@dataclass(frozen=True)
class UnsoldItems:
    """Expected number of buyers of each never-sold item in the next window.

    Attributes
    ----------
    rate : float32 (n_items,)
        Above 0 for items without any event before the cut, 0 for all others.
    """

    rate: np.ndarray

    @classmethod
    def fit(cls, log: Interactions, catalog: Catalog, now: int, days: float = 28.0) -> UnsoldItems:
        """Fit on the last `WINDOWS` windows before `now`: which unsold items were bought within the window.

        The model is a Poisson regression by gradient boosting on counts over the item's text, category and neighbours
        by id. If the log is too short to learn from, all never-sold items get the same rate.

        Parameters
        ----------
        log : Interactions
            Events at or after `now` are ignored.
        catalog : Catalog
        now : int
            The cut, in seconds since the epoch.
        days : float
            Length of a window.

        References
        ----------
        Friedman 2001, "Greedy function approximation: a gradient boosting machine", Annals of Statistics 29(5).
        """
        log, length = log.between(None, now), int(days * DAY)
        groups = (text_codes(catalog), narrow_codes(catalog, "category"))
        order = id_order(catalog)
        rows, bought = [], []
        for back in range(1, WINDOWS + 1):
            start = now - back * length
            before = log.between(None, start)
            if not len(before):
                break
            never_sold = np.bincount(before.item, minlength=log.n_items) == 0
            rows.append(_columns(before, start, groups, order)[never_sold])
            bought.append(_buyers(log.between(start, start + length))[never_sold])
        unsold = np.bincount(log.item, minlength=log.n_items) == 0
        rate = np.where(unsold, 1.0, 0.0).astype(np.float32)
        if unsold.any() and rows and np.concatenate(bought).any():
            model = _fit(np.concatenate(rows), np.concatenate(bought))
            rate[unsold] = model.predict(_columns(log, now, groups, order)[unsold])
        return cls(rate)

    def to_files(self) -> dict[str, bytes]:
        """Return the rates in one safetensors file."""
        return {"debuts.safetensors": save({"rate": self.rate})}

    @classmethod
    def from_files(cls, files: Mapping[str, bytes]) -> UnsoldItems:
        """Read the files of `to_files`."""
        return cls(arrays_of(files, "debuts.safetensors")["rate"])


@dataclass(frozen=True)
class UnsoldScorer:
    """Scorer of never-sold items: square root of the rate times similarity to the history. Implements `ItemScorer`.

    Attributes
    ----------
    unsold_items : UnsoldItems
        The rates.
    vectors : float32 (t, dim)
        Unit vectors of the distinct texts.
    text_of : int64 (n_items,)
        The text of each item.
    """

    unsold_items: UnsoldItems
    vectors: np.ndarray
    text_of: np.ndarray

    @property
    def n_items(self) -> int:
        return len(self.text_of)

    @cached_property
    def _unsold(self) -> np.ndarray:
        return np.flatnonzero(self.unsold_items.rate > 0)

    @cached_property
    def _texts(self) -> tuple[np.ndarray, np.ndarray]:
        """Distinct texts of never-sold items, and the index of each such item's text among them."""
        return np.unique(self.text_of[self._unsold], return_inverse=True)

    def scores(self, users: Histories) -> np.ndarray:
        """Return scores float32 (b, n_items), 0 for items that have been sold.

        The similarity is `FLOOR` plus the sum over the user's texts of weight times the 8th power of the cosine.
        """
        history = history_matrix(users.with_items(self.text_of), len(self.vectors), HISTORY)
        texts, place = self._texts
        out = np.zeros((len(users), self.n_items), dtype=np.float32)
        root = np.sqrt(self.unsold_items.rate[self._unsold])
        candidates = self.vectors[texts].T
        for i in range(len(users)):
            user_texts = history[[i]]
            top = np.argsort(-user_texts.data, kind="stable")[:MOST_TEXTS]
            similarity = np.maximum(self.vectors[user_texts.indices[top]] @ candidates, 0)  # (texts of the user, texts)
            for _ in range(SQUARINGS):
                similarity *= similarity  # a general power is far slower
            out[i, self._unsold] = root * (FLOOR + user_texts.data[top] @ similarity)[place]
        return out

    def pair_scores(self, users: Histories, rows: np.ndarray) -> np.ndarray:
        """See `ItemScorer`."""
        return gather(self.scores(users), rows)


def id_order(catalog: Catalog) -> np.ndarray:
    """Return item rows in the order in which a shop assigns ids: by length, then alphabetically (i9 precedes i10)."""
    ids = pl.DataFrame({"id": catalog.ids, "row": np.arange(len(catalog))}, schema={"id": pl.String, "row": pl.Int64})
    return ids.sort(pl.col("id").str.len_chars(), "id")["row"].to_numpy()


def _fit(rows: np.ndarray, bought: np.ndarray) -> lgb.Booster:
    import lightgbm as lgb

    # The minimum leaf size follows the data, so that a small shop still gets trees.
    parameters = TREES | {"min_child_samples": max(1, min(100, len(bought) // 100)), "num_threads": 1}
    return lgb.train(parameters, lgb.Dataset(rows, bought), ROUNDS)


def _buyers(log: Interactions) -> np.ndarray:
    """Return the number of distinct users of each item, int64 (n_items,)."""
    pairs = sorted_unique(log.item.astype(np.int64) * max(log.n_users, 1) + log.user)
    return np.bincount(pairs // max(log.n_users, 1), minlength=log.n_items)


def _columns(log: Interactions, now: int, groups: tuple[np.ndarray, ...], order: np.ndarray) -> np.ndarray:
    """Return the features at `now` that predict an item's first sale, float32 (n_items, features).

    Parameters
    ----------
    log : Interactions
        Events before `now`.
    now : int
        Seconds since the epoch.
    groups : tuple of int arrays (n_items,)
        Codes of the items' texts and categories.
    order : int64 (n_items,)
        See `id_order`.
    """
    first_sale = np.full(log.n_items, -1.0)  # days ago
    np.maximum.at(first_sale, log.item, (now - log.time) / DAY)
    sold = first_sale >= 0
    newly_sold = [sold & (first_sale <= days) for days in PERIODS]
    buyers = [_buyers(log.between(now - days * DAY, now)) for days in PERIODS]
    columns: list[np.ndarray] = []
    for code in groups:
        amounts = [~sold, sold, *newly_sold, *buyers, *(np.where(new, b, 0) for new, b in zip(newly_sold, buyers, strict=True))]
        columns += [np.bincount(code, weights=amount)[code] for amount in amounts]
    place = np.empty(len(order), dtype=np.int64)
    place[order] = np.arange(len(order))
    for reach in REACH:
        columns += [_around(amount[order], reach)[place] for amount in (sold, *newly_sold)]
    return np.stack([*columns, place / max(len(place), 1)], axis=1).astype(np.float32)


def _around(amount: np.ndarray, reach: int) -> np.ndarray:
    """Return the sum over each position and the `reach` positions on each side of it."""
    total = np.concatenate([[0], np.cumsum(amount)])
    at = np.arange(len(amount))
    return total[np.minimum(at + reach + 1, len(amount))] - total[np.maximum(at - reach, 0)]
