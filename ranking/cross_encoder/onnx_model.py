"""The cross-encoder for serving: `ranking.cross_encoder.model` as an ONNX graph.

Users are scored one at a time. Each token of the history is passed as an item of one token, so the history needs no
padding.
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
    """`ranking.cross_encoder.model.CrossEncoder` in onnxruntime; implements `ranking.ranker.PairScorer`."""

    session: OnnxSession
    config: CrossEncoderConfig

    def logits(self, users: Histories, rows: np.ndarray, tokens: ItemTokens) -> np.ndarray:
        """Return the logits of candidates `rows` (b, c), float32 (b, c); nan for padding."""
        out = np.full(rows.shape, np.nan, dtype=np.float32)
        recent = users.recent_items(len(tokens.text_of), self.config.history_items)
        for b in range(len(users)):
            valid = rows[b] >= 0
            if valid.any():
                # Items that share a text are scored once.
                _, first, same = np.unique(tokens.text_of[rows[b, valid]], return_index=True, return_inverse=True)
                own, mask = tokens.arrays(rows[b, valid][first], self.config.item_tokens)  # (c, L, width), (c, L)
                out[b, valid] = self.session(**self._history(recent, b, tokens), own=own[None], mask=mask[None])[0, same]
        return out

    def _history(self, recent: RecentItems, b: int, tokens: ItemTokens) -> dict[str, np.ndarray]:
        """Return one user's history by token.

        An empty history gets one masked token: attention over no tokens is undefined.
        """
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
        """Read the files that `ranking.cross_encoder.export` wrote."""
        config = CrossEncoderConfig(**json.loads(files["cross_encoder.json"])["config"])
        return cls(OnnxSession(files["cross_encoder.onnx"], device), config)
