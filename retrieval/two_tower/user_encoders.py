"""User encoders: a history as a set of distinct items, or as a sequence of events.

In a shop of baskets, what is bought and how often says most, and the order within a basket is arbitrary. Where people
buy one item at a time, the order predicts the next one: `SequenceUserEncoder` is trained on all positions of a history
at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from features.behavior.log_buckets import BUCKETS, bucket_codes
from features.names import POSITIVE_EVENTS
from retrieval.two_tower.user_inputs import recent_of, user_inputs

if TYPE_CHECKING:
    import numpy as np

    from features.data.histories import Histories, RecentItems
    from retrieval.two_tower.config import TowerConfig


class SetUserEncoder(nn.Module):
    """Transformer over the distinct items of a history with their event, age and count, pooled by attention."""

    def __init__(self, config: TowerConfig) -> None:
        super().__init__()
        self.config = config
        self.input_projection = nn.Linear(config.dim, config.hidden)
        self.event = nn.Embedding(len(POSITIVE_EVENTS), config.hidden)
        self.age = nn.Embedding(BUCKETS, config.hidden)
        self.count = nn.Embedding(BUCKETS, config.hidden)
        self.norm = nn.LayerNorm(config.hidden)
        self.transformer = _transformer(config)
        self.pooling = nn.Linear(config.hidden, 1)
        self.output_projection = nn.Linear(config.hidden, config.dim)
        # Untrained, a user is the mean of the history's vectors: sensible before any training.
        for module in (self.pooling, self.output_projection):
            nn.init.zeros_(module.weight)
            nn.init.zeros_(module.bias)

    def recent(self, users: Histories, n_items: int) -> RecentItems:
        """See `recent_of`."""
        return recent_of(users, n_items, self.config)

    def forward(self, vectors: Tensor, recent: RecentItems) -> Tensor:
        """Return user vectors (b, dim) of histories with item vectors (b, n, dim); zero without history."""
        return self.encode(vectors, *_tensors(recent, self.config, vectors.device))

    def encode(self, vectors: Tensor, real: Tensor, event: Tensor, age: Tensor, count: Tensor) -> Tensor:
        """Return `forward` over tensors alone.

        Parameters
        ----------
        vectors : float32 (b, n, dim)
            Item vectors of the histories.
        real : bool (b, n)
            False where padded.
        event, age, count : int64 (b, n)
            Codes, see `user_inputs`.
        """
        empty = ~real.any(1, keepdim=True)
        hidden = self.input_projection(vectors) + self.event(event) + self.age(age) + self.count(count)
        # Without history no position is masked: a softmax over masked positions alone would be nan.
        mask = ~(real | empty)
        hidden = self.transformer(self.norm(hidden), src_key_padding_mask=mask)  # (b, n, hidden)
        weights = self.pooling(hidden).squeeze(-1).masked_fill(mask, -torch.inf).softmax(-1)[..., None]  # (b, n, 1)
        vector = (weights * (vectors + self.output_projection(hidden))).sum(1)
        return F.normalize(vector, dim=-1) * ~empty


class SequenceUserEncoder(nn.Module):
    """Causal transformer over the last events, oldest first (SASRec).

    References
    ----------
    Kang and McAuley 2018, "Self-attentive sequential recommendation", ICDM, arXiv 1808.09781, section III.
    """

    def __init__(self, config: TowerConfig) -> None:
        super().__init__()
        self.config = config
        # No input projection if the sizes agree: a random one costs a sixth of the quality (docs/decisions/013).
        self.input_projection = nn.Identity() if config.dim == config.hidden else nn.Linear(config.dim, config.hidden)
        self.scale = config.hidden**0.5  # scales unit vectors to coordinates of about 1
        self.position = nn.Embedding(config.history, config.hidden)
        nn.init.normal_(self.position.weight, std=0.02)
        self.norm = nn.LayerNorm(config.hidden)
        self.dropout = nn.Dropout(config.dropout)
        self.transformer = _transformer(config)
        self.output_norm = nn.LayerNorm(config.hidden)
        self.output_projection = nn.Linear(config.hidden, config.dim)
        # Untrained, a user is the vector of the last item: sensible before any training.
        nn.init.zeros_(self.output_projection.weight)
        nn.init.zeros_(self.output_projection.bias)

    def recent(self, users: Histories, n_items: int) -> RecentItems:
        """See `recent_of`."""
        return recent_of(users, n_items, self.config)

    def encode_positions(self, vectors: Tensor) -> Tensor:
        """Return unit user vectors (b, n, dim) after each position of histories (b, n, dim), padded at the end."""
        n = vectors.shape[1]
        hidden = self.input_projection(vectors) * self.scale + self.position.weight[:n]
        causal = torch.triu(torch.full((n, n), -torch.inf, device=vectors.device), 1)
        hidden = self.transformer(self.dropout(self.norm(hidden)), mask=causal, is_causal=True)
        return F.normalize(vectors + self.output_projection(self.output_norm(hidden)), dim=-1)

    def forward(self, vectors: Tensor, recent: RecentItems) -> Tensor:
        """Return user vectors (b, dim) of histories with item vectors (b, n, dim); zero without history."""
        return self.encode(vectors, *_tensors(recent, self.config, vectors.device))

    def encode(self, vectors: Tensor, lengths: Tensor) -> Tensor:
        """Return `forward` over tensors alone; `lengths` of the histories are int64 (b,)."""
        positions = self.encode_positions(vectors)
        last = (lengths - 1).clamp_min(0)[:, None, None].expand(-1, 1, positions.shape[-1])
        return positions.gather(1, last)[:, 0] * (lengths > 0)[:, None]


def _tensors(recent: RecentItems, config: TowerConfig, device: torch.device) -> list[Tensor]:
    return [torch.from_numpy(array).to(device) for array in user_inputs(recent, config).values()]


class Layer(nn.TransformerEncoderLayer):
    """Torch's layer with explicit attention on export: torch's own writes the lengths of the example into the graph."""

    def _sa_block(self, x: Tensor, attn_mask: Tensor | None, key_padding_mask: Tensor | None, is_causal: bool = False) -> Tensor:
        if not torch.onnx.is_in_onnx_export():
            return super()._sa_block(x, attn_mask, key_padding_mask, is_causal)
        attention = self.self_attn
        mixed = F.linear(x, attention.in_proj_weight, attention.in_proj_bias).unflatten(-1, (3, attention.num_heads, attention.head_dim))
        query, key, value = mixed.permute(2, 0, 3, 1, 4)  # (b, heads, n, d) each
        scores = query @ key.transpose(-1, -2) * attention.head_dim**-0.5  # (b, heads, n, n)
        for bias in (attn_mask, None if key_padding_mask is None else key_padding_mask[:, None, None, :]):
            scores = scores if bias is None else scores + bias
        return attention.out_proj((scores.softmax(-1) @ value).transpose(1, 2).flatten(2))


def _transformer(config: TowerConfig) -> nn.TransformerEncoder:
    layer = Layer(config.hidden, config.heads, 4 * config.hidden, config.dropout, activation="gelu", batch_first=True, norm_first=True)
    return nn.TransformerEncoder(layer, config.layers, enable_nested_tensor=False)


def buckets(values: np.ndarray) -> Tensor:
    """Return `bucket_codes` as a tensor."""
    return torch.from_numpy(bucket_codes(values))
