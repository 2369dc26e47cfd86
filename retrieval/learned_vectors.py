"""Vectors of single items while they are trained; see `retrieval.learned`.

So that items without one are served by their text alone, the training hides these vectors now and then (dropout of ids: Volkovs, Yu,
Poutanen 2017, DropoutNet, NeurIPS).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    import numpy as np


class LearnedVectors(nn.Module):
    """The vectors while they are trained, one a distinct text of the catalogue; the optimizer's only parameters that grow with the shop."""

    def __init__(self, n_texts: int, dim: int, hide: float) -> None:
        super().__init__()
        self.hide = hide
        self.table = nn.Embedding(n_texts, dim)
        nn.init.normal_(self.table.weight, std=0.02)

    def forward(self, texts: Tensor) -> Tensor:
        """Vectors (n, dim) of text rows (n,); in training some of them are zero."""
        vectors = self.table(texts)
        if self.training and self.hide:
            vectors = vectors * (torch.rand(len(texts), 1, device=vectors.device) >= self.hide)
        return vectors

    def vectors(self) -> np.ndarray:
        """All of them, float32 (n_texts, dim)."""
        return self.table.weight.detach().cpu().numpy().copy()
