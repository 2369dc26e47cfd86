"""The towers to ONNX: what `retrieval.two_tower.onnx_model` answers with."""

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
    """The user tower over tensors alone."""

    def __init__(self, tower: TwoTower) -> None:
        super().__init__()
        self.reader = tower.reader

    def forward(self, vectors: Tensor, *about: Tensor) -> Tensor:
        """See `SetUserEncoder.read` and `SequenceUserEncoder.read`."""
        return self.reader.read(vectors, *about)


class QueryGraph(nn.Module):
    """Token ids (n, L) and their mask (n, L) to item vectors (n, dim): what `TextEncoder.keep`, `pool` and the item tower do in turn."""

    def __init__(self, encoder: TextEncoder, tower: TwoTower) -> None:
        super().__init__()
        self.encoder, self.tower = encoder, tower

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        """Kept states are float16, so the catalogue's vectors went through them; queries do too."""
        hidden = self.encoder.lower(ids, mask).half().float()
        return self.tower.item(self.encoder.upper(hidden, mask))


def user_tower_files(tower: TwoTower) -> dict[str, bytes]:
    """The user tower."""
    b, n, config = 2, min(3, tower.config.history), tower.config
    codes = torch.zeros((b, n), dtype=torch.long)
    inputs = {"vectors": torch.ones((b, n, config.dim))}
    axes: dict[str, tuple[str | None, ...]] = {"vectors": ("users", "places", None)}
    if isinstance(tower.reader, SequenceUserEncoder):
        inputs["lengths"], axes["lengths"] = torch.full((b,), n), ("users",)
    else:
        inputs |= {"real": torch.ones((b, n), dtype=torch.bool), "event": codes, "age": codes.clone(), "count": codes.clone()}
        axes |= dict.fromkeys(("real", "event", "age", "count"), ("users", "places"))
    about = {"width": tower.width, "tower": config.model_dump()}
    return {"tower.json": json.dumps(about).encode(), "user.onnx": export_onnx(UserGraph(tower), inputs, axes)}


def query_files(encoder: TextEncoder, tower: TwoTower) -> dict[str, bytes]:
    """The query side."""
    inputs = {"ids": torch.zeros((2, 3), dtype=torch.long), "mask": torch.tensor([[True, True, True], [True, True, False]])}
    axes = dict.fromkeys(inputs, ("texts", "tokens"))
    with eager_attention([encoder.model]):
        graph = export_onnx(QueryGraph(encoder, tower), inputs, axes)
    about = {"prompt": encoder.sentence.prompt("query")}
    return {"query.json": json.dumps(about).encode(), "tokenizer.json": encoder.tokenizer.to_str().encode(), "query.onnx": graph}
