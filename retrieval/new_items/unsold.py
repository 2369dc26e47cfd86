"""Items that nobody has bought yet, for those who ask for them: how likely each enters sales soon, and how near its text is to the user.

A list that is ranked by chance of purchase never shows what has not been sold: its chance is next to nothing beside anything that sells.
Asked for apart, it can be ranked well, because items do not enter sales at random: some categories change their range every month, and
shops number their goods in the order in which they come, so that the neighbours of what was first sold last week are next.
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

WINDOWS = 3  # past stretches of time that the rate is learned from
PERIODS = (28, 91)  # days of which sales and first sales are counted
REACH = (5, 20, 100)  # neighbours to each side in the order of the ids
ROUNDS = 100
TREES = {"objective": "poisson", "learning_rate": 0.05, "num_leaves": 15, "lambda_l2": 5.0, "verbose": -1, "deterministic": True, "seed": 0}
SQUARINGS = 3  # of the cosine, to its 8th power: .9 counts .43, .5 next to nothing
MOST_TEXTS = 200  # of a user's history, the weightiest
FLOOR = 0.1  # what an item is worth to somebody who has bought nothing near to it
HISTORY = Weighting(count="log", half_life=90.0)


@dataclass(frozen=True)
class UnsoldItems:
    """How many buyers each never-sold item may expect in the days to come.

    Attributes
    ----------
    rate: float32 (n_items,), above 0 for items without any event before `now`, 0 for all others.
    """

    rate: np.ndarray

    @classmethod
    def fit(cls, log: Interactions, catalog: Catalog, now: int, days: float = 28.0) -> UnsoldItems:
        """Learn from the last `WINDOWS` stretches of `days` before `now`: which of the items unsold at their start were then bought.

        Poisson regression by gradient boosting (Friedman 2001) on counts of the item's text, category and neighbours by id. Events at or
        after `now` are left out.
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
            fresh = np.bincount(before.item, minlength=log.n_items) == 0
            rows.append(_columns(before, start, groups, order)[fresh])
            bought.append(_buyers(log.between(start, start + length))[fresh])
        unsold = np.bincount(log.item, minlength=log.n_items) == 0
        rate = np.where(unsold, 1.0, 0.0).astype(np.float32)
        if unsold.any() and rows and np.concatenate(bought).any():
            model = _fit(np.concatenate(rows), np.concatenate(bought))
            rate[unsold] = model.predict(_columns(log, now, groups, order)[unsold])
        return cls(rate)

    def to_files(self) -> dict[str, bytes]:
        """One safetensors file."""
        return {"debuts.safetensors": save({"rate": self.rate})}

    @classmethod
    def from_files(cls, files: Mapping[str, bytes]) -> UnsoldItems:
        """What `to_files` made."""
        return cls(arrays_of(files, "debuts.safetensors")["rate"])


@dataclass(frozen=True)
class UnsoldScorer:
    """Never-sold items for a user: root of the rate, times the nearness of the text to what the user bought. Implements `ItemScorer`.

    Attributes
    ----------
    debuts: the rates. vectors: of the distinct texts, unit norm, float32 (t, dim). text_of: each item's text, int64 (n_items,).
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
        """Texts of never-sold items, and each such item's place among them."""
        return np.unique(self.text_of[self._unsold], return_inverse=True)

    def scores(self, users: Histories) -> np.ndarray:
        """float32 (b, n_items), 0 for whatever has been sold; sum over the user's texts of weight times 8th power of cosine."""
        held = history_matrix(users.with_items(self.text_of), len(self.vectors), HISTORY)
        texts, place = self._texts
        out = np.zeros((len(users), self.n_items), dtype=np.float32)
        root = np.sqrt(self.unsold_items.rate[self._unsold])
        candidates = self.vectors[texts].T
        for i in range(len(users)):
            mine = held[[i]]
            heavy = np.argsort(-mine.data, kind="stable")[:MOST_TEXTS]
            near = np.maximum(self.vectors[mine.indices[heavy]] @ candidates, 0)  # (texts of the user, texts)
            for _ in range(SQUARINGS):
                near *= near  # a general power is far slower
            out[i, self._unsold] = root * (FLOOR + mine.data[heavy] @ near)[place]
        return out

    def pair_scores(self, users: Histories, rows: np.ndarray) -> np.ndarray:
        """See `ItemScorer`."""
        return gather(self.scores(users), rows)


def id_order(catalog: Catalog) -> np.ndarray:
    """Item rows in the order in which a shop would have handed the ids out: short ids first, then by letter, so that i9 precedes i10."""
    ids = pl.DataFrame({"id": catalog.ids, "row": np.arange(len(catalog))}, schema={"id": pl.String, "row": pl.Int64})
    return ids.sort(pl.col("id").str.len_chars(), "id")["row"].to_numpy()


def _fit(rows: np.ndarray, bought: np.ndarray) -> lgb.Booster:
    import lightgbm as lgb

    # A small shop still gets trees.
    parameters = TREES | {"min_child_samples": max(1, min(100, len(bought) // 100)), "num_threads": 1}
    return lgb.train(parameters, lgb.Dataset(rows, bought), ROUNDS)


def _buyers(log: Interactions) -> np.ndarray:
    """Distinct users of each item, int64 (n_items,)."""
    pairs = sorted_unique(log.item.astype(np.int64) * max(log.n_users, 1) + log.user)
    return np.bincount(pairs // max(log.n_users, 1), minlength=log.n_items)


def _columns(log: Interactions, now: int, groups: tuple[np.ndarray, ...], order: np.ndarray) -> np.ndarray:
    """What is known of every item at `now` that may foretell its first sale, float32 (n_items, features).

    log: the events before `now`. groups: codes of the items' texts and categories. order: see `id_order`.
    """
    first = np.full(log.n_items, -1.0)
    np.maximum.at(first, log.item, (now - log.time) / DAY)
    sold = first >= 0
    lately = [sold & (first <= days) for days in PERIODS]
    buyers = [_buyers(log.between(now - days * DAY, now)) for days in PERIODS]
    columns: list[np.ndarray] = []
    for code in groups:
        amounts = [~sold, sold, *lately, *buyers, *(np.where(new, b, 0) for new, b in zip(lately, buyers, strict=True))]
        columns += [np.bincount(code, weights=amount)[code] for amount in amounts]
    place = np.empty(len(order), dtype=np.int64)
    place[order] = np.arange(len(order))
    for reach in REACH:
        columns += [_around(amount[order], reach)[place] for amount in (sold, *lately)]
    return np.stack([*columns, place / max(len(place), 1)], axis=1).astype(np.float32)


def _around(amount: np.ndarray, reach: int) -> np.ndarray:
    """Sum over each place and the `reach` places to each side of it."""
    total = np.concatenate([[0], np.cumsum(amount)])
    at = np.arange(len(amount))
    return total[np.minimum(at + reach + 1, len(amount))] - total[np.maximum(at - reach, 0)]
