"""Fine-tuning of the text encoder: pooled vectors of a catalogue's distinct texts, with gradients for some of them.

Four ways of tuning:

- frozen: no weights are trained.
- upper: the upper layers are trained on cached token states of the lower ones, which a CPU can afford.
- lora: low-rank updates of all attention layers are trained (Hu et al. 2021, arXiv 2106.09685).
- full: all weights are trained.
"""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from peft import LoraConfig, LoraModel

from features.text.encoder import TOKENS_A_BATCH, length_batches

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractContextManager

    from torch import Tensor, nn

    from features.text.encoder import TextEncoder
    from features.text.token_states import TokenStates

Tuning = Literal["frozen", "upper", "lora", "full"]


class TrainableTexts:
    """Distinct texts with their pooled vectors, and a text encoder that is tuned on them.

    Parameters
    ----------
    encoder : TextEncoder
        Tuned in place.
    texts : sequence of str
        The n distinct texts.
    states : TokenStates
        Token states of the encoder's lower layers for the texts.
    tuning : str
        The weights that are trained, see the module.

    Attributes
    ----------
    pooled : float32 (n, width)
        Pooled vectors as of the last `refresh`.
    """

    def __init__(self, encoder: TextEncoder, texts: Sequence[str], states: TokenStates, tuning: Tuning) -> None:
        self.encoder, self.states, self.tuning = encoder, states, tuning
        self.tokens = encoder.tokens(texts) if tuning in ("lora", "full") else []
        self.pooled = encoder.pool(states)
        self._lora = None

    def trainable(self) -> list[nn.Parameter]:
        """Unfreeze the weights that are trained, and return them."""
        model = self.encoder.model
        model.requires_grad_(False)
        if self.tuning == "upper":
            for layer in self.encoder.upper_layers:
                layer.requires_grad_(True)
        elif self.tuning == "full":
            model.requires_grad_(True)
        elif self.tuning == "lora":
            # r and alpha as in section 7 of the paper. `finish` merges the adapters into the weights.
            self._lora = LoraModel(model, LoraConfig(r=8, lora_alpha=16, target_modules=["query", "value"]), "default")
        return [weight for weight in model.parameters() if weight.requires_grad]

    def encode(self, rows: np.ndarray) -> Tensor:
        """Return pooled vectors (m, width) of text rows (m,), with a gradient to the encoder."""
        encoder = self.encoder
        device = encoder.device
        if self.tuning == "upper":
            hidden, mask = self.states.padded(rows)
            return encoder.upper(hidden.to(device), mask.to(device))
        ids, mask = encoder.batch([self.tokens[i] for i in rows])
        with autocast(device):
            return encoder.upper(encoder.lower(ids, mask), mask).float()

    @torch.inference_mode()
    def refresh(self) -> None:
        """Recompute `pooled` with the current weights, without dropout."""
        self.encoder.eval()
        if self.tuning == "upper":
            self.pooled = self.encoder.pool(self.states)
        elif self.tuning in ("lora", "full"):
            most = TOKENS_A_BATCH[self.encoder.device.type]
            for rows in length_batches(np.array([len(ids) for ids in self.tokens]), most):
                self.pooled[rows] = self.encode(np.array(rows)).cpu().numpy()

    def finish(self) -> None:
        """Merge adapters into the weights, and freeze the encoder."""
        if self._lora is not None:
            self.encoder.model = self._lora.merge_and_unload()
            self._lora = None
        self.encoder.model.requires_grad_(False)
        self.encoder.eval()


def autocast(device: torch.device) -> AbstractContextManager:
    """Return a context of bfloat16 on a GPU, of float32 on a CPU, where bfloat16 can be ten times slower."""
    return torch.autocast("cuda", torch.bfloat16) if device.type == "cuda" else nullcontext()
