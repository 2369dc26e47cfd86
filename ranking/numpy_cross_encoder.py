"""The cross-encoder in numpy, for answering: what `ranking.cross_encoder` computes, from the same files, without torch.

No token of padding is computed, and of the last layer over the history nothing but its keys and values: nobody reads the rest.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from features.files import arrays_of
from ranking.cross_encoder_config import CrossEncoderConfig
from retrieval.buckets import bucket_codes
from retrieval.numpy_layers import Weights, gelu, heads_of, joined, layer_norm, linear, softmax

if TYPE_CHECKING:
    from collections.abc import Mapping

    from features.histories import Histories
    from retrieval.token_states import ItemTokens


@dataclass(frozen=True)
class NumpyCrossEncoder:
    """See `ranking.cross_encoder.CrossEncoder`. about: of the BERT that the layers are of."""

    weights: Weights
    layers: int
    about: dict[str, Any]
    config: CrossEncoderConfig

    @staticmethod
    def can(files: Mapping[str, bytes]) -> bool:
        """Whether these are layers of a kind that is known here."""
        about = json.loads(files["cross_encoder.json"])["model"]
        return about.get("hidden_act") == "gelu" and about.get("position_embedding_type", "absolute") == "absolute"

    @classmethod
    def from_files(cls, files: Mapping[str, bytes]) -> NumpyCrossEncoder:
        """What `CrossEncoder.to_files` made."""
        about = json.loads(files["cross_encoder.json"])
        weights = Weights(arrays_of(files, "cross_encoder.safetensors"))
        return cls(weights, about["layers"], about["model"], CrossEncoderConfig(**about["config"]))

    def logits(self, users: Histories, rows: np.ndarray, tokens: ItemTokens) -> np.ndarray:
        """Logits of candidates `rows` (b, c): float32 (b, c), nan where padded."""
        out = np.full(rows.shape, np.nan, dtype=np.float32)
        recent = users.recent_items(len(tokens.text_of), self.config.history_items)
        when = self.weights["age.weight"][bucket_codes(recent.age)] + self.weights["count.weight"][bucket_codes(recent.count)]
        for b in range(len(users)):
            good = rows[b] >= 0
            if good.any():
                hidden, mask = tokens.arrays(recent.rows[b], self.config.item_tokens)  # (n, L, width), (n, L)
                # Items of one text are read once.
                _, first, same = np.unique(tokens.text_of[rows[b, good]], return_index=True, return_inverse=True)
                out[b, good] = self._read((hidden + when[b][:, None, :])[mask], rows[b, good][first], tokens)[same]
        return out

    def _read(self, past: np.ndarray, rows: np.ndarray, tokens: ItemTokens) -> np.ndarray:
        """One user's logits (c,): the history's tokens (H, width) beside candidates (c,)."""
        hidden, mask = tokens.arrays(rows, self.config.item_tokens)  # (c, L, width), (c, L)
        own = hidden[mask]  # (T, width)
        for index in range(self.layers):
            layer = self.weights.below(f"layers.{index}")
            shared = self._keys(past, layer)
            if index + 1 < self.layers:
                past = self._rest(past, self._attend(past, layer, shared), layer)
            own = self._rest(own, self._beside(own, mask, layer, shared), layer)
        lengths = mask.sum(axis=1)
        pooled = np.zeros((len(rows), own.shape[1]), dtype=np.float32)
        some = lengths > 0
        pooled[some] = np.add.reduceat(own, (np.cumsum(lengths) - lengths)[some], axis=0) / lengths[some, None].astype(np.float32)
        return linear(pooled, self.weights.below("head"))[:, 0]

    def _keys(self, hidden: np.ndarray, layer: Weights) -> tuple[np.ndarray, np.ndarray]:
        """Keys and values (heads, n, d) of tokens (n, width)."""
        attention, heads = layer.below("attention.self"), self.about["num_attention_heads"]
        return heads_of(linear(hidden, attention.below("key")), heads), heads_of(linear(hidden, attention.below("value")), heads)

    def _queries(self, hidden: np.ndarray, layer: Weights) -> np.ndarray:
        """Queries (heads, n, d), scaled."""
        found = heads_of(linear(hidden, layer.below("attention.self.query")), self.about["num_attention_heads"])
        return found * np.float32(found.shape[-1] ** -0.5)

    def _attend(self, hidden: np.ndarray, layer: Weights, keys: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
        """What the history's tokens (H, width) gather from each other."""
        key, value = keys
        return joined(softmax(self._queries(hidden, layer) @ np.swapaxes(key, -1, -2)) @ value)

    def _beside(self, own: np.ndarray, mask: np.ndarray, layer: Weights, keys: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
        """What the candidates' tokens (T, width), those of `mask` (c, L), gather from the history and from their own candidate."""
        key, value = keys
        query = self._queries(own, layer)  # (heads, T, d)
        own_key, own_value = (self._padded(part, mask) for part in self._keys(own, layer))  # (heads, c, L, d)
        near = self._padded(query, mask) @ np.swapaxes(own_key, -1, -2)  # (heads, c, L, L)
        near = np.where(mask[:, None, :], near, -np.inf)[:, mask]  # (heads, T, L)
        weights = softmax(np.concatenate([query @ np.swapaxes(key, -1, -2), near], axis=-1))  # (heads, T, H + L)
        far, near = weights[..., : key.shape[1]], self._padded(weights[..., key.shape[1] :], mask)
        return joined(far @ value + (near @ own_value)[:, mask])

    @staticmethod
    def _padded(flat: np.ndarray, mask: np.ndarray) -> np.ndarray:
        """(heads, T, d) to (heads, c, L, d), zero where `mask` (c, L) is false."""
        out = np.zeros((len(flat), *mask.shape, flat.shape[-1]), dtype=flat.dtype)
        out[:, mask] = flat
        return out

    def _rest(self, hidden: np.ndarray, gathered: np.ndarray, layer: Weights) -> np.ndarray:
        """All of a BERT layer that comes after the attention (Devlin et al. 2019), (n, width)."""
        epsilon = self.about["layer_norm_eps"]
        output = layer.below("attention.output")
        hidden = layer_norm(linear(gathered, output.below("dense")) + hidden, output.below("LayerNorm"), epsilon)
        wide = gelu(linear(hidden, layer.below("intermediate.dense")))
        return layer_norm(linear(wide, layer.below("output.dense")) + hidden, layer.below("output.LayerNorm"), epsilon)
