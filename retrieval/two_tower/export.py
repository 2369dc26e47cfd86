"""Export of the towers to the ONNX graphs that `retrieval.two_tower.onnx_model` runs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from features.onnx.export import eager_attention, export_onnx
from retrieval.two_tower.user_encoders import SequenceUserEncoder

if TYPE_CHECKING:
    from features.text.encoder import TextEncoder
    from retrieval.two_tower.model import TwoTower


class UserGraph(nn.Module):
    """The user tower as a module over tensors only."""

    def __init__(self, tower: TwoTower) -> None:
        super().__init__()
        self.user_encoder = tower.user_encoder

    def forward(self, vectors: Tensor, *inputs: Tensor) -> Tensor:
        """See `SetUserEncoder.encode` and `SequenceUserEncoder.encode`."""
        return self.user_encoder.encode(vectors, *inputs)


class QueryGraph(nn.Module):
    """Text encoder, pooling and item tower as one module: token ids and mask (n, L) to item vectors (n, dim)."""

    def __init__(self, encoder: TextEncoder, tower: TwoTower) -> None:
        super().__init__()
        self.encoder, self.tower = encoder, tower

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        """Return item vectors; token states are rounded to float16, as those of the catalogue are stored."""
        hidden = self.encoder.lower(ids, mask).half().float()
        return self.tower.item(self.encoder.upper(hidden, mask))


def user_tower_files(tower: TwoTower) -> dict[str, bytes]:
    """Return the files of the user tower: sizes as JSON, and the graph."""
    b, n, config = 2, min(3, tower.config.history), tower.config
    codes = torch.zeros((b, n), dtype=torch.long)
    inputs = {"vectors": torch.ones((b, n, config.dim))}
    axes: dict[str, tuple[str | None, ...]] = {"vectors": ("users", "places", None)}
    if isinstance(tower.user_encoder, SequenceUserEncoder):
        inputs["lengths"], axes["lengths"] = torch.full((b,), n), ("users",)
    else:
        inputs |= {"real": torch.ones((b, n), dtype=torch.bool), "event": codes, "age": codes.clone(), "count": codes.clone()}
        axes |= dict.fromkeys(("real", "event", "age", "count"), ("users", "places"))
    header = {"width": tower.width, "tower": config.model_dump()}
    return {"tower.json": json.dumps(header).encode(), "user.onnx": export_onnx(UserGraph(tower), inputs, axes)}


def query_files(encoder: TextEncoder, tower: TwoTower) -> dict[str, bytes]:
    """Return the files of the query encoder: prompt as JSON, tokenizer, and the graph."""
    inputs = {"ids": torch.zeros((2, 3), dtype=torch.long), "mask": torch.tensor([[True, True, True], [True, True, False]])}
    axes = dict.fromkeys(inputs, ("texts", "tokens"))
    with eager_attention([encoder.model]):
        graph = export_onnx(QueryGraph(encoder, tower), inputs, axes)
    header = {"prompt": encoder.sentence.prompt("query")}
    return {"query.json": json.dumps(header).encode(), "tokenizer.json": encoder.tokenizer.to_str().encode(), "query.onnx": graph}
