"""Pairs of a query and an item, a question and a passage, or a sentence and a term: one text as the left side."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from ranking.cross_encoder.left_side import LeftSide

if TYPE_CHECKING:
    from features.text.token_states import TokenStates
    from ranking.cross_encoder.config import QueryPairConfig, SentenceTermConfig


@dataclass(frozen=True)
class QueryTokens:
    """Token states of b queries, questions or sentences.

    Attributes
    ----------
    states : states of the distinct texts, from `token_states(texts, kind="query")` of an encoder whose lower layers are
        those below the cross-encoder.
    texts : index of each query's text in `states`, int64 (b,).
    """

    states: TokenStates
    texts: np.ndarray

    @classmethod
    def of(cls, states: TokenStates) -> QueryTokens:
        """Return one query for each text."""
        return cls(states, np.arange(len(states)))

    def __len__(self) -> int:
        return len(self.texts)

    def take(self, queries: np.ndarray) -> QueryTokens:
        """Return some queries, given by their positions."""
        return replace(self, texts=self.texts[queries])


def query_side(queries: QueryTokens, config: QueryPairConfig | SentenceTermConfig) -> LeftSide:
    """Return the token states of queries; ages and counts are 0."""
    states, mask = queries.states.arrays(queries.texts, config.query_tokens)  # (b, M, width), (b, M)
    codes = np.zeros((len(queries), 1), dtype=np.int64)
    return LeftSide(states[:, None], mask[:, None], codes, codes)
