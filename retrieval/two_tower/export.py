"""Export of the towers to the ONNX graphs that `retrieval.two_tower.onnx_model` runs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from features.onnx.export import export_onnx
from retrieval.two_tower.user_encoders import SequenceUserEncoder

if TYPE_CHECKING:
    from retrieval.two_tower.model import TwoTower


class UserGraph(nn.Module):
    """The user tower as a module over tensors only."""

    def __init__(self, tower: TwoTower) -> None:
        super().__init__()
        self.user_encoder = tower.user_encoder

    def forward(self, vectors: Tensor, *inputs: Tensor) -> Tensor:
        """See `SetUserEncoder.encode` and `SequenceUserEncoder.encode`."""
        return self.user_encoder.encode(vectors, *inputs)


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
