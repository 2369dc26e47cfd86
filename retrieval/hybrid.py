"""Hybrid retrieval: one candidate list from repeat purchases, collaborative filtering, the two towers and popularity.

The lists are fused by reciprocal rank, so the scales of the sources do not matter. Every model also scores every
candidate, whichever source found it; these scores are the candidate features.

References
----------
Cormack, Clarke, Buettcher 2009, "Reciprocal rank fusion outperforms Condorcet and individual rank learning methods",
SIGIR.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from features.names import (
    ALS_SCORE,
    ARRIVAL_SCORE,
    EASE_SCORE,
    EASE_TREND_SCORE,
    ITEM_KNN_SCORE,
    MARKOV_SCORE,
    NEXT_ITEM_SCORE,
    REVIEW_EASE_SCORE,
    TOWER_RANK,
    TOWER_SCORE,
)
from features.storage.sorted_unique import sorted_unique
from retrieval.candidates import Candidates
from retrieval.collaborative.popularity import Trended
from retrieval.collaborative.repeat_purchases import RepeatPurchases
from retrieval.collaborative.scoring import TopOfAll, TopScores, batches
from retrieval.new_items.arrivals import OFFERED, Arrivals

if TYPE_CHECKING:
    from collections.abc import Iterator

    from features.data.histories import Histories
    from retrieval.candidates import Retriever
    from retrieval.collaborative.config import RetrievalConfig
    from retrieval.collaborative.models import Collaborative
    from retrieval.text_similarity import TextSimilarity
    from retrieval.two_tower.retriever import TwoTowerRetriever

FUSION = 60  # the constant k of reciprocal rank fusion, as in the paper


@dataclass(frozen=True)
class HybridRetriever:
    """Retriever that fuses the lists of all sources and scores every candidate by every model. Implements `Retriever`.

    Attributes
    ----------
    collaborative : Collaborative
        The collaborative models.
    towers : TwoTowerRetriever
        The two towers.
    config : RetrievalConfig
        Quota of each source.
    arrivals : Arrivals, optional
        Scorer of new items that nobody has bought, by probability.
    texts : TextSimilarity, optional
        Scorer by the words of the last items.
    """

    collaborative: Collaborative
    towers: TwoTowerRetriever
    config: RetrievalConfig
    arrivals: Arrivals | None = None
    texts: TextSimilarity | None = None

    @property
    def n_items(self) -> int:
        return self.collaborative.popularity.n_items

    @cached_property
    def _sources(self) -> dict[str, tuple[Retriever, int]]:
        """Retriever and quota of each source."""
        models, config = self.collaborative, self.config
        markov = {"markov": (TopScores(models.markov, MARKOV_SCORE), config.markov)} if models.markov else {}
        reviews = {"reviews": (TopScores(models.review_ease, REVIEW_EASE_SCORE), config.reviews)} if models.review_ease else {}
        arrivals = {"arrival": (TopScores(self.arrivals, ARRIVAL_SCORE), OFFERED)} if self.arrivals else {}
        texts = {"texts": (self.texts, config.texts)} if self.texts else {}
        return {
            **arrivals,
            "own": (RepeatPurchases(self.n_items), config.repeat_purchases),
            "ease": (TopScores(Trended(models.ease, models.popularity), EASE_TREND_SCORE), config.ease),
            "item_knn": (TopScores(models.item_knn, ITEM_KNN_SCORE), config.item_knn),
            "als": (TopScores(models.als, ALS_SCORE), config.als),
            "tower": (self.towers, config.tower),
            "popular": (TopOfAll(models.popularity.ranking, "popular"), config.popular),
            **markov,
            **reviews,
            **texts,
        }

    def retrieve(self, users: Histories, k: int, allowed: np.ndarray | None = None) -> Candidates:
        """Return at most k candidates a user, best fused score first, see `Retriever`."""
        return self.padded(users, k, allowed).trimmed()

    def padded(self, users: Histories, k: int, allowed: np.ndarray | None = None) -> Candidates:
        """Return what `retrieve` returns, each list padded to k candidates.

        A user's list does not depend on the other users, and to the last bit not on those of other batches of `BATCH` users.
        """
        parts = []
        for part in batches(len(users)):
            mask = allowed if allowed is None or allowed.ndim == 1 else allowed[part]
            batch = users if len(part) == len(users) else users.take(part)
            rows, scores, tower_rank = self._fused(batch, k, mask)
            # Features of this batch now, while the models' scores of these users are cached.
            parts.append((rows, scores, self.features(batch, rows) | {TOWER_RANK: tower_rank}))
        if not parts:
            empty = np.full((0, k), -1, dtype=np.int64)
            rank = {TOWER_RANK: np.zeros((0, k), np.float32)}
            return Candidates(users, empty, np.zeros((0, k), np.float32), self.features(users, empty) | rank)
        rows, scores = (np.concatenate([part[place] for part in parts]) for place in (0, 1))
        features = {name: np.concatenate([columns[name] for _, _, columns in parts]) for name in parts[0][2]}
        return Candidates(users, rows, scores, features)

    def _source_rows(self, users: Histories, allowed: np.ndarray | None) -> Iterator[tuple[str, np.ndarray]]:
        """Yield the list of each source with a quota: rows (b, quota), padded with -1."""
        for name, (retriever, quota) in self._sources.items():
            if quota:
                yield name, retriever.retrieve(users, quota, allowed).rows

    def places(self, users: Histories, rows: np.ndarray, allowed: np.ndarray | None = None) -> dict[str, np.ndarray]:
        """Return the rank of each candidate in each source's list.

        Parameters
        ----------
        users : Histories
        rows : int64 (b, k)
            Candidates; -1 is padding.
        allowed : bool (n_items,) or (b, n_items), optional
            As in `retrieve`.

        Returns
        -------
        dict of str to int64 (b, k)
            Rank from 0 in the list of each source; -1 where the source does not list the candidate.
        """
        out = {}
        for name, listed in self._source_rows(users, allowed):
            same = (listed[:, :, None] == rows[:, None, :]) & (rows >= 0)[:, None, :]  # (b, quota, k)
            out[name] = np.where(same.any(axis=1), same.argmax(axis=1), -1)
        return out

    def _fused(self, users: Histories, k: int, allowed: np.ndarray | None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return rows, fused scores and ranks in the towers' list (nan: not listed) of a small batch, (b, k) each."""
        lists: list[tuple[np.ndarray, np.ndarray]] = []  # keys of (user, item) and ranks, of each source
        towers: tuple[np.ndarray, np.ndarray] | None = None
        for name, listed in self._source_rows(users, allowed):
            user, place = np.nonzero(listed >= 0)
            lists.append((user * self.n_items + listed[user, place], place))
            towers = lists[-1] if name == "tower" else towers
        # Few items of the catalogue are listed: only they are counted and sorted.
        key = sorted_unique(np.concatenate([np.zeros(0, dtype=np.int64), *(source_key for source_key, _ in lists)]))
        fused, rank = np.zeros(len(key), dtype=np.float32), np.full(len(key), np.nan, dtype=np.float32)
        for source_key, place in lists:
            fused[np.searchsorted(key, source_key)] += 1 / (FUSION + 1 + place)  # a source lists an item once
        if towers is not None:
            rank[np.searchsorted(key, towers[0])] = towers[1]
        user, row = key // self.n_items, key % self.n_items
        order = np.lexsort((row, -fused, user))
        place = np.arange(len(order)) - np.searchsorted(user, user)  # `key` is sorted by user, so `order` does not mix users
        order, at = order[place < k], (user[place < k], place[place < k])
        rows, scores, ranks = (np.full((len(users), k), fill) for fill in (np.int64(-1), np.float32(-np.inf), np.float32(np.nan)))
        rows[at], scores[at], ranks[at] = row[order], fused[order], rank[order]
        return rows, scores, ranks

    def features(self, users: Histories, rows: np.ndarray) -> dict[str, np.ndarray]:
        """Return each model's score of candidate rows (b, k), float32 (b, k).

        The column "arrival" exists only where there are arrivals; it is nan for all other items. "review_ease" exists only
        where there are reviews, and the similarities of texts only where they are a source.
        """
        models = self.collaborative
        out = {EASE_SCORE: models.ease.pair_scores(users, rows), ITEM_KNN_SCORE: models.item_knn.pair_scores(users, rows)}
        out[EASE_TREND_SCORE] = out[EASE_SCORE] * models.popularity.trend[np.maximum(rows, 0)]
        out[ALS_SCORE] = models.als.pair_scores(users, rows)
        optional = ((MARKOV_SCORE, models.markov), (NEXT_ITEM_SCORE, models.next_item), (REVIEW_EASE_SCORE, models.review_ease))
        for name, model in optional:
            if model:
                out[name] = model.pair_scores(users, rows)
        if self.texts:
            out |= self.texts.features(users, rows)
        out[TOWER_SCORE] = self.towers.pair_scores(users, rows)
        if self.arrivals:
            chance = self.arrivals.pair_scores(users, rows)
            out[ARRIVAL_SCORE] = np.where(chance > 0, chance, np.nan).astype(np.float32)
        return out
