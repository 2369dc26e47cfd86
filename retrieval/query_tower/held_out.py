"""Held-out queries: how well search finds their texts, by the queries' side of the towers and by the weight of BM25."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from features.data.histories import Histories
from retrieval.text_search import TextSearch, Wording

if TYPE_CHECKING:
    from features.text.token_states import TokenStates
    from retrieval.query_tower.model import QueryTower
    from retrieval.query_tower.pairs import QueryPairs

MOST_QUERIES = 300
LEXICAL_WEIGHTS = (0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8)


@dataclass(frozen=True)
class HeldOutQueries:
    """Queries that nothing is trained on, each with the texts that are sought.

    Attributes
    ----------
    rows : of the pairs' queries, int64 (n,).
    states : token states of these queries.
    """

    search: TextSearch
    pairs: QueryPairs
    rows: np.ndarray
    states: TokenStates

    @classmethod
    def of(cls, search: TextSearch, pairs: QueryPairs, states: TokenStates) -> HeldOutQueries:
        """Take the held-out queries, at most `MOST_QUERIES`; `states` are those of all queries."""
        rows = np.unique(pairs.query[pairs.held_out])
        rows = np.sort(np.random.default_rng(21).permutation(rows)[:MOST_QUERIES])
        return cls(search, pairs, rows, states.select(rows))

    def reciprocal_ranks(self, tower: QueryTower, lexical: float | None = None) -> np.ndarray:
        """Return 1 / rank of the first text sought, for each query, float64 (n,); 0 where none is among the candidates.

        Parameters
        ----------
        lexical : weight of BM25; None: that of `search`.
        """
        search = self.search
        if lexical is not None:
            search = replace(search, config=search.config.model_copy(update={"lexical": lexical}))
        vectors = tower.vectors(self.states, queries=True)
        nobody, allowed = Histories.of_baskets([[]], 0), np.ones(len(search.text_of), dtype=bool)
        ranks = np.zeros(len(self.rows))
        for place, row in enumerate(self.rows.tolist()):
            wording = Wording(self.pairs.queries[row], tuple(search.lexical.analyzer.tokens(self.pairs.queries[row])))
            found = search.retrieve((wording,), vectors[place : place + 1], nobody, allowed).rows[0]
            _, first = np.unique(search.text_of[found], return_index=True)
            hits = np.flatnonzero(np.isin(search.text_of[found[np.sort(first)]], self.pairs.sought(row)))
            ranks[place] = 1 / (hits[0] + 1) if len(hits) else 0.0
        return ranks

    def by_lexical(self, tower: QueryTower) -> dict[float, np.ndarray]:
        """Return the reciprocal ranks, float64 (n,), by each weight of BM25, that of `search` among them."""
        weights = sorted({*LEXICAL_WEIGHTS, self.search.config.lexical})
        return {weight: self.reciprocal_ranks(tower, weight) for weight in weights}
