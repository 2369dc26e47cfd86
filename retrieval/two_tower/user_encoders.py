"""How the user tower reads a history: as a set of distinct items, or as a sequence of events.

A shop of baskets tells most by what is bought and how often; the order within a basket is chance. Where people buy one thing at a time,
the order tells what comes next, and every event of the log is a lesson: `SequenceUserEncoder` learns from all places of a history at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from features.behavior.log_buckets import BUCKETS, bucket_codes
from features.data.interactions import EVENTS
from retrieval.two_tower.user_inputs import recent_of, user_inputs

if TYPE_CHECKING:
    import numpy as np

    from features.data.histories import Histories, RecentItems
    from retrieval.two_tower.config import TowerConfig


class SetUserEncoder(nn.Module):
    """The mean of the history's vectors, weighted and moved by attention over item, event, age and count."""

    def __init__(self, config: TowerConfig) -> None:
        super().__init__()
        self.config = config
        self.enter = nn.Linear(config.dim, config.hidden)
        self.event = nn.Embedding(len(EVENTS), config.hidden)
        self.age = nn.Embedding(BUCKETS, config.hidden)
        self.count = nn.Embedding(BUCKETS, config.hidden)
        self.norm = nn.LayerNorm(config.hidden)
        self.body = _body(config)
        self.attend = nn.Linear(config.hidden, 1)
        self.leave = nn.Linear(config.hidden, config.dim)
        # An untrained user tower is the mean of the history's vectors: sensible before any training.
        for module in (self.attend, self.leave):
            nn.init.zeros_(module.weight)
            nn.init.zeros_(module.bias)

    def recent(self, users: Histories, n_items: int) -> RecentItems:
        """What is read of each history."""
        return recent_of(users, n_items, self.config)

    def forward(self, vectors: Tensor, recent: RecentItems) -> Tensor:
        """Item vectors (b, n, dim) and what else is known of them to user vectors (b, dim); zero without history."""
        return self.read(vectors, *_tensors(recent, self.config, vectors.device))

    def read(self, vectors: Tensor, real: Tensor, event: Tensor, age: Tensor, count: Tensor) -> Tensor:
        """`forward` over tensors: which places are real, bool (b, n), and codes of event, age and count, int64 (b, n)."""
        empty = ~real.any(1, keepdim=True)
        hidden = self.enter(vectors) + self.event(event) + self.age(age) + self.count(count)
        # A user without history keeps one place open, so that attention has something to sum to one over.
        mask = ~(real | empty)
        hidden = self.body(self.norm(hidden), src_key_padding_mask=mask)  # (b, n, hidden)
        weights = self.attend(hidden).squeeze(-1).masked_fill(mask, -torch.inf).softmax(-1)[..., None]  # (b, n, 1)
        vector = (weights * (vectors + self.leave(hidden))).sum(1)
        return F.normalize(vector, dim=-1) * ~empty


class SequenceUserEncoder(nn.Module):
    """A causal transformer over the last events, oldest first (SASRec: Kang and McAuley 2018, arXiv 1808.09781, section III)."""

    def __init__(self, config: TowerConfig) -> None:
        super().__init__()
        self.config = config
        # Item vectors enter as they are, where they fit: a random map at the door costs a sixth of the quality (docs/decisions/013).
        self.enter = nn.Identity() if config.dim == config.hidden else nn.Linear(config.dim, config.hidden)
        self.scale = config.hidden**0.5  # unit vectors to coordinates of about 1
        self.place = nn.Embedding(config.history, config.hidden)
        nn.init.normal_(self.place.weight, std=0.02)
        self.norm = nn.LayerNorm(config.hidden)
        self.drop = nn.Dropout(config.dropout)
        self.body = _body(config)
        self.last_norm = nn.LayerNorm(config.hidden)
        self.leave = nn.Linear(config.hidden, config.dim)
        # Untrained, a user is the last item: sensible before any training.
        nn.init.zeros_(self.leave.weight)
        nn.init.zeros_(self.leave.bias)

    def recent(self, users: Histories, n_items: int) -> RecentItems:
        """What is read of each history."""
        return recent_of(users, n_items, self.config)

    def every(self, vectors: Tensor) -> Tensor:
        """What comes after each place: item vectors (b, n, dim), padded behind, to unit vectors (b, n, dim)."""
        n = vectors.shape[1]
        hidden = self.enter(vectors) * self.scale + self.place.weight[:n]
        ahead = torch.triu(torch.full((n, n), -torch.inf, device=vectors.device), 1)
        hidden = self.body(self.drop(self.norm(hidden)), mask=ahead, is_causal=True)
        return F.normalize(vectors + self.leave(self.last_norm(hidden)), dim=-1)

    def forward(self, vectors: Tensor, recent: RecentItems) -> Tensor:
        """Item vectors (b, n, dim) of histories to user vectors (b, dim); zero without history."""
        return self.read(vectors, *_tensors(recent, self.config, vectors.device))

    def read(self, vectors: Tensor, lengths: Tensor) -> Tensor:
        """`forward` over tensors: how long each history is, int64 (b,)."""
        every = self.every(vectors)
        place = (lengths - 1).clamp_min(0)[:, None, None].expand(-1, 1, every.shape[-1])
        return every.gather(1, place)[:, 0] * (lengths > 0)[:, None]


def _tensors(recent: RecentItems, config: TowerConfig, device: torch.device) -> list[Tensor]:
    return [torch.from_numpy(array).to(device) for array in user_inputs(recent, config).values()]


class Layer(nn.TransformerEncoderLayer):
    """Torch's layer; when it is exported its attention is spelled out, because torch's own writes the example's lengths into the graph."""

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


def _body(config: TowerConfig) -> nn.TransformerEncoder:
    layer = Layer(config.hidden, config.heads, 4 * config.hidden, config.dropout, activation="gelu", batch_first=True, norm_first=True)
    return nn.TransformerEncoder(layer, config.layers, enable_nested_tensor=False)


def buckets(values: np.ndarray) -> Tensor:
    """`bucket_codes` for torch."""
    return torch.from_numpy(bucket_codes(values))
