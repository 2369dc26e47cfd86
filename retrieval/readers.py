"""How the user tower reads a history: as a set of distinct items, or as a sequence of events.

A shop of baskets tells most by what is bought and how often; the order within a basket is chance. Where people buy one thing at a time,
the order tells what comes next, and every event of the log is a lesson: `SequenceReader` learns from all places of a history at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from features.interactions import EVENTS
from retrieval.buckets import BUCKETS, bucket_codes

if TYPE_CHECKING:
    import numpy as np

    from features.histories import Histories, RecentItems
    from retrieval.tower_config import TowerConfig


class SetReader(nn.Module):
    """The mean of the history's vectors, weighted and moved by attention over item, event, age and count."""

    def __init__(self, config: TowerConfig) -> None:
        super().__init__()
        self.most = config.history
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
        return users.recent_items(n_items, self.most)

    def forward(self, vectors: Tensor, recent: RecentItems) -> Tensor:
        """Item vectors (b, n, dim) and what else is known of them to user vectors (b, dim); zero without history."""
        device = vectors.device
        real = torch.from_numpy(recent.rows >= 0).to(device)  # (b, n)
        empty = ~real.any(1, keepdim=True)
        hidden = self.enter(vectors) + self.event(torch.from_numpy(recent.event).long().to(device))
        hidden = hidden + self.age(buckets(recent.age).to(device)) + self.count(buckets(recent.count).to(device))
        # A user without history keeps one place open, so that attention has something to sum to one over.
        mask = ~(real | empty)
        hidden = self.body(self.norm(hidden), src_key_padding_mask=mask)  # (b, n, hidden)
        weights = self.attend(hidden).squeeze(-1).masked_fill(mask, -torch.inf).softmax(-1)[..., None]  # (b, n, 1)
        vector = (weights * (vectors + self.leave(hidden))).sum(1)
        return F.normalize(vector, dim=-1) * ~empty


class SequenceReader(nn.Module):
    """A causal transformer over the last events, oldest first (SASRec: Kang and McAuley 2018, arXiv 1808.09781, section III)."""

    def __init__(self, config: TowerConfig) -> None:
        super().__init__()
        self.most = config.history
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
        return users.last_events(self.most)

    def every(self, vectors: Tensor) -> Tensor:
        """What comes after each place: item vectors (b, n, dim), padded behind, to unit vectors (b, n, dim)."""
        n = vectors.shape[1]
        hidden = self.enter(vectors) * self.scale + self.place.weight[:n]
        ahead = torch.triu(torch.full((n, n), -torch.inf, device=vectors.device), 1)
        hidden = self.body(self.drop(self.norm(hidden)), mask=ahead, is_causal=True)
        return F.normalize(vectors + self.leave(self.last_norm(hidden)), dim=-1)

    def forward(self, vectors: Tensor, recent: RecentItems) -> Tensor:
        """Item vectors (b, n, dim) of histories to user vectors (b, dim); zero without history."""
        lengths = torch.from_numpy((recent.rows >= 0).sum(axis=1)).to(vectors.device)
        last = self.every(vectors)[torch.arange(len(lengths), device=vectors.device), (lengths - 1).clamp_min(0)]
        return last * (lengths > 0)[:, None]


def _body(config: TowerConfig) -> nn.TransformerEncoder:
    layer = nn.TransformerEncoderLayer(
        config.hidden, config.heads, 4 * config.hidden, config.dropout, activation="gelu", batch_first=True, norm_first=True
    )
    return nn.TransformerEncoder(layer, config.layers, enable_nested_tensor=False)


def buckets(values: np.ndarray) -> Tensor:
    """`bucket_codes` for torch."""
    return torch.from_numpy(bucket_codes(values))
