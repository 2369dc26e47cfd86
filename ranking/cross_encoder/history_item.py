"""Pairs of a user's history and an item: the history's texts as the left side."""

from __future__ import annotations

from typing import TYPE_CHECKING

from features.behavior.log_buckets import bucket_codes
from ranking.cross_encoder.left_side import LeftSide

if TYPE_CHECKING:
    from features.data.histories import Histories
    from features.text.token_states import ItemTokens
    from ranking.cross_encoder.config import CrossEncoderConfig


def history_side(users: Histories, tokens: ItemTokens, config: CrossEncoderConfig) -> LeftSide:
    """Return the token states of each user's newest distinct items, newest last, with their ages and counts."""
    recent = users.recent_items(len(tokens.text_of), config.history_items)
    states, mask = tokens.arrays(recent.rows, config.item_tokens)
    return LeftSide(states, mask, bucket_codes(recent.age), bucket_codes(recent.count))
