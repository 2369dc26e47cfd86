"""Turns the left sides of pairs, of whichever kind, into arrays."""

from __future__ import annotations

from typing import TYPE_CHECKING

from features.data.histories import Histories
from ranking.cross_encoder.config import CrossEncoderConfig, QueryPairConfig, SentenceTermConfig
from ranking.cross_encoder.history_item import history_side
from ranking.cross_encoder.query_item import QueryTokens, query_side

if TYPE_CHECKING:
    from features.text.token_states import ItemTokens
    from ranking.cross_encoder.config import PairConfig
    from ranking.cross_encoder.left_side import LeftSide

Left = Histories | QueryTokens


def left_side(left: Left, tokens: ItemTokens, config: PairConfig) -> LeftSide:
    """Return the token states of histories, whose items are rows of `tokens`, or of queries and sentences.

    Raises
    ------
    TypeError
        If the cross-encoder was made for another kind of left side.
    """
    if isinstance(left, Histories) and isinstance(config, CrossEncoderConfig):
        return history_side(left, tokens, config)
    if isinstance(left, QueryTokens) and isinstance(config, QueryPairConfig | SentenceTermConfig):
        return query_side(left, config)
    raise TypeError(f"{type(left).__name__} cannot be scored with a {type(config).__name__}: histories need a CrossEncoderConfig")
