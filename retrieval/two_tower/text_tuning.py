"""The distinct texts of a catalogue as the towers see them: pooled vectors that may be trained, in whichever way is affordable.

frozen: the encoder stays as it is. upper: its upper layers are trained on kept states of the lower ones (what a CPU can afford).
lora: low-rank updates of all attention layers (Hu et al. 2021, arXiv 2106.09685). full: all weights.
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
    """Distinct texts, their pooled vectors `pooled` float32 (n, width), and fresh vectors with a gradient for some of them."""

    def __init__(self, encoder: TextEncoder, texts: Sequence[str], kept: TokenStates, tuning: Tuning) -> None:
        self.encoder, self.kept, self.tuning = encoder, kept, tuning
        self.tokens = encoder.tokens(texts) if tuning in ("lora", "full") else []
        self.pooled = encoder.pool(kept)
        self._lora = None

    def trainable(self) -> list[nn.Parameter]:
        """Open the weights that this way of tuning trains, and return them."""
        model = self.encoder.model
        model.requires_grad_(False)
        if self.tuning == "upper":
            for layer in self.encoder.upper_layers:
                layer.requires_grad_(True)
        elif self.tuning == "full":
            model.requires_grad_(True)
        elif self.tuning == "lora":
            # r and alpha as in the paper's section 7; the adapters are merged into the weights when training ends.
            self._lora = LoraModel(model, LoraConfig(r=8, lora_alpha=16, target_modules=["query", "value"]), "default")
        return [weight for weight in model.parameters() if weight.requires_grad]

    def fresh(self, chosen: np.ndarray) -> Tensor:
        """Pooled vectors (n, width) of some texts, with a gradient to the encoder."""
        encoder = self.encoder
        device = encoder.device
        if self.tuning == "upper":
            hidden, mask = self.kept.padded(chosen)
            return encoder.upper(hidden.to(device), mask.to(device))
        ids, mask = encoder.batch([self.tokens[i] for i in chosen])
        with autocast(device):
            return encoder.upper(encoder.lower(ids, mask), mask).float()

    @torch.inference_mode()
    def refresh(self) -> None:
        """Make `pooled` anew with the encoder as it is now, without dropout."""
        self.encoder.eval()
        if self.tuning == "upper":
            self.pooled = self.encoder.pool(self.kept)
        elif self.tuning in ("lora", "full"):
            most = TOKENS_A_BATCH[self.encoder.device.type]
            for chosen in length_batches(np.array([len(some) for some in self.tokens]), most):
                self.pooled[chosen] = self.fresh(np.array(chosen)).cpu().numpy()

    def finish(self) -> None:
        """Merge adapters into the weights and close them."""
        if self._lora is not None:
            self.encoder.model = self._lora.merge_and_unload()
            self._lora = None
        self.encoder.model.requires_grad_(False)
        self.encoder.eval()


def autocast(device: torch.device) -> AbstractContextManager:
    """bfloat16 where there is a GPU; on these CPUs it is ten times slower than float32."""
    return torch.autocast("cuda", torch.bfloat16) if device.type == "cuda" else nullcontext()
