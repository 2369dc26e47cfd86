"""The recommender: one object that answers a known user, a basket given on the spot, and somebody nobody knows."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from recsys.environment import usable_cores
from recsys.recommend.answers import Answer, Match, Matches
from recsys.recommend.engine import Engine
from recsys.recommend.pipeline import RequestGroup

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy as np

    from features.data.histories import Histories
    from recsys.recommend.request import RecommendOptions
    from retrieval.two_tower.retriever import TwoTowerRetriever

BATCH = 256  # users answered at once


@dataclass(frozen=True)
class Recommender(Engine):
    """A model over a snapshot, asked for lists."""

    def answer(self, options: RecommendOptions, users: Sequence[str | None], recent: Histories | None = None) -> Iterator[Answer]:
        """One answer a user, in order; `options.history` counts for all of them.

        recent: what these users (b) did that the log does not know; only for a few users, who are answered at once.
        """
        parts = [users[start : start + BATCH] for start in range(0, len(users), BATCH)]

        def answers(some: Sequence[str | None]) -> list[Answer]:
            found: dict[int, Answer] = {}
            for at, asked in RequestGroup.groups(self, options, some, recent):
                found |= dict(zip(at.tolist(), asked.tell(asked.rank(asked.retrieve())), strict=True))
            return [found[i] for i in range(len(some))]

        if len(parts) < 2:
            yield from (answer for part in parts for answer in answers(part))
            return
        # numpy, FAISS and LightGBM let other threads work meanwhile. No more at once than there are threads: no lists pile up.
        threads = usable_cores()
        with ThreadPoolExecutor(threads) as pool:
            for start in range(0, len(parts), threads):
                yield from (answer for found in pool.map(answers, parts[start : start + threads]) for answer in found)

    def similar(self, item_id: str, k: int) -> Matches:
        """Items nearest to an item, itself left out."""
        snapshot = self.snapshot
        row = int(snapshot.catalog.rows_or_raise([item_id])[0])
        allowed = snapshot.catalog.available & self.may_show
        allowed[row] = False
        return self._matches(self.retriever.towers, item_id, snapshot.space[snapshot.text_of[row]], k, allowed)

    def search(self, text: str, k: int) -> Matches:
        """Items nearest in meaning to some words."""
        vector = self.model.query_vectors([text])[0]
        return self._matches(self.texts, text, vector, k, self.snapshot.catalog.available & self.may_show)

    def _matches(self, towers: TwoTowerRetriever, query: str, vector: np.ndarray, k: int, allowed: np.ndarray) -> Matches:
        rows, scores = towers.nearest(vector[None], min(k, len(allowed)), allowed)
        found = rows[0][rows[0] >= 0]
        matches = [Match(i + 1, *facts, float(scores[0, i])) for i, facts in enumerate(self.facts(found))]
        return Matches(query, self.bundle_id, tuple(matches))
