"""Export of the cross-encoder to ONNX, for `ranking.cross_encoder.onnx_model`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from features.onnx.export import eager_attention, export_onnx
from ranking.cross_encoder.config import left_kind

if TYPE_CHECKING:
    from ranking.cross_encoder.model import CrossEncoder


class PairGraph(nn.Module):
    """Wraps the cross-encoder as a module whose inputs are tensors."""

    def __init__(self, model: CrossEncoder) -> None:
        super().__init__()
        self.model = model

    def forward(self, *parts: Tensor) -> Tensor:
        """Return the logits, see `CrossEncoder.read`."""
        return self.model.read(*parts)


def cross_encoder_files(model: CrossEncoder) -> dict[str, bytes]:
    """Return the graph and the configuration by file name."""
    width = model.model_config["hidden_size"]
    codes = torch.zeros((2, 3), dtype=torch.long)
    inputs = {
        "history": torch.ones((2, 3, 4, width)),
        "seen": torch.ones((2, 3, 4), dtype=torch.bool),
        "age": codes,
        "count": codes.clone(),
        "own": torch.ones((2, 5, 6, width)),
        "mask": torch.ones((2, 5, 6), dtype=torch.bool),
    }
    history, own = ("users", "places", "place_tokens"), ("users", "candidates", "tokens")
    axes = {"history": (*history, None), "seen": history, "age": history[:2], "count": history[:2], "own": (*own, None), "mask": own}
    with eager_attention(model.layers):
        graph = export_onnx(PairGraph(model), inputs, axes)
    about = left_kind(model.config) | {"config": model.config.model_dump()}
    return {"cross_encoder.json": json.dumps(about).encode(), "cross_encoder.onnx": graph}
