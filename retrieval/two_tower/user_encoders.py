"""User encoders: a history as a set of distinct items, or as a sequence of events.

In a shop of baskets, what is bought and how often says most, and the order within a basket is arbitrary. Where people
buy one item at a time, the order predicts the next one: `SequenceUserEncoder` is trained on all positions of a history
at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from features.behavior.log_buckets import BUCKETS, bucket_codes
from features.names import POSITIVE_EVENTS
from retrieval.two_tower.user_inputs import recent_of, user_inputs

if TYPE_CHECKING:
    from collections.abc import Sequence

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

    def encode_packed(self, vectors: Tensor, lengths: np.ndarray) -> Tensor:
        """Return unit user vectors (t, dim) after each position of histories without padding.

        Most histories are short and some are long: in a padded batch, most positions are padding.

        Parameters
        ----------
        vectors : (t, dim)
            Item vectors of one history after the other.
        lengths : int64 (b,)
            Of the histories, ascending; their sum is t.
        """
        place = torch.from_numpy(np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)).to(vectors.device)
        hidden = self.input_projection(vectors) * self.scale + self.position(place)
        hidden = dropout(self.norm(hidden), self.config.dropout if self.training else 0)
        groups = attention_groups(lengths, vectors.device)
        for layer in self.transformer.layers:
            assert isinstance(layer, Layer)
            hidden = layer.packed(hidden, groups)
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

    def packed(self, x: Tensor, groups: Sequence[AttentionGroup]) -> Tensor:
        """Return what `forward` does with a causal mask, for histories without padding, (t, hidden)."""
        attention, rate = self.self_attn, self.dropout.p if self.training else 0.0
        mixed = F.linear(self.norm1(x), attention.in_proj_weight, attention.in_proj_bias)
        seen = []
        for group in groups:
            padded = mixed.index_select(0, group.place.flatten()).unflatten(0, group.place.shape)
            query, key, value = padded.unflatten(-1, (3, attention.num_heads, attention.head_dim)).permute(2, 0, 3, 1, 4)
            heads = F.scaled_dot_product_attention(query, key, value, dropout_p=rate, is_causal=True)  # (b, heads, n, d)
            seen.append(heads.transpose(1, 2).flatten(2).flatten(0, 1).index_select(0, group.real))
        x = x + dropout(attention.out_proj(torch.cat(seen)), rate)
        inner = dropout(F.gelu(self.linear1(self.norm2(x))), rate)
        return x + dropout(self.linear2(inner), rate)


@dataclass(frozen=True)
class AttentionGroup:
    """Histories of similar length, padded for attention alone.

    Attributes
    ----------
    place : int64 (b, n)
        Positions in the packed batch; padding, which comes last and which no real position sees, repeats one.
    real : int64 (r,)
        Which of the b x n are no padding.
    """

    place: Tensor
    real: Tensor


def attention_groups(lengths: np.ndarray, device: torch.device) -> list[AttentionGroup]:
    """Divide packed histories, int64 (b,) of ascending lengths, into those of up to 4, 16, 64 and so on.

    Each group costs calls of its own, so they are few; padding is short where most histories are.
    """
    quarter = np.ceil(np.log2(np.maximum(lengths, 2)) / 2)
    begins = np.cumsum(lengths) - lengths
    found = []
    for some in np.split(np.arange(len(lengths)), np.flatnonzero(np.diff(quarter)) + 1):
        at = np.arange(lengths[some].max())
        place = np.minimum(begins[some][:, None] + at, lengths.sum() - 1)
        real = np.flatnonzero(at < lengths[some][:, None])
        found.append(AttentionGroup(torch.from_numpy(place).to(device), torch.from_numpy(real).to(device)))
    return found


def dropout(x: Tensor, rate: float) -> Tensor:
    """Zero a share of elements, to the nearest 256th, and scale the rest so that the expectation stays.

    On a CPU, torch draws a random number an element, which took a fifth of a step: here one gives eight.
    """
    if not rate or x.device.type != "cpu":
        return F.dropout(x, rate)
    zeroed = min(round(256 * rate), 255)
    drawn = torch.empty(-(-x.numel() // 8), dtype=torch.int64).random_(-(2**63), None)
    kept = drawn.view(torch.uint8)[: x.numel()].view(x.shape) >= zeroed
    return x * (kept.to(x.dtype) * (256 / (256 - zeroed)))


def _transformer(config: TowerConfig) -> nn.TransformerEncoder:
    layer = Layer(config.hidden, config.heads, 4 * config.hidden, config.dropout, activation="gelu", batch_first=True, norm_first=True)
    return nn.TransformerEncoder(layer, config.layers, enable_nested_tensor=False)


def buckets(values: np.ndarray) -> Tensor:
    """Return `bucket_codes` as a tensor."""
    return torch.from_numpy(bucket_codes(values))
