"""The text encoder's upper layers with a linear head over the pooled states: logits of classes.

The classifier of sentiment and that of intents train it upon the kept states of the layers below.
"""

from __future__ import annotations

import copy
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor, nn
from torch.nn import functional

from features.onnx.export import eager_attention
from features.text.encoder import TOKENS_A_BATCH, TextEncoder, length_batches, pooled, run_layers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from features.text.encoder_files import Pooling
    from features.text.token_states import TokenStates


def reading(encoder: TextEncoder, layers: int, max_tokens: int) -> TextEncoder:
    """Return an encoder with the same weights that reads so many tokens, and is divided below the layers to train.

    Both are limited to what the model has.
    """
    tokens = min(max_tokens, getattr(encoder.model.config, "max_position_embeddings", max_tokens))
    update = {"max_tokens": tokens, "upper_layers": min(layers, len(encoder.model.encoder.layer))}
    tokenizer = Tokenizer.from_str(encoder.tokenizer.to_str())  # a copy: truncation is set on the tokenizer itself
    reader = TextEncoder(encoder.model, tokenizer, encoder.config.model_copy(update=update), encoder.sentence)
    return reader.train(encoder.training)


class UpperNetwork(nn.Module):
    """Upper layers over the token states of an encoder's lower layers, and a linear head.

    Parameters
    ----------
    layers : upper layers, which are copied.
    width : length of a state.
    classes : number of logits.
    unit : whether the head reads vectors of unit norm.
    """

    def __init__(self, layers: Sequence[nn.Module], width: int, pooling: Pooling, classes: int, *, unit: bool = False) -> None:
        super().__init__()
        self.unit = unit
        self.layers = nn.ModuleList([copy.deepcopy(layer) for layer in layers]).requires_grad_()
        self.pooling: Pooling = pooling
        self.dropout = nn.Dropout(0.1)
        self.head = nn.Linear(width, classes)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    @classmethod
    def upon(cls, encoder: TextEncoder, classes: int, *, unit: bool = False) -> UpperNetwork:
        """Return a network that starts from a copy of the encoder's upper layers."""
        return cls(encoder.upper_layers, encoder.width, encoder.sentence.pooling, classes, unit=unit).to(encoder.device).eval()

    def vectors(self, hidden: Tensor, mask: Tensor) -> Tensor:
        """Return pooled vectors (n, width) from token states (n, L, width) and mask (n, L)."""
        vectors = pooled(run_layers(list(self.layers), hidden, mask), mask, self.pooling).float()
        return functional.normalize(vectors, dim=-1) if self.unit else vectors

    def forward(self, hidden: Tensor, mask: Tensor) -> Tensor:
        """Return the logits (n, classes)."""
        return self.head(self.dropout(self.vectors(hidden, mask)))


def state_logits(network: UpperNetwork, states: TokenStates) -> np.ndarray:
    """Return the logits of texts from their token states, float32 (n, classes)."""
    return _of_states(network, network, states, network.head.out_features)


def state_vectors(network: UpperNetwork, states: TokenStates) -> np.ndarray:
    """Return the vectors of texts from their token states, float32 (n, width)."""
    return _of_states(network, network.vectors, states, network.head.in_features)


@torch.inference_mode()
def _of_states(network: UpperNetwork, function: Callable[[Tensor, Tensor], Tensor], states: TokenStates, columns: int) -> np.ndarray:
    network.eval()
    device = network.head.weight.device
    out = np.empty((len(states), columns), dtype=np.float32)
    for chosen in length_batches(np.diff(states.offsets), TOKENS_A_BATCH[device.type]):
        hidden, mask = states.padded(np.array(chosen))
        with fast_arithmetic(network):
            out[chosen] = function(hidden.to(device), mask.to(device)).float().cpu().numpy()
    return out


@contextmanager
def fast_arithmetic(network: nn.Module) -> Iterator[None]:
    """Multiply in bfloat16 where the device has units for it: a GPU, or a CPU with AMX or AVX512-BF16; elsewhere it would be slower.

    Attention is then computed step by step: on a CPU, the backward pass of the fused kernel is slow in bfloat16.
    """
    device = next(network.parameters()).device.type
    units = torch.cpu.get_capabilities()
    fast = device == "cuda" or any(units.get(name) for name in ("amx_bf16", "avx512_bf16"))
    with eager_attention([network]), torch.autocast(device, torch.bfloat16) if fast else nullcontext():
        yield
