"""Trains upper layers of the text encoder to tell intents apart: cross-entropy and a supervised contrastive loss.

References
----------
P. Khosla et al. (2020). Supervised Contrastive Learning. arXiv 2004.11362.
L. Tunstall et al. (2022). Efficient Few-Shot Learning Without Prompts (SetFit). arXiv 2209.11055.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from features.text.classifier.network import UpperNetwork, fast_arithmetic, state_vectors
from features.text.intents.network import CosineHead

if TYPE_CHECKING:
    from collections.abc import Iterator

    from features.progress import Progress
    from features.text.encoder import TextEncoder
    from features.text.intents.config import IntentConfig
    from features.text.token_states import TokenStates

_TOGETHER = 16  # texts of similar length that pass through the layers together: padding would cost as much as the texts
_ALIKE = 4  # texts of one intent in a batch, at most: the contrastive loss needs two at least


def tuned_layers(
    encoder: TextEncoder, states: TokenStates, labels: np.ndarray, config: IntentConfig, seed: int, progress: Progress
) -> UpperNetwork:
    """Return trained copies of the encoder's upper layers.

    Parameters
    ----------
    states : of the examples, below the upper layers.
    labels : int64 (n,), each of 0 .. classes - 1 at least once.
    """
    torch.manual_seed(seed)
    network = UpperNetwork.upon(encoder, 1, unit=True)
    head = CosineHead(state_vectors(network, states), labels).to(encoder.device)
    training = _Training(network, head, states, labels, config)
    epochs = config.epochs(len(labels))
    orders = [list(batches(labels, config.batch, np.random.default_rng([seed, epoch]))) for epoch in range(epochs)]
    with progress("intents", sum(map(len, orders))) as step:
        for loss in training.fit([batch for order in orders for batch in order]):
            step(note=f"loss {loss:.3f}")
    return network


def batches(labels: np.ndarray, size: int, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """Yield batches of rows, int (b,): each row once, with rows of one intent in groups of up to `_ALIKE`."""
    groups: list[np.ndarray] = []
    for label in np.unique(labels):
        rows = rng.permutation(np.flatnonzero(labels == label))
        groups += [rows[i : i + _ALIKE] for i in range(0, len(rows), _ALIKE)]
    batch: list[int] = []
    for place in rng.permutation(len(groups)):
        batch += groups[place].tolist()
        if len(batch) >= size:
            yield np.array(batch)
            batch = []
    if batch:
        yield np.array(batch)


def contrastive_loss(vectors: Tensor, labels: Tensor, temperature: float) -> Tensor:
    """Return the supervised contrastive loss of vectors of unit norm (n, width); rows alone of their intent have none."""
    itself = torch.eye(len(labels), dtype=torch.bool, device=labels.device)
    logits = (vectors @ vectors.T / temperature).masked_fill(itself, -1e9)
    alike = (labels[:, None] == labels[None, :]) & ~itself
    logs = logits - logits.logsumexp(dim=1, keepdim=True)
    count = alike.sum(dim=1)
    each = -(logs * alike).sum(dim=1) / count.clamp_min(1)
    return each.sum() / (count > 0).sum().clamp_min(1)


@dataclass
class _Training:
    network: UpperNetwork
    head: CosineHead
    states: TokenStates
    labels: np.ndarray
    config: IntentConfig

    def fit(self, order: list[np.ndarray]) -> Iterator[float]:
        """Train in place, and yield the loss of each batch."""
        config, layers = self.config, list(self.network.layers.parameters())
        groups = [{"params": layers, "lr": config.lr}, {"params": list(self.head.parameters()), "lr": config.head_lr, "weight_decay": 0.0}]
        optimizer = torch.optim.AdamW(groups, weight_decay=config.weight_decay)
        rates = torch.optim.lr_scheduler.OneCycleLR(
            optimizer,
            [config.lr, config.head_lr],
            total_steps=len(order) + 1,
            pct_start=config.warmup,
            anneal_strategy="linear",
            cycle_momentum=False,
        )
        self.network.train()
        for batch in order:
            loss = self._loss(batch)
            loss.backward()
            torch.nn.utils.clip_grad_norm_([*layers, *self.head.parameters()], 1.0)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            rates.step()
            yield float(loss.item())
        self.network.eval()

    def _loss(self, batch: np.ndarray) -> Tensor:
        device = self.head.bias.device
        rows = batch[np.argsort(np.diff(self.states.offsets)[batch], kind="stable")]
        with fast_arithmetic(self.network):
            parts = [self.states.padded(rows[i : i + _TOGETHER]) for i in range(0, len(rows), _TOGETHER)]
            vectors = torch.cat([self.network.vectors(hidden.to(device), mask.to(device)) for hidden, mask in parts]).float()
        labels = torch.from_numpy(self.labels[rows]).to(device)
        return functional.cross_entropy(self.head(vectors), labels) + contrastive_loss(vectors, labels, self.config.temperature)
