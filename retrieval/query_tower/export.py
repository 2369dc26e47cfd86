"""Export of the queries' side to the ONNX graph that `retrieval.query_tower.onnx_model` runs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from features.onnx.export import eager_attention, export_onnx

if TYPE_CHECKING:
    from features.text.encoder import TextEncoder
    from retrieval.query_tower.model import QueryTower


class QueryGraph(nn.Module):
    """Lower layers of the text encoder and the query tower as one module.

    Token ids and mask (n, L) go in; unit vectors (n, dim) and the lower layers' token states (n, L, width) come out.
    """

    def __init__(self, encoder: TextEncoder, tower: QueryTower) -> None:
        super().__init__()
        self.encoder, self.tower = encoder, tower

    def forward(self, ids: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Return vectors and token states; states are rounded to float16, as those of the catalogue are stored."""
        hidden = self.encoder.lower(ids, mask).half().float()
        return self.tower.query(hidden, mask), hidden


def query_files(encoder: TextEncoder, tower: QueryTower) -> dict[str, bytes]:
    """Return the files of the query encoder: prompt as JSON, tokenizer, and the graph."""
    inputs = {"ids": torch.zeros((2, 3), dtype=torch.long), "mask": torch.tensor([[True, True, True], [True, True, False]])}
    axes = dict.fromkeys(inputs, ("texts", "tokens"))
    with eager_attention([encoder.model, tower]):
        graph = export_onnx(QueryGraph(encoder, tower), inputs, axes, ("vectors", "states"))
    header = {"prompt": encoder.sentence.prompt("query")}
    return {"query.json": json.dumps(header).encode(), "tokenizer.json": encoder.tokenizer.to_str().encode(), "query.onnx": graph}
