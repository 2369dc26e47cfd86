"""Export of the text encoder's lower layers to ONNX, for `features.onnx.token_states`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from features.onnx.export import eager_attention, export_onnx

if TYPE_CHECKING:
    from features.text.encoder import TextEncoder
    from features.text.encoder_files import Kind


class LowerGraph(nn.Module):
    """Embeddings and lower layers as a module: token ids and mask (n, L) to token states (n, L, width)."""

    def __init__(self, encoder: TextEncoder) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        """Return the states; without a lower layer, nothing reads the mask, which the graph must keep as an input."""
        hidden = self.encoder.lower(ids, mask)
        return hidden * mask[..., None].to(hidden.dtype)


def lower_layer_files(encoder: TextEncoder, kind: Kind) -> dict[str, bytes]:
    """Return the graph, the tokenizer, and the prompt of a kind of text as JSON, by file name."""
    inputs = {"ids": torch.zeros((2, 3), dtype=torch.long), "mask": torch.tensor([[True, True, True], [True, True, False]])}
    axes = dict.fromkeys(inputs, ("texts", "tokens"))
    with eager_attention([encoder.model]):
        graph = export_onnx(LowerGraph(encoder), inputs, axes)
    header = {"prompt": encoder.sentence.prompt(kind), "width": encoder.width}
    return {"lower.json": json.dumps(header).encode(), "tokenizer.json": encoder.tokenizer.to_str().encode(), "lower.onnx": graph}
