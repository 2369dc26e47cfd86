"""Pairs of a query and a text that answers it, which the queries' side of search is trained on.

They are what customers clicked, put into the cart or bought after a query. A shop without a search log has them made of its own catalogue.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from features.behavior.click_propensities import ClickPropensities
from features.names import CART, CLICK, PURCHASE, SEARCH_EVENTS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from features.data.queries import Queries
    from retrieval.lexical.index import LexicalIndex

FROM_LOG, FROM_CATALOGUE = "the search log", "pieces of the catalogue's own texts"
STRENGTH = {CLICK: 1.0, CART: 2.0, PURCHASE: 3.0}  # what an event says of the pair
MOST_OF_LOG = 50_000  # pairs; the heaviest are kept
LEAST_OF_LOG = 500  # pairs, from which the search log is learned from instead of the catalogue
HELD_OUT = 10  # every tenth query


@dataclass(frozen=True)
class QueryPairs:
    """Pairs of a query and a text that answers it.

    Attributes
    ----------
    queries : distinct queries as customers type them (n).
    tokens : terms of each query as it was meant, without typing errors.
    query, text : int64 (m,), rows of `queries` and of the distinct texts.
    weight : float32 (m,), above 0.
    source : where they come from, for the model card.
    """

    queries: tuple[str, ...]
    tokens: tuple[tuple[str, ...], ...]
    query: np.ndarray
    text: np.ndarray
    weight: np.ndarray
    source: str

    def __len__(self) -> int:
        return len(self.query)

    @classmethod
    def of(
        cls, rows: Sequence[tuple[str, str, int]], weights: Sequence[float] | np.ndarray, lexical: LexicalIndex, source: str
    ) -> QueryPairs:
        """Collect pairs of a query as typed, the same as meant, and a text's row; weights of equal pairs are added up."""
        table = pl.DataFrame(rows, schema={"typed": pl.String, "meant": pl.String, "text": pl.Int64}, orient="row")
        table = table.with_columns(weight=pl.Series(weights, dtype=pl.Float32))
        table = table.group_by("typed", "text").agg(pl.col("meant").first(), pl.col("weight").sum()).sort("typed", "text")
        queries = table.group_by("typed", maintain_order=True).agg(pl.col("meant").first())
        tokens = tuple(tuple(dict.fromkeys(lexical.analyzer.tokens(text))) for text in queries["meant"].to_list())
        row = table["typed"].rle_id().to_numpy().astype(np.int64)
        return cls(tuple(queries["typed"].to_list()), tokens, row, table["text"].to_numpy(), table["weight"].to_numpy(), source)

    @cached_property
    def held_out(self) -> np.ndarray:
        """Whether each pair is kept back: those of every tenth set of words, in whatever order and however typed."""
        keys = {key: place for place, key in enumerate(sorted({" ".join(sorted(tokens)) for tokens in self.tokens}))}
        order = np.random.default_rng(20).permutation(len(keys))
        fold = np.array([order[keys[" ".join(sorted(tokens))]] for tokens in self.tokens], dtype=np.int64)
        return (fold % HELD_OUT == 0)[self.query]

    def sought(self, query: int) -> np.ndarray:
        """Return the texts of a query, int64 (k,)."""
        return self.text[slice(*np.searchsorted(self.query, [query, query + 1]))]


@dataclass(frozen=True)
class KnownPositives:
    """Texts that may answer a query, which must not be learned as wrong: those of its pairs, and those that hold all of its words.

    Attributes
    ----------
    keys : query * n_texts + text, int64, sorted.
    """

    keys: np.ndarray
    n_texts: int

    @classmethod
    def of(cls, pairs: QueryPairs, lexical: LexicalIndex) -> KnownPositives:
        """Collect them for every query."""
        n_texts = len(lexical)
        parts = [pairs.query * n_texts + pairs.text]
        for query, tokens in enumerate(pairs.tokens):
            parts.append(query * n_texts + _holding_all(lexical, tokens))
        return cls(np.unique(np.concatenate(parts)), n_texts)

    def of_query(self, query: int) -> np.ndarray:
        """Return the known positives of one query, int64 (k,)."""
        return self.keys[slice(*np.searchsorted(self.keys, [query * self.n_texts, (query + 1) * self.n_texts]))] - query * self.n_texts

    def mask(self, queries: np.ndarray, texts: np.ndarray) -> np.ndarray:
        """Return which of the texts (c,) are known positives of each query (b,), bool (b, c)."""
        wanted = queries[:, None] * self.n_texts + texts[None, :]
        place = np.minimum(np.searchsorted(self.keys, wanted), len(self.keys) - 1)
        return self.keys[place] == wanted


def _holding_all(lexical: LexicalIndex, tokens: Sequence[str]) -> np.ndarray:
    """Return the texts that hold all tokens, int64 (k,); none for a query without tokens."""
    lists = sorted((lexical.texts_with(token) for token in tokens), key=len)
    if not lists:
        return np.zeros(0, dtype=np.int64)
    held = lists[0]
    for other in lists[1:]:
        held = held[np.isin(held, other, assume_unique=True)]
    return held.astype(np.int64)


def pairs_of_log(log: Queries, text_of: np.ndarray, lexical: LexicalIndex, *, debiased: bool = True) -> QueryPairs | None:
    """Collect what was clicked, put into the cart or bought after a query; None if that is too little to learn from.

    Parameters
    ----------
    text_of : each item's distinct text, int64 (n_items,).
    debiased : whether a row counts by how seldom its place is looked at, besides by its event.
    """
    codes = {SEARCH_EVENTS.index(name): strength for name, strength in STRENGTH.items()}
    good = np.flatnonzero((log.item >= 0) & np.isin(log.event, list(codes)))
    if not len(good):
        return None
    strength = np.array([codes.get(code, 0.0) for code in range(len(SEARCH_EVENTS))])
    weight = strength[log.event[good]]
    if debiased:
        weight = weight * ClickPropensities.estimate(log).weights(log.rank[good])
    key = log.query[good].astype(np.int64) * len(lexical) + text_of[log.item[good]]
    found, of_row = np.unique(key, return_inverse=True)
    total = np.bincount(of_row, weight)
    if len(found) < LEAST_OF_LOG:
        return None
    chosen = np.argsort(-total, kind="stable")[:MOST_OF_LOG]
    texts = log.texts[found[chosen] // len(lexical)].tolist()
    rows = [(text, text, int(at)) for text, at in zip(texts, found[chosen] % len(lexical), strict=True)]
    # Heads of the log would else be all that is learned.
    return QueryPairs.of(rows, np.sqrt(total[chosen]), lexical, FROM_LOG)
