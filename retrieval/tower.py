"""The two towers. Items: pooled text vector -> one space. Users: a history of item vectors -> the same space.

The user tower reads nothing but item vectors, so it serves a known user, a basket given on the spot, and items added today alike.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import safetensors.torch
import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn
from torch.nn import functional as F

from features.interactions import EVENTS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from features.histories import Histories, RecentItems

BUCKETS = 16
BATCH = 512


class TowerConfig(BaseModel):
    """Sizes of the towers. dim: of the shared space. history: how many distinct items of a user are read."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    dim: int = Field(default=128, ge=8)
    hidden: int = Field(default=128, ge=8)
    layers: int = Field(default=2, ge=1)
    heads: int = Field(default=4, ge=1)
    dropout: float = Field(default=0.1, ge=0, lt=1)
    history: int = Field(default=64, ge=1)


class TwoTower(nn.Module):
    """Item tower and user tower over a text encoder's pooled vectors of `width`."""

    def __init__(self, width: int, config: TowerConfig) -> None:
        super().__init__()
        self.width, self.config = width, config
        self.mean: Tensor
        self.register_buffer("mean", torch.zeros(width))
        self.project = nn.Linear(width, config.dim, bias=False)
        self.enter = nn.Linear(config.dim, config.hidden)
        self.event = nn.Embedding(len(EVENTS), config.hidden)
        self.age = nn.Embedding(BUCKETS, config.hidden)
        self.count = nn.Embedding(BUCKETS, config.hidden)
        self.norm = nn.LayerNorm(config.hidden)
        layer = nn.TransformerEncoderLayer(
            config.hidden, config.heads, 4 * config.hidden, config.dropout, activation="gelu", batch_first=True, norm_first=True
        )
        self.body = nn.TransformerEncoder(layer, config.layers, enable_nested_tensor=False)
        self.attend = nn.Linear(config.hidden, 1)
        self.leave = nn.Linear(config.hidden, config.dim)
        # An untrained user tower is the mean of the history's vectors: sensible before any training.
        for module in (self.attend, self.leave):
            nn.init.zeros_(module.weight)
            nn.init.zeros_(module.bias)
        self.scale = nn.Parameter(torch.tensor(np.log(1 / 0.07), dtype=torch.float32))  # log of 1 / temperature

    @torch.no_grad()
    def start_from(self, pooled: np.ndarray) -> None:
        """Set the projection to the leading principal components of pooled vectors (n, width): neighbours stay neighbours."""
        sample = torch.from_numpy(pooled).double()
        if len(sample) > 1:  # a shop's only text, taken from itself, would leave nothing
            self.mean.copy_(sample.mean(0))
        _, vectors = torch.linalg.eigh((sample - sample.mean(0)).T @ (sample - sample.mean(0)))  # ascending
        leading = vectors.flip(1)[:, : self.config.dim].T  # (<= dim, width)
        # Eigenvectors come with either sign; fix it, so that every machine starts from the same point.
        leading = leading * torch.sign(leading.gather(1, leading.abs().argmax(1, keepdim=True)))
        self.project.weight.zero_()
        self.project.weight[: len(leading)] = leading.float()

    @torch.no_grad()
    def start_as_is(self) -> None:
        """Leave pooled vectors as they are: for a space as wide as they are."""
        self.project.weight.copy_(torch.eye(self.width))

    def item(self, pooled: Tensor) -> Tensor:
        """Pooled text vectors (n, width) to item vectors of unit norm (n, dim)."""
        return F.normalize(self.project(pooled - self.mean), dim=-1)

    def user(self, vectors: Tensor, recent: RecentItems) -> Tensor:
        """Item vectors of histories (b, n, dim) and what else is known of them to user vectors (b, dim); zero without history."""
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

    @torch.inference_mode()
    def item_vectors(self, pooled: np.ndarray) -> np.ndarray:
        """Item vectors of pooled text vectors: float32 (n, width) to (n, dim)."""
        return self.eval().item(torch.from_numpy(pooled).to(self.mean.device)).cpu().numpy()

    @torch.inference_mode()
    def user_vectors(self, users: Histories, item_vectors: np.ndarray) -> np.ndarray:
        """User vectors float32 (b, dim) of histories over the catalogue's item vectors (n_items, dim)."""
        self.eval()
        out = [np.zeros((0, self.config.dim), dtype=np.float32)]
        for start in range(0, len(users), BATCH):
            part = users.take(np.arange(start, min(start + BATCH, len(users))))
            recent = part.recent_items(len(item_vectors), self.config.history)
            vectors = torch.from_numpy(item_vectors[np.maximum(recent.rows, 0)]).to(self.mean.device)
            out.append(self.user(vectors, recent).cpu().numpy())
        return np.concatenate(out)

    def to_files(self) -> dict[str, bytes]:
        about = {"width": self.width, "tower": self.config.model_dump()}
        weights = {name: tensor.detach().cpu().contiguous() for name, tensor in self.state_dict().items()}
        return {"tower.json": json.dumps(about).encode(), "tower.safetensors": safetensors.torch.save(weights)}

    @classmethod
    def from_files(cls, files: Mapping[str, bytes]) -> TwoTower:
        about = json.loads(files["tower.json"])
        tower = cls(about["width"], TowerConfig(**about["tower"]))
        tower.load_state_dict(safetensors.torch.load(files["tower.safetensors"]))
        return tower.eval()


def buckets(values: np.ndarray) -> Tensor:
    """Ages in days or counts to buckets that double in width: 0, <1, <2, <4 ... int64, below `BUCKETS`."""
    codes = np.where(values <= 0, 0, np.floor(np.log2(np.maximum(values, 0.5))) + 2)
    return torch.from_numpy(np.clip(codes, 0, BUCKETS - 1).astype(np.int64))
