"""The cross-encoder as it answers: what `ranking.cross_encoder.model` computes, as an ONNX graph.

One user at a time, and no token of padding in the history: each of its tokens enters as an item of one token.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from features.behavior.log_buckets import bucket_codes
from features.onnx.session import Device, OnnxSession
from ranking.cross_encoder.config import CrossEncoderConfig

if TYPE_CHECKING:
    from collections.abc import Mapping

    from features.data.histories import Histories, RecentItems
    from features.text.token_states import ItemTokens


@dataclass(frozen=True)
class OnnxCrossEncoder:
    """See `ranking.cross_encoder.model.CrossEncoder`. Implements `PairScorer`."""

    session: OnnxSession
    config: CrossEncoderConfig

    def logits(self, users: Histories, rows: np.ndarray, tokens: ItemTokens) -> np.ndarray:
        """Logits of candidates `rows` (b, c): float32 (b, c), nan where padded."""
        out = np.full(rows.shape, np.nan, dtype=np.float32)
        recent = users.recent_items(len(tokens.text_of), self.config.history_items)
        for b in range(len(users)):
            good = rows[b] >= 0
            if good.any():
                # Items of one text are read once.
                _, first, same = np.unique(tokens.text_of[rows[b, good]], return_index=True, return_inverse=True)
                own, mask = tokens.arrays(rows[b, good][first], self.config.item_tokens)  # (c, L, width), (c, L)
                out[b, good] = self.session(**self._history(recent, b, tokens), own=own[None], mask=mask[None])[0, same]
        return out

    def _history(self, recent: RecentItems, b: int, tokens: ItemTokens) -> dict[str, np.ndarray]:
        """One user's history, token by token; one place that nobody sees where it has none: attention over nothing is undefined."""
        hidden, mask = tokens.arrays(recent.rows[b], self.config.item_tokens)  # (n, M, width), (n, M)
        real = mask if mask.any() else np.arange(mask.size).reshape(mask.shape) == 0
        item = np.nonzero(real)[0]  # (H,)
        return {
            "history": hidden[real][None, :, None],
            "seen": mask[real][None, :, None],
            "age": bucket_codes(recent.age[b, item])[None],
            "count": bucket_codes(recent.count[b, item])[None],
        }

    @classmethod
    def from_files(cls, files: Mapping[str, bytes], device: Device = "cpu") -> OnnxCrossEncoder:
        """What `ranking.cross_encoder.export` made."""
        config = CrossEncoderConfig(**json.loads(files["cross_encoder.json"])["config"])
        return cls(OnnxSession(files["cross_encoder.onnx"], device), config)
