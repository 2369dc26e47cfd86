"""The cross-encoder for serving: `ranking.cross_encoder.model` as an ONNX graph.

Left sides are scored one at a time. Each token of the left side is passed as a text of one token, so nothing is padded.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from features.onnx.session import Device, OnnxSession
from ranking.cross_encoder.config import classes, read_config
from ranking.cross_encoder.pair_inputs import left_side

if TYPE_CHECKING:
    from collections.abc import Mapping

    from features.text.token_states import ItemTokens
    from ranking.cross_encoder.config import PairConfig
    from ranking.cross_encoder.pair_inputs import Left


@dataclass(frozen=True)
class OnnxCrossEncoder:
    """`ranking.cross_encoder.model.CrossEncoder` in onnxruntime; implements `ranking.ranker.PairScorer`."""

    session: OnnxSession
    config: PairConfig

    def logits(self, left: Left, rows: np.ndarray, tokens: ItemTokens) -> np.ndarray:
        """Return the logits of candidates `rows` (b, c), float32 (b, c), with a last axis of classes over terms; nan for padding."""
        out = np.full((*rows.shape, *classes(self.config)), np.nan, dtype=np.float32)
        side = left_side(left, tokens, self.config)
        for b in range(len(left)):
            valid = rows[b] >= 0
            if valid.any():
                # Items that share a text are scored once.
                _, first, same = np.unique(tokens.text_of[rows[b, valid]], return_index=True, return_inverse=True)
                own, mask = tokens.arrays(rows[b, valid][first], self.config.right_tokens)  # (c, L, width), (c, L)
                out[b, valid] = self.session(**side.tokens_of(b), own=own[None], mask=mask[None])[0, same]
        return out

    @classmethod
    def from_files(cls, files: Mapping[str, bytes], device: Device = "cpu") -> OnnxCrossEncoder:
        """Read the files that `ranking.cross_encoder.export` wrote."""
        config = read_config(json.loads(files["cross_encoder.json"]))
        return cls(OnnxSession(files["cross_encoder.onnx"], device), config)
