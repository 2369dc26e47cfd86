"""Scores of a query's words and of its meaning, for every item: what `eval.search.mixes` weighs."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from eval.metrics.judged import graded_ndcg
from eval.search.mixes import Mix
from retrieval.lexical.index import LexicalConfig, LexicalIndex

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from eval.search.query_set import QuerySet
    from features.data.catalog import Catalog

K1, B = (0.4, 1.2, 2.0), (0.25, 0.75)  # what BM25 is tuned over


@dataclass(frozen=True)
class LexicalScores:
    """BM25 of each item, `Scores` of a mix.

    Attributes
    ----------
    index : of distinct texts
    text_of : int64 (n_items,), the text of each item
    fields : the columns of the distinct texts
    """

    index: LexicalIndex
    text_of: np.ndarray
    fields: pl.DataFrame

    @classmethod
    def of(cls, catalog: Catalog, config: LexicalConfig | None = None) -> LexicalScores:
        """Build the index of a catalogue."""
        config = config or LexicalConfig()
        names = [name for name in config.weights if name in catalog.frame.columns]
        columns = catalog.frame.select(pl.col(name).fill_null("") for name in names)
        distinct = columns.unique(maintain_order=True).with_row_index("text")
        text_of = columns.join(distinct, on=names, how="left", maintain_order="left")["text"].cast(pl.Int64).to_numpy()
        fields = distinct.drop("text")
        return cls(LexicalIndex.build(fields, config), text_of, fields)

    def __call__(self, queries: Sequence[str], _users: Sequence[str | None]) -> np.ndarray:
        """Return the score of every item, float32 (b, n_items); 0 where it has no word of the query."""
        tokens = self.index.analyzer.tokens
        return _by_distinct(queries, lambda some: np.stack([self.index.scores(tokens(text)) for text in some]))[:, self.text_of]

    def tuned(self, queries: QuerySet) -> LexicalScores:
        """Return the scores with the settings of `K1` and `B` that have the best NDCG@10 on some queries."""
        choices = []
        for k1, b in product(K1, B):
            config = self.index.config.model_copy(update={"k1": k1, "b": b})
            one = LexicalScores(self.index.update(self.fields, config), self.text_of, self.fields)
            rows = Mix({"bm25": one}, {"bm25": 1})(*queries.asked, 10)
            choices.append((float(np.nanmean(graded_ndcg(rows, queries.judgments, 10))), one))
        return max(choices, key=lambda choice: choice[0])[1]


@dataclass(frozen=True)
class VectorScores:
    """Cosine of a query's vector and each item's, `Scores` of a mix.

    Attributes
    ----------
    encode : texts of queries -> vectors of unit norm
    vectors : float (n_texts, dim), of unit norm
    text_of : int64 (n_items,), the text of each item
    """

    encode: Callable[[list[str]], np.ndarray]
    vectors: np.ndarray
    text_of: np.ndarray

    def __call__(self, queries: Sequence[str], _users: Sequence[str | None]) -> np.ndarray:
        """Return the cosine of every item, float32 (b, n_items)."""
        return _by_distinct(queries, lambda some: (self.encode(some) @ self.vectors.T).astype(np.float32))[:, self.text_of]


def _by_distinct(queries: Sequence[str], score: Callable[[list[str]], np.ndarray]) -> np.ndarray:
    """Return the scores of each query; one that stands twice is scored once."""
    distinct = {text: place for place, text in enumerate(dict.fromkeys(queries))}
    return score(list(distinct))[[distinct[text] for text in queries]]
