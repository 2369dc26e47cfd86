"""Baselines of search: weighted sums of what is known of a query and an item, each scaled to 0 .. 1 within the query.

"BM25 then popularity" is such a sum with a weight so small that popularity decides between equals alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from eval.metrics.judged import graded_ndcg
from features.behavior.item_stats import distinct_buyers
from features.data.interactions import DAY
from features.data.split import LABEL_EVENTS
from retrieval.topk import top_k

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from eval.search.query_set import QuerySet
    from features.data.interactions import Interactions

# Queries and their users -> float32 (b, n_items), the higher, the better; (1, n_items) where they are the same for all.
Scores = Callable[[Sequence[str], Sequence[str | None]], np.ndarray]
DEPTH = 10_000  # matching items of a query that a mix looks at
BATCH = 128  # queries whose scores of the whole catalogue are held at once
TIES = 1e-4  # a weight that decides between equals alone
HALF_LIFE = 91  # days after which a purchase counts half in `own_purchases`


@dataclass(frozen=True)
class Mix:
    """Ranks items by a weighted sum of scores.

    Attributes
    ----------
    scores : by name
    weights : of some of these names; 0 leaves one out
    matching : the scores of which one must be above its lowest; items where none is are left out
    """

    scores: Mapping[str, Scores]
    weights: Mapping[str, float]
    matching: tuple[str, ...] = ("bm25",)

    def __call__(self, queries: Sequence[str], users: Sequence[str | None], k: int) -> np.ndarray:
        """Return the best k rows of each query, a `SearchRun`."""
        lists = [one.best(self.weights, k) for one in self._candidates(queries, users)]
        return np.stack(lists) if lists else np.empty((0, k), dtype=np.int64)

    def tuned(self, grid: Iterable[Mapping[str, float]], queries: QuerySet, k: int = 10) -> Mix:
        """Return the mix with the weights of a grid that have the best NDCG@k on some queries; the first of equals."""
        choices = [{**self.weights, **one} for one in grid]
        used = {name: max(one.get(name, 0) for one in choices) for name in self.scores}
        lists = [[one.best(weights, k) for weights in choices] for one in replace(self, weights=used)._candidates(*queries.asked)]
        quality = [float(np.nanmean(graded_ndcg(np.stack(some), queries.judgments, k))) for some in zip(*lists, strict=True)]
        return replace(self, weights=choices[int(np.argmax(quality))])

    def _candidates(self, queries: Sequence[str], users: Sequence[str | None]) -> Iterator[_Matching]:
        """Return the matching items of each query, with the scores that have a weight, scaled within the query."""
        used = [name for name, weight in self.weights.items() if weight]
        matching = [name for name in self.matching if name in used]
        for begin in range(0, len(queries), BATCH):
            some = queries[begin : begin + BATCH], users[begin : begin + BATCH]
            scaled = {name: _min_max(self.scores[name](*some)) for name in used}
            for i in range(len(some[0])):
                best = np.maximum.reduce([_of(scaled[name], i) for name in matching])
                rows = np.flatnonzero(best > 0)
                if len(rows) > DEPTH:
                    rows = np.sort(rows[np.argpartition(-best[rows], DEPTH)[:DEPTH]])
                yield _Matching(rows, {name: _of(values, i)[rows] for name, values in scaled.items()})


@dataclass(frozen=True)
class _Matching:
    """Items that match a query, int64 (m,), and the scaled scores of each, float32 (m,)."""

    rows: np.ndarray
    scaled: dict[str, np.ndarray]

    def best(self, weights: Mapping[str, float], k: int) -> np.ndarray:
        """Return the best k rows by a weighted sum, padded with -1; equals in the order of the catalogue."""
        total = np.zeros(len(self.rows), dtype=np.float32)
        for name, values in self.scaled.items():
            total += np.float32(weights.get(name, 0)) * values
        columns = top_k(total[None], k)[0][0]
        return np.where(columns >= 0, self.rows[columns], -1) if len(self.rows) else columns


def popularity(history: Interactions, cut: int, days: float = 28) -> Scores:
    """Return the log of the buyers in the last days, with all-time buyers between equals; the same for every query."""
    bought = np.isin(history.event, LABEL_EVENTS)
    recent, ever = distinct_buyers(history, bought & (history.time >= cut - days * DAY)), distinct_buyers(history, bought)
    scores = np.log1p(recent + ever / (ever.max(initial=0) + 1)).astype(np.float32)
    return lambda _queries, _users: scores[None]


def own_purchases(history: Interactions, cut: int) -> Scores:
    """Return the log of how often the user bought the item, aged by `HALF_LIFE`; 0 for unknown users."""
    bought = np.isin(history.event, LABEL_EVENTS)

    def scores(_queries: Sequence[str], users: Sequence[str | None]) -> np.ndarray:
        out = np.zeros((len(users), history.n_items), dtype=np.float32)
        rows = history.user_rows([user or "" for user in users])
        for i, row in enumerate(rows.tolist()):
            if row >= 0:
                events = slice(*history.offsets[row : row + 2].tolist())
                aged = np.exp2((history.time[events] - cut) / DAY / HALF_LIFE) * bought[events]
                np.add.at(out[i], history.item[events], aged)
        return np.log1p(out)

    return scores


def _of(scores: np.ndarray, query: int) -> np.ndarray:
    return scores[query if len(scores) > 1 else 0]


def _min_max(scores: np.ndarray) -> np.ndarray:
    """Scale the scores of each query to 0 .. 1 over the whole catalogue; scores that are all alike become 0."""
    lowest, highest = (reduce(axis=1, keepdims=True) for reduce in (scores.min, scores.max))
    return (scores - lowest) / np.where(highest > lowest, highest - lowest, 1)
