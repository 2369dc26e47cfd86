"""The text encoder's upper layers twice: as they are, and trained to tell intents apart."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from features.text.classifier.network import UpperNetwork
from features.text.encoder import pooled, run_layers

if TYPE_CHECKING:
    from features.text.encoder import TextEncoder

SCALE = 20.0  # of cosines, before the first step


class TwoVectors(nn.Module):
    """Token states below the upper layers to two vectors of unit norm, side by side: the encoder's own, and that of the trained layers."""

    def __init__(self, encoder: TextEncoder, tuned: UpperNetwork) -> None:
        super().__init__()
        self.own = nn.ModuleList(encoder.upper_layers)
        self.tuned = tuned

    def forward(self, hidden: Tensor, mask: Tensor) -> Tensor:
        """Return the vectors (n, 2 width) from token states (n, L, width) and mask (n, L)."""
        own = pooled(run_layers(list(self.own), hidden, mask), mask, self.tuned.pooling).float()
        return torch.cat([functional.normalize(own, dim=-1), self.tuned.vectors(hidden, mask)], dim=-1)


class CosineHead(nn.Module):
    """Logits from the cosines to one direction for each intent, which begins at the mean of its examples."""

    def __init__(self, vectors: np.ndarray, labels: np.ndarray) -> None:
        super().__init__()
        means = np.stack([vectors[labels == label].mean(axis=0) for label in range(int(labels.max()) + 1)])
        self.weight = nn.Parameter(torch.from_numpy(means.astype(np.float32)))
        self.bias = nn.Parameter(torch.zeros(len(means)))
        self.log_scale = nn.Parameter(torch.tensor(float(np.log(SCALE))))

    def forward(self, vectors: Tensor) -> Tensor:
        """Return the logits (n, classes) of vectors of unit norm (n, width)."""
        return vectors @ functional.normalize(self.weight, dim=-1).T * self.log_scale.exp() + self.bias
