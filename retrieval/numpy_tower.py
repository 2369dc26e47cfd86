"""The towers in numpy, for answering: what `retrieval.tower` computes, from the same files, without torch."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from safetensors.numpy import load

from retrieval.buckets import bucket_codes
from retrieval.numpy_layers import Weights, gelu, heads_of, joined, layer_norm, linear, softmax, unit
from retrieval.tower_config import TowerConfig

if TYPE_CHECKING:
    from collections.abc import Mapping

    from features.histories import Histories, RecentItems

BATCH = 512


@dataclass(frozen=True)
class NumpyTower:
    """Item tower and user tower; see `retrieval.tower.TwoTower`."""

    weights: Weights
    config: TowerConfig

    def item_vectors(self, pooled: np.ndarray) -> np.ndarray:
        """Item vectors (n, dim), of unit norm, of pooled text vectors float32 (n, width)."""
        return unit(linear(pooled - self.weights["mean"], self.weights.below("project")))

    def user_vectors(self, users: Histories, item_vectors: np.ndarray) -> np.ndarray:
        """User vectors float32 (b, dim) of histories over the catalogue's item vectors (n_items, dim); zero without history."""
        sequence = self.config.reads == "sequence"
        out = [np.zeros((0, self.config.dim), dtype=np.float32)]
        for start in range(0, len(users), BATCH):
            part = users.take(np.arange(start, min(start + BATCH, len(users))))
            most = self.config.history
            recent = part.last_events(most) if sequence else part.recent_items(len(item_vectors), most)
            vectors = item_vectors[np.maximum(recent.rows, 0)]  # (b, n, dim)
            out.append(self._of_sequence(vectors, recent) if sequence else self._of_set(vectors, recent))
        return np.concatenate(out)

    def _of_set(self, vectors: np.ndarray, recent: RecentItems) -> np.ndarray:
        """`SetReader.forward`."""
        reader = self.weights.below("reader")
        real = recent.rows >= 0  # (b, n)
        empty = ~real.any(axis=1, keepdims=True)
        hidden = linear(vectors, reader.below("enter")) + reader["event.weight"][recent.event]
        hidden = hidden + reader["age.weight"][bucket_codes(recent.age)] + reader["count.weight"][bucket_codes(recent.count)]
        seen = real | empty
        hidden = self._body(layer_norm(hidden, reader.below("norm")), np.where(seen, np.float32(0), -np.inf)[:, None, None, :])
        weights = softmax(np.where(seen, linear(hidden, reader.below("attend"))[..., 0], -np.inf))[..., None]  # (b, n, 1)
        vector = (weights * (vectors + linear(hidden, reader.below("leave")))).sum(axis=1)
        return np.where(empty, np.float32(0), unit(vector)).astype(np.float32)

    def _of_sequence(self, vectors: np.ndarray, recent: RecentItems) -> np.ndarray:
        """`SequenceReader.forward`."""
        reader = self.weights.below("reader")
        n = vectors.shape[1]
        entered = linear(vectors, reader.below("enter")) if "enter.weight" in reader else vectors
        hidden = entered * np.float32(self.config.hidden**0.5) + reader["place.weight"][:n]
        ahead = np.triu(np.full((n, n), -np.inf, dtype=np.float32), 1)
        hidden = self._body(layer_norm(hidden, reader.below("norm")), ahead)
        lengths = (recent.rows >= 0).sum(axis=1)
        each, last = np.arange(len(lengths)), np.maximum(lengths - 1, 0)
        moved = linear(layer_norm(hidden[each, last], reader.below("last_norm")), reader.below("leave"))
        return np.where(lengths[:, None] > 0, unit(vectors[each, last] + moved), np.float32(0)).astype(np.float32)

    def _body(self, hidden: np.ndarray, bias: np.ndarray) -> np.ndarray:
        """`torch.nn.TransformerEncoder`, norms first: hidden (b, n, hidden); `bias` is added to the attention (b, heads, n, n)."""
        for index in range(self.config.layers):
            layer = self.weights.below(f"reader.body.layers.{index}")
            attention, entering = layer.below("self_attn"), layer_norm(hidden, layer.below("norm1"))
            mixed = linear(entering, Weights({"weight": attention["in_proj_weight"], "bias": attention["in_proj_bias"]}))
            query, key, value = (heads_of(part, self.config.heads) for part in np.split(mixed, 3, axis=-1))  # (b, heads, n, d)
            scale = np.float32(query.shape[-1] ** -0.5)
            attended = softmax(query @ np.swapaxes(key, -1, -2) * scale + bias) @ value
            hidden = hidden + linear(joined(attended), attention.below("out_proj"))
            wide = gelu(linear(layer_norm(hidden, layer.below("norm2")), layer.below("linear1")))
            hidden = hidden + linear(wide, layer.below("linear2"))
        return hidden

    @classmethod
    def from_files(cls, files: Mapping[str, bytes]) -> NumpyTower:
        """What `TwoTower.to_files` made."""
        return cls(Weights(load(files["tower.safetensors"])), TowerConfig(**json.loads(files["tower.json"])["tower"]))
