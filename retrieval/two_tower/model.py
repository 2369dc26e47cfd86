"""The two towers: an item tower over pooled text vectors, and a user tower over the item vectors of a history.

The user tower sees item vectors only, so known users, anonymous baskets and items added today are one case.
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


# Prefixes of the user encoder's tensors: in files, where they do not change so that stored models remain readable, and in
# the module. The first match counts.
_TENSOR_NAMES = (
    ("reader.enter.", "user_encoder.input_projection."),
    ("reader.place.", "user_encoder.position."),
    ("reader.body.", "user_encoder.transformer."),
    ("reader.attend.", "user_encoder.pooling."),
    ("reader.last_norm.", "user_encoder.output_norm."),
    ("reader.leave.", "user_encoder.output_projection."),
    ("reader.", "user_encoder."),
)


class TwoTower(nn.Module):
    """Item tower and user tower over pooled text vectors.

    Parameters
    ----------
    width : int
        Dimensions of the pooled text vectors.
    config : TowerConfig
        Sizes of the towers.
    """

    def __init__(self, width: int, config: TowerConfig) -> None:
        super().__init__()
        self.width, self.config = width, config
        self.mean: Tensor
        self.register_buffer("mean", torch.zeros(width))
        self.project = nn.Linear(width, config.dim, bias=False)
        self.user_encoder = SequenceUserEncoder(config) if config.user_encoder == "sequence" else SetUserEncoder(config)
        self.scale = nn.Parameter(torch.tensor(np.log(1 / 0.07), dtype=torch.float32))  # log of 1 / temperature
        self.register_load_state_dict_pre_hook(_rename_stored)

    @torch.no_grad()
    def start_from(self, pooled: np.ndarray) -> None:
        """Set the projection to the leading principal components of pooled vectors (n, width)."""
        sample = torch.from_numpy(pooled).double()
        if len(sample) > 1:  # a single text minus its mean would be zero
            self.mean.copy_(sample.mean(0))
        _, vectors = torch.linalg.eigh((sample - sample.mean(0)).T @ (sample - sample.mean(0)))  # ascending
        leading = vectors.flip(1)[:, : self.config.dim].T  # (<= dim, width)
        # The sign of an eigenvector is arbitrary; fix it, so that every machine starts from the same weights.
        leading = leading * torch.sign(leading.gather(1, leading.abs().argmax(1, keepdim=True)))
        self.project.weight.zero_()
        self.project.weight[: len(leading)] = leading.float()

    @torch.no_grad()
    def start_as_is(self) -> None:
        """Set the projection to the identity, for a space of `width` dimensions."""
        self.project.weight.copy_(torch.eye(self.width))

    def item(self, pooled: Tensor, item_id_vectors: Tensor | None = None) -> Tensor:
        """Return unit item vectors (n, dim).

        Parameters
        ----------
        pooled : (n, width)
            Pooled text vectors.
        item_id_vectors : (n, dim), optional
            Vectors that are added to those of the texts.
        """
        text = F.normalize(self.project(pooled - self.mean), dim=-1)
        return text if item_id_vectors is None else F.normalize(text + item_id_vectors, dim=-1)

    def user(self, vectors: Tensor, recent: RecentItems) -> Tensor:
        """Return user vectors (b, dim), zero without history.

        Parameters
        ----------
        vectors : (b, n, dim)
            Item vectors of the histories.
        recent : RecentItems
            The histories.
        """
        return self.user_encoder(vectors, recent)

    def encode_positions(self, vectors: Tensor) -> Tensor:
        """Return user vectors (b, n, dim) after each position of histories (b, n, dim), which are padded at the end.

        Raises
        ------
        TypeError
            If the user encoder is not a `SequenceUserEncoder`.
        """
        return self._sequence_encoder.encode_positions(vectors)

    def encode_packed(self, vectors: Tensor, lengths: np.ndarray) -> Tensor:
        """Return `encode_positions` of histories without padding, see `SequenceUserEncoder.encode_packed`."""
        return self._sequence_encoder.encode_packed(vectors, lengths)

    @property
    def _sequence_encoder(self) -> SequenceUserEncoder:
        if not isinstance(self.user_encoder, SequenceUserEncoder):
            raise TypeError("this user tower encodes sets: only one over sequences has a vector for every position")
        return self.user_encoder

    @torch.inference_mode()
    def item_vectors(self, pooled: np.ndarray, item_id_vectors: np.ndarray | None = None) -> np.ndarray:
        """Return `item` for arrays, without gradients and dropout: float32 (n, width) and (n, dim) to (n, dim)."""
        item_ids = None if item_id_vectors is None else torch.from_numpy(item_id_vectors).to(self.mean.device)
        return self.eval().item(torch.from_numpy(pooled).to(self.mean.device), item_ids).cpu().numpy()

    @torch.inference_mode()
    def user_vectors(self, users: Histories, item_vectors: np.ndarray) -> np.ndarray:
        """Return user vectors float32 (b, dim) of histories over item vectors float32 (n_items, dim)."""
        self.eval()
        out = np.zeros((len(users), self.config.dim), dtype=np.float32)
        by_length = np.argsort(users.lengths, kind="stable")  # few histories are long, and the others are padded to them
        for start in range(0, len(users), BATCH):
            some = by_length[start : start + BATCH]
            recent = self.user_encoder.recent(users.take(some), len(item_vectors))
            vectors = torch.from_numpy(item_vectors[np.maximum(recent.rows, 0)]).to(self.mean.device)
            out[some] = self.user(vectors, recent).cpu().numpy()
        return out

    def to_files(self) -> dict[str, bytes]:
        """Return the sizes in JSON and the weights in safetensors."""
        header = {"width": self.width, "tower": self.config.model_dump()}
        weights = {_stored_name(name): tensor.detach().cpu().contiguous() for name, tensor in self.state_dict().items()}
        return {"tower.json": json.dumps(header).encode(), "tower.safetensors": safetensors.torch.save(weights)}

    @classmethod
    def from_files(cls, files: Mapping[str, bytes]) -> TwoTower:
        """Read the files of `to_files`."""
        header = json.loads(files["tower.json"])
        tower = cls(header["width"], TowerConfig.from_stored(header["tower"]))
        tower.load_state_dict(safetensors.torch.load(files["tower.safetensors"]))
        return tower.eval()


def _stored_name(name: str) -> str:
    """Return the name of a tensor in files."""
    for stored, current in _TENSOR_NAMES:
        if name.startswith(current):
            return stored + name.removeprefix(current)
    return name


def _rename_stored(_module: nn.Module, state: dict[str, Tensor], prefix: str, *_: object) -> None:
    """Rename the tensors of a file, or of a checkpoint of an older version, to the module's names, in place."""
    for stored, current in _TENSOR_NAMES:
        for name in [name for name in state if name.startswith(prefix + stored)]:
            state[prefix + current + name.removeprefix(prefix + stored)] = state.pop(name)


class ItemIdEmbedding(nn.Module):
    """Item id vectors while they are trained, one for each distinct text of the catalogue.

    Parameters
    ----------
    n_texts, dim : int
        Size of the table, the only trained parameters that grow with the catalogue.
    id_dropout : float
        Probability with which a vector is zero in training.
    """

    def __init__(self, n_texts: int, dim: int, id_dropout: float) -> None:
        super().__init__()
        self.id_dropout = id_dropout
        self.table = nn.Embedding(n_texts, dim)
        nn.init.normal_(self.table.weight, std=0.02)

    def forward(self, texts: Tensor) -> Tensor:
        """Return the vectors (n, dim) of text rows (n,); in training some of them are zero."""
        vectors = self.table(texts)
        if self.training and self.id_dropout:
            vectors = vectors * (torch.rand(len(texts), 1, device=vectors.device) >= self.id_dropout)
        return vectors

    def vectors(self) -> np.ndarray:
        """Return a copy of all vectors, float32 (n_texts, dim)."""
        return self.table.weight.detach().cpu().numpy().copy()
