"""Contrastive pre-training of the text encoder's upper layers, on kept states of the layers below.

Both sides of a pair pass the same layers, and every batch is of one kind of pairs: among sides of different kinds the length alone
would tell what belongs together.

References
----------
A. van den Oord, Y. Li and O. Vinyals (2018). Representation Learning with Contrastive Predictive Coding. arXiv 1807.03748: the loss.
T. Gao, X. Yao and D. Chen (2021). SimCSE. EMNLP: a temperature of .05 over cosines.
S. Gururangan et al. (2020). Don't Stop Pretraining. ACL: training on the task's own texts before the task.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from features.progress import silent
from features.text.encoder import pooled, run_layers
from retrieval.contrastive import ContrastiveTraining, fit_contrastive, info_nce

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from torch import Tensor

    from features.progress import Progress
    from features.text.encoder import TextEncoder
    from features.text.token_states import TokenStates
    from retrieval.pretraining.config import PretrainConfig
    from retrieval.pretraining.pairs import RelatedTexts, TextPairs

JUDGED = 256  # held-out pairs of each kind
FEWEST = 20  # pairs of a kind that can be learned from, and held-out ones that can judge it


@dataclass(frozen=True)
class EncodedPairs:
    """Pairs of one kind with the token states of both sides.

    Attributes
    ----------
    sides : token states.
    rows : of the states, for each side of each pair, int64 (m, 2).
    owner : see `TextPairs`.
    """

    kind: str
    sides: tuple[TokenStates, TokenStates]
    rows: np.ndarray
    owner: np.ndarray

    @classmethod
    def of(cls, pairs: TextPairs, encoder: TextEncoder, states: TokenStates) -> EncodedPairs:
        """Run parts of texts through the lower layers; whole texts have their states."""
        if pairs.parts is None:
            return cls(pairs.kind, (states, states), pairs.owner, pairs.owner)
        sides, rows = [], []
        for side in pairs.parts:
            distinct = side.unique(maintain_order=True)
            place = {text: row for row, text in enumerate(distinct.to_list())}
            sides.append(encoder.token_states(distinct.to_list()))
            rows.append(np.array([place[text] for text in side.to_list()], dtype=np.int64))
        return cls(pairs.kind, (sides[0], sides[1]), np.stack(rows, axis=1), pairs.owner)

    def known(self, chosen: np.ndarray, positives: RelatedTexts) -> np.ndarray:
        """Return which right sides of chosen pairs (b,) are no negatives of the left ones, bool (b, b): the diagonal is not among them."""
        left, right = self.rows[chosen].T
        same = (left[:, None] == left[None, :]) | (right[:, None] == right[None, :])
        found = positives.mask(*self.owner[chosen].T) | same
        np.fill_diagonal(found, val=False)
        return found


@dataclass(frozen=True)
class Pretraining:
    """What an encoder is pre-trained on.

    Attributes
    ----------
    pairs : kinds of pairs.
    positives : what must not be learned as wrong.
    held_out : texts whose pairs judge and are not trained on, bool (n_texts,).
    states : token states of the whole texts.
    folder : of the checkpoint.
    """

    pairs: Sequence[TextPairs]
    positives: RelatedTexts
    held_out: np.ndarray
    states: TokenStates
    folder: Path
    seed: int
    progress: Progress = silent


@dataclass(frozen=True)
class PretrainingResult:
    """Outcome of `fit_upper_layers`.

    Attributes
    ----------
    pairs : number of pairs of each kind that were trained on.
    before, after : reciprocal rank of the own right side of each held-out pair, float64 (m,).
    """

    pairs: dict[str, int]
    before: np.ndarray
    after: np.ndarray


def fit_upper_layers(encoder: TextEncoder, training: Pretraining, config: PretrainConfig) -> PretrainingResult | None:
    """Train the encoder's upper layers in place, to the best of six checks on the held-out pairs; None if there is nothing to learn from.

    An interrupted training continues from its checkpoint.
    """
    rng = np.random.default_rng([training.seed, 1])
    kinds: list[EncodedPairs] = []
    judged: list[EncodedPairs] = []
    for pairs in training.pairs:
        held = training.held_out[pairs.owner].any(axis=1)
        for rows, most, into in ((~held, config.pairs, kinds), (held, JUDGED, judged)):
            some = pairs.take(np.flatnonzero(rows)).at_most(most, rng)
            if len(some) >= FEWEST:
                into.append(EncodedPairs.of(some, encoder, training.states))
    if not kinds or not judged:
        return None
    layers = nn.ModuleList(encoder.upper_layers)
    sides = _Sides(encoder)
    before = sides.ranks(judged, training.positives)
    encoder.model.requires_grad_(requires_grad=False)
    layers.requires_grad_()
    run = ContrastiveTraining(
        layers,
        lambda step: _loss(sides, kinds, training, config, step),
        lambda: float(sides.ranks(judged, training.positives).mean()),
        training.folder / "pretraining-last.safetensors",
        "pre-training of the text encoder",
        training.progress,
    )
    best = fit_contrastive(run, config, float(before.mean()))
    layers.load_state_dict(best.state_dict())
    encoder.model.requires_grad_(requires_grad=False)
    encoder.eval()
    return PretrainingResult({some.kind: len(some.rows) for some in kinds}, before, sides.ranks(judged, training.positives))


@dataclass(frozen=True)
class _Sides:
    """Vectors of sides by the encoder's upper layers."""

    encoder: TextEncoder

    def vectors(self, states: TokenStates, rows: np.ndarray) -> Tensor:
        """Return unit vectors (n, width) of states' rows, with a gradient."""
        # Dropout stays off, as where vectors are made: few steps need no regulariser.
        hidden, mask = (tensor.to(self.encoder.device) for tensor in states.padded(rows))
        return F.normalize(pooled(run_layers(self.encoder.upper_layers, hidden, mask), mask, self.encoder.sentence.pooling), dim=-1)

    @torch.inference_mode()
    def ranks(self, kinds: Sequence[EncodedPairs], positives: RelatedTexts) -> np.ndarray:
        """Return the reciprocal rank of each pair's own right side among those of its kind, without other known positives."""
        found = []
        for pairs in kinds:
            left, right = (self.encoder.pool(side.select(rows)) for side, rows in zip(pairs.sides, pairs.rows.T, strict=True))
            left, right = (side / np.linalg.norm(side, axis=1, keepdims=True) for side in (left, right))
            scores = np.where(pairs.known(np.arange(len(pairs.rows)), positives), -np.inf, left @ right.T)
            own = np.diag(scores)[:, None]
            found.append(1 / (1 + (scores > own).sum(axis=1)))
        return np.concatenate(found)


def _loss(sides: _Sides, kinds: Sequence[EncodedPairs], training: Pretraining, config: PretrainConfig, step: int) -> Tensor:
    """Return the symmetric loss of a batch of one kind, which depends on the seed and the step alone."""
    rng = np.random.default_rng([training.seed, step])
    pairs = kinds[int(rng.integers(len(kinds)))]
    chosen = rng.choice(len(pairs.rows), min(config.batch, len(pairs.rows)), replace=False)
    left, right = (sides.vectors(side, rows) for side, rows in zip(pairs.sides, pairs.rows[chosen].T, strict=True))
    ignored = torch.from_numpy(pairs.known(chosen, training.positives)).to(left.device)
    logits = left @ right.T / config.temperature
    own, weight = torch.arange(len(chosen), device=left.device), torch.ones(len(chosen), device=left.device)
    return (info_nce(logits, own, ignored, weight) + info_nce(logits.T, own, ignored.T, weight)) / 2
