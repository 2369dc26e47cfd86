"""The two towers. Items: pooled text vector -> one space. Users: a history of item vectors -> the same space.

The user tower reads nothing but item vectors, so it serves a known user, a basket given on the spot, and items added today alike.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import safetensors.torch
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from retrieval.two_tower.config import TowerConfig
from retrieval.two_tower.user_encoders import SequenceUserEncoder, SetUserEncoder
from retrieval.two_tower.user_inputs import BATCH

if TYPE_CHECKING:
    from collections.abc import Mapping

    from features.data.histories import Histories, RecentItems


class TwoTower(nn.Module):
    """Item tower and user tower over a text encoder's pooled vectors of `width`."""

    def __init__(self, width: int, config: TowerConfig) -> None:
        super().__init__()
        self.width, self.config = width, config
        self.mean: Tensor
        self.register_buffer("mean", torch.zeros(width))
        self.project = nn.Linear(width, config.dim, bias=False)
        self.reader = SequenceUserEncoder(config) if config.user_encoder == "sequence" else SetUserEncoder(config)
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

    def item(self, pooled: Tensor, item_id_vectors: Tensor | None = None) -> Tensor:
        """Pooled text vectors (n, width), and what else was learned of the items (n, dim), to item vectors of unit norm (n, dim)."""
        text = F.normalize(self.project(pooled - self.mean), dim=-1)
        return text if item_id_vectors is None else F.normalize(text + item_id_vectors, dim=-1)

    def user(self, vectors: Tensor, recent: RecentItems) -> Tensor:
        """Item vectors of histories (b, n, dim) and what else is known of them to user vectors (b, dim); zero without history."""
        return self.reader(vectors, recent)

    def every(self, vectors: Tensor) -> Tensor:
        """For towers that read sequences: user vectors (b, n, dim) after each place of histories (b, n, dim), padded behind.

        Raises
        ------
        TypeError: the tower reads sets.
        """
        if not isinstance(self.reader, SequenceUserEncoder):
            raise TypeError("this user tower reads sets: only one that reads sequences has a vector for every place")
        return self.reader.every(vectors)

    @torch.inference_mode()
    def item_vectors(self, pooled: np.ndarray, item_id_vectors: np.ndarray | None = None) -> np.ndarray:
        """Item vectors of pooled text vectors, and of what else was learned of the items: float32 (n, width), (n, dim) to (n, dim)."""
        more = None if item_id_vectors is None else torch.from_numpy(item_id_vectors).to(self.mean.device)
        return self.eval().item(torch.from_numpy(pooled).to(self.mean.device), more).cpu().numpy()

    @torch.inference_mode()
    def user_vectors(self, users: Histories, item_vectors: np.ndarray) -> np.ndarray:
        """User vectors float32 (b, dim) of histories over the catalogue's item vectors (n_items, dim)."""
        self.eval()
        out = [np.zeros((0, self.config.dim), dtype=np.float32)]
        for start in range(0, len(users), BATCH):
            part = users.take(np.arange(start, min(start + BATCH, len(users))))
            recent = self.reader.recent(part, len(item_vectors))
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


class ItemIdEmbedding(nn.Module):
    """The vectors while they are trained, one a distinct text of the catalogue; the optimizer's only parameters that grow with the shop."""

    def __init__(self, n_texts: int, dim: int, hide: float) -> None:
        super().__init__()
        self.hide = hide
        self.table = nn.Embedding(n_texts, dim)
        nn.init.normal_(self.table.weight, std=0.02)

    def forward(self, texts: Tensor) -> Tensor:
        """Vectors (n, dim) of text rows (n,); in training some of them are zero."""
        vectors = self.table(texts)
        if self.training and self.hide:
            vectors = vectors * (torch.rand(len(texts), 1, device=vectors.device) >= self.hide)
        return vectors

    def vectors(self) -> np.ndarray:
        """All of them, float32 (n_texts, dim)."""
        return self.table.weight.detach().cpu().numpy().copy()
