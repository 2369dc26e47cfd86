"""All ways of finding candidates, joined into one list: own past purchases, collaborative filtering, the towers, what sells now.

The lists are fused by reciprocal rank (Cormack et al. 2009), so that no source's scale matters; each source's own score stays beside
every candidate as evidence, whoever found it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from features.storage.sorted_unique import sorted_unique
from retrieval.candidates import Candidates
from retrieval.collaborative.popularity import Trended
from retrieval.collaborative.repeat_purchases import RepeatPurchases
from retrieval.collaborative.scoring import TopOfAll, TopScores, batches

if TYPE_CHECKING:
    from collections.abc import Iterator

    from features.data.histories import Histories
    from retrieval.candidates import Retriever
    from retrieval.collaborative.config import RetrievalConfig
    from retrieval.collaborative.models import Collaborative
    from retrieval.new_items.arrivals import Arrivals
    from retrieval.two_tower.retriever import TwoTowerRetriever

FUSION = 60  # the constant of reciprocal rank fusion, as in the paper


@dataclass(frozen=True)
class HybridRetriever:
    """Every source's best, fused; the evidence of all sources for all candidates."""

    collaborative: Collaborative
    towers: TwoTowerRetriever
    config: RetrievalConfig
    arrivals: Arrivals | None = None

    @property
    def n_items(self) -> int:
        return self.collaborative.popularity.n_items

    @cached_property
    def _sources(self) -> dict[str, tuple[Retriever, int]]:
        models, config = self.collaborative, self.config
        more = {"markov": (TopScores(models.markov, "markov"), config.markov)} if models.markov else {}
        kept = {"arrival": (TopScores(self.arrivals, "arrival"), config.arrivals)} if self.arrivals else {}
        return {
            **kept,
            "own": (RepeatPurchases(self.n_items), config.repeat_purchases),
            "ease": (TopScores(Trended(models.ease, models.popularity), "ease_trend"), config.ease),
            "item_knn": (TopScores(models.item_knn, "item_knn"), config.item_knn),
            "als": (TopScores(models.als, "als"), config.als),
            "tower": (self.towers, config.tower),
            "popular": (TopOfAll(models.popularity.ranking, "popular"), config.popular),
            **more,
        }

    def retrieve(self, users: Histories, k: int, allowed: np.ndarray | None = None) -> Candidates:
        """At most k candidates a user, best fused rank first; every source looks only among the allowed items."""
        parts = []
        for part in batches(len(users)):
            mask = allowed if allowed is None or allowed.ndim == 1 else allowed[part]
            some = users if len(part) == len(users) else users.take(part)
            rows, scores, tower_rank = self._fused(some, k, mask)
            # At once: what the models said of these users is still known.
            parts.append((rows, scores, self.features(some, rows) | {"tower_rank": tower_rank}))
        if not parts:
            nothing = np.full((0, 1), -1, dtype=np.int64)
            rank = {"tower_rank": np.zeros((0, 1), np.float32)}
            return Candidates(users, nothing, np.zeros((0, 1), np.float32), self.features(users, nothing) | rank)
        rows = np.concatenate([rows for rows, _, _ in parts])
        width = max(1, int((rows >= 0).sum(axis=1).max(initial=1)))
        scores = np.concatenate([scores for _, scores, _ in parts])[:, :width]
        features = {name: np.concatenate([found[name] for _, _, found in parts])[:, :width] for name in parts[0][2]}
        return Candidates(users, rows[:, :width], scores, features)

    def _found(self, users: Histories, allowed: np.ndarray | None) -> Iterator[tuple[str, np.ndarray]]:
        """What each source that is asked names, rows (b, quota), -1 where it names fewer."""
        for name, (retriever, quota) in self._sources.items():
            if quota:
                yield name, retriever.retrieve(users, quota, allowed).rows

    def places(self, users: Histories, rows: np.ndarray, allowed: np.ndarray | None = None) -> dict[str, np.ndarray]:
        """The place, from 0, at which each source by itself names candidates (b, k): int64 (b, k), -1 where it does not."""
        out = {}
        for name, found in self._found(users, allowed):
            same = (found[:, :, None] == rows[:, None, :]) & (rows >= 0)[:, None, :]  # (b, quota, k)
            out[name] = np.where(same.any(axis=1), same.argmax(axis=1), -1)
        return out

    def _fused(self, users: Histories, k: int, allowed: np.ndarray | None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Rows, fused scores, and the place that the towers alone gave each (nan: none), of a small batch, (b, k) each."""
        named: list[tuple[np.ndarray, np.ndarray]] = []
        towers: tuple[np.ndarray, np.ndarray] | None = None
        for name, found in self._found(users, allowed):
            user, place = np.nonzero(found >= 0)
            named.append((user * self.n_items + found[user, place], place))
            towers = named[-1] if name == "tower" else towers
        # Of the whole catalogue few items are named: they alone are counted and sorted.
        key = sorted_unique(np.concatenate([np.zeros(0, dtype=np.int64), *(mine for mine, _ in named)]))
        fused, rank = np.zeros(len(key), dtype=np.float32), np.full(len(key), np.nan, dtype=np.float32)
        for mine, place in named:
            fused[np.searchsorted(key, mine)] += 1 / (FUSION + 1 + place)  # a source names an item once
        if towers is not None:
            rank[np.searchsorted(key, towers[0])] = towers[1]
        user, row = key // self.n_items, key % self.n_items
        order = np.lexsort((row, -fused, user))
        place = np.arange(len(order)) - np.searchsorted(user, user)  # `key` is sorted by user, so `order` leaves users where they are
        order, at = order[place < k], (user[place < k], place[place < k])
        rows, scores, ranks = (np.full((len(users), k), fill) for fill in (np.int64(-1), np.float32(-np.inf), np.float32(np.nan)))
        rows[at], scores[at], ranks[at] = row[order], fused[order], rank[order]
        return rows, scores, ranks

    def features(self, users: Histories, rows: np.ndarray) -> dict[str, np.ndarray]:
        """Each model's score of each candidate (b, k), float32; "arrival" only where there are any, nan for all other items."""
        models = self.collaborative
        out = {"ease": models.ease.pair_scores(users, rows), "item_knn": models.item_knn.pair_scores(users, rows)}
        out["ease_trend"] = out["ease"] * models.popularity.trend[np.maximum(rows, 0)]
        out["als"] = models.als.pair_scores(users, rows)
        for name, model in (("markov", models.markov), ("next_item", models.next_item)):
            if model:
                out[name] = model.pair_scores(users, rows)
        out["tower"] = self.towers.pair_scores(users, rows)
        if self.arrivals:
            near = self.arrivals.pair_scores(users, rows)
            out["arrival"] = np.where(near > 0, near, np.nan).astype(np.float32)
        return out
