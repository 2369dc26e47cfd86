"""Queries that were encoded a moment ago: what one turn of a conversation compares with help pages and with several sets of examples."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Protocol

import numpy as np

from features.text.token_states import TokenStates
from retrieval.query_tower.encoded_queries import EncodedQueries

if TYPE_CHECKING:
    from collections.abc import Sequence

LATEST = 32  # texts that are remembered
MOST = 4  # texts of a call; more are no message, and are encoded in one batch


class QuestionEncoder(Protocol):
    """What encodes queries."""

    def encode_queries(self, texts: Sequence[str]) -> EncodedQueries:
        """Return vectors and token states of texts."""
        ...


class RecentQueries:
    """Encodes queries, and remembers the latest; safe to use in several threads.

    Parameters
    ----------
    encoder : of queries.
    """

    def __init__(self, encoder: QuestionEncoder) -> None:
        self._encoder = encoder
        self._one = lru_cache(LATEST)(lambda text: encoder.encode_queries([text]))

    def encode_queries(self, texts: Sequence[str]) -> EncodedQueries:
        """Return vectors and token states of texts."""
        if not 0 < len(texts) <= MOST:
            return self._encoder.encode_queries(texts)
        parts = [self._one(text) for text in texts]
        lengths = [len(part.states.states) for part in parts]
        states = TokenStates(
            np.cumsum([0, *lengths], dtype=np.int64),
            np.concatenate([part.states.states[np.arange(length)] for part, length in zip(parts, lengths, strict=True)]),
        )
        return EncodedQueries(np.concatenate([part.vectors for part in parts]), states)
