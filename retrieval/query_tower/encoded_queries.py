"""Queries as search reads them: for the texts' index, and for the cross-encoder."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

    from features.text.token_states import TokenStates


@dataclass(frozen=True)
class EncodedQueries:
    """Queries as search reads them.

    Attributes
    ----------
    vectors : of unit norm, float32 (n, dim).
    states : token states, the cross-encoder's left side.
    """

    vectors: np.ndarray
    states: TokenStates
