"""Training of the cross-encoder with binary cross-entropy, or with cross-entropy over classes.

The pairs are histories with retrieved candidates, bought or not, or queries and questions with graded passages, or sentences
with terms (`ranking.cross_encoder.mention_pairs`).
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch
from torch.nn import functional as F

from features.progress import silent
from retrieval.candidates import joined
from retrieval.checkpoints import load_checkpoint, save_checkpoint, set_rate

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from torch import Tensor

    from features.progress import Progress
    from features.text.token_states import ItemTokens
    from ranking.cross_encoder.config import CrossEncoderConfig, QueryPairConfig
    from ranking.cross_encoder.model import CrossEncoder
    from ranking.cross_encoder.pair_inputs import Left
    from ranking.cross_encoder.query_item import QueryTokens
    from retrieval.candidates import Candidates

SIMILAR = 16  # steps among whose left sides those of similar length are put together
_log = logging.getLogger(__name__)


class Pairs(Protocol):
    """Labelled pairs that can be sampled."""

    @property
    def useful(self) -> np.ndarray:
        """Left sides that can be learned from, int64."""
        ...

    @property
    def lengths(self) -> np.ndarray | None:
        """Tokens of each left side, so that those of similar length share a step; None: a step takes them as they are drawn."""
        ...

    def batch(self, lefts: np.ndarray, config: Any, rng: np.random.Generator) -> PairBatch:
        """Return sampled pairs of some left sides."""
        ...


@dataclass(frozen=True)
class TrainingPairs:
    """Retrieved candidates and whether each was bought.

    Attributes
    ----------
    labels : bool (b, k).
    stands_for : users that each list stands for where users who bought nothing of it got none: what a candidate that was
        not bought counts in the base booster, or its log odds would be too high.
    """

    candidates: Candidates
    labels: np.ndarray
    stands_for: float = 1.0

    @classmethod
    def joined(cls, parts: Sequence[TrainingPairs]) -> TrainingPairs:
        """Concatenate the users of several lists, padded to the longest."""
        width = max(part.labels.shape[1] for part in parts)
        labels = [np.pad(part.labels, ((0, 0), (0, width - part.labels.shape[1]))) for part in parts]
        users = np.array([len(part.labels) for part in parts])
        stands_for = float(users @ [part.stands_for for part in parts] / max(users.sum(), 1))
        return cls(joined([part.candidates for part in parts]), np.concatenate(labels), stands_for)

    @property
    def labelled(self) -> tuple[Candidates, np.ndarray, float]:
        """All as a tuple, the form that `ranking.gbdt` takes."""
        return self.candidates, self.labels, self.stands_for

    def take(self, users: np.ndarray) -> TrainingPairs:
        """Return the pairs of some users, given by their positions."""
        return replace(self, candidates=self.candidates.for_users(users), labels=self.labels[users])

    @property
    def useful(self) -> np.ndarray:
        """Users with both a history and a positive, int64."""
        return np.flatnonzero((self.labels.any(axis=1)) & (self.candidates.users.lengths > 0))

    @property
    def lengths(self) -> None:
        """None: histories are cut to about the same length."""
        return

    def batch(self, lefts: np.ndarray, config: CrossEncoderConfig | QueryPairConfig, rng: np.random.Generator) -> PairBatch:
        """Return sampled pairs of some users."""
        some = self.take(lefts)
        rows, labels = sample(some, config.positives, config.negatives, rng)
        return PairBatch(some.candidates.users, rows, labels)


@dataclass(frozen=True)
class GradedPairs:
    """Queries or questions with passages and their grades, one entry for each pair.

    Attributes
    ----------
    query : positions in `queries`, int64 (p,).
    rows : rows of the passages, int64 (p,).
    labels : share of relevance in [0, 1], float32 (p,); a pair above 0 counts as positive when pairs are sampled.
    weights : weight in the loss, float32 (p,).
    """

    queries: QueryTokens
    query: np.ndarray
    rows: np.ndarray
    labels: np.ndarray
    weights: np.ndarray

    @cached_property
    def _bounds(self) -> tuple[np.ndarray, np.ndarray]:
        """The pairs ordered by query, and where each query's pairs begin in that order."""
        order = np.argsort(self.query, kind="stable")
        return order, np.searchsorted(self.query[order], np.arange(len(self.queries) + 1))

    @property
    def useful(self) -> np.ndarray:
        """Queries with at least one pair of weight, int64."""
        return np.unique(self.query[self.weights > 0])

    @property
    def lengths(self) -> None:
        """None: queries are short."""
        return

    def batch(self, lefts: np.ndarray, config: CrossEncoderConfig | QueryPairConfig, rng: np.random.Generator) -> PairBatch:
        """Return sampled pairs of some queries."""
        order, begin = self._bounds
        rows = np.full((len(lefts), config.positives + config.negatives), -1, dtype=np.int64)
        labels, weights = np.zeros(rows.shape, dtype=np.float32), np.ones(rows.shape, dtype=np.float32)
        for i, left in enumerate(lefts):
            pairs = order[begin[left] : begin[left + 1]]
            pairs = rng.permutation(pairs[self.weights[pairs] > 0])
            positive = self.labels[pairs] > 0
            chosen = np.concatenate([pairs[positive][: config.positives], pairs[~positive][: config.negatives]])
            rows[i, : len(chosen)], labels[i, : len(chosen)] = self.rows[chosen], self.labels[chosen]
            weights[i, : len(chosen)] = self.weights[chosen]
        return PairBatch(self.queries.take(lefts), rows, labels, weights)


@dataclass(frozen=True)
class PairBatch:
    """Sampled pairs of a step.

    Attributes
    ----------
    rows : int64 (b, c), padded with -1.
    labels : bool or float32 (b, c); for logits over classes the class, int64.
    weights : float32 (b, c); None for equal weights.
    """

    left: Left
    rows: np.ndarray
    labels: np.ndarray
    weights: np.ndarray | None = None

    def loss(self, logits: Tensor) -> Tensor:
        """Return the mean cross-entropy of logits (b, c), binary, or (b, c, classes)."""
        real = torch.from_numpy(self.rows >= 0).to(logits.device)
        weights = None if self.weights is None else torch.from_numpy(self.weights).to(logits.device)[real]
        target = torch.from_numpy(self.labels).to(logits.device)
        if logits.ndim == 3:
            losses = F.cross_entropy(logits[real], target[real], reduction="none")
            return losses.mean() if weights is None else (losses * weights).mean()
        target = target.to(logits.dtype)
        return F.binary_cross_entropy_with_logits(logits[real], target[real], weights)


def fit_cross_encoder(
    model: CrossEncoder, pairs: Pairs, tokens: ItemTokens, folder: Path, seed: int, progress: Progress = silent
) -> list[float]:
    """Train the model in place; resume after the last complete epoch if `folder` has its checkpoint.

    Parameters
    ----------
    pairs : candidates of histories are ordered by the base booster and cut to its best, so that negatives are drawn
        from candidates that will be reranked.
    folder : for checkpoints.

    Returns
    -------
    losses : mean loss of each epoch; nan if nothing can be learned, as no user has both a history and a positive.
    """
    config = model.config
    layers = {"params": [*model.layers.parameters()], "lr": config.lr}
    rest = {"params": model.new_weights, "lr": config.head_lr}
    optimizer = torch.optim.AdamW([layers, rest], weight_decay=config.weight_decay)
    useful = pairs.useful
    steps = -(-min(config.lefts, len(useful)) // config.batch)
    path = folder / "cross-encoder-last.safetensors"
    saved = load_checkpoint(path, {"model": model}, optimizer) or {"epoch": -1}
    curve = [saved[f"loss{i}"] for i in range(int(saved["epoch"]) + 1)]
    for epoch in range(len(curve), config.epochs):
        rng = np.random.default_rng([seed, epoch])
        torch.manual_seed(seed * 1000 + epoch)
        chosen = _similar_together(rng.permutation(useful)[: config.lefts], pairs.lengths, config.batch, rng)
        curve.append(_epoch(model, optimizer, _Epoch(pairs, tokens, chosen, rng, epoch * steps, progress)))
        save_checkpoint(path, {"model": model}, optimizer, {"epoch": epoch} | {f"loss{i}": loss for i, loss in enumerate(curve)})
        _log.info("cross-encoder epoch %d of %d: loss %.4f", epoch + 1, config.epochs, curve[-1])
    model.eval()
    return curve


def _similar_together(lefts: np.ndarray, lengths: np.ndarray | None, batch: int, rng: np.random.Generator) -> np.ndarray:
    """Order left sides so that those of a step are of similar length, while the steps' order stays random."""
    if lengths is None:
        return lefts
    whole = len(lefts) // batch * batch
    windows = [lefts[i : min(i + SIMILAR * batch, whole)] for i in range(0, whole, SIMILAR * batch)]
    steps = [step for window in windows for step in window[np.argsort(lengths[window], kind="stable")].reshape(-1, batch)]
    return np.concatenate([*(steps[i] for i in rng.permutation(len(steps))), lefts[whole:]])


@dataclass
class _Epoch:
    pairs: Pairs
    tokens: ItemTokens
    lefts: np.ndarray
    rng: np.random.Generator
    first_step: int
    progress: Progress


def _epoch(model: CrossEncoder, optimizer: torch.optim.Optimizer, work: _Epoch) -> float:
    model.train()
    losses = []
    batches = [work.lefts[i : i + model.config.batch] for i in range(0, len(work.lefts), model.config.batch)]
    with work.progress("cross-encoder", len(batches)) as report:
        for step, lefts in enumerate(batches, work.first_step):
            set_rate(optimizer, step, len(batches) * model.config.epochs, model.config.warmup)
            batch = work.pairs.batch(lefts, model.config, work.rng)
            loss = batch.loss(model(batch.left, batch.rows, work.tokens))
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            losses.append(loss.item())
            report(note=f"loss {np.mean(losses[-20:]):.3f}")
    return float(np.mean(losses)) if losses else float("nan")


def sample(pairs: TrainingPairs, positives: int, negatives: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Sample positives and negatives from each user's candidates.

    Returns
    -------
    rows : int64 (b, positives + negatives), padded with -1.
    labels : bool, of the same shape.
    """
    rows = np.full((len(pairs.labels), positives + negatives), -1, dtype=np.int64)
    labels = np.zeros(rows.shape, dtype=bool)
    for i, (items, bought) in enumerate(zip(pairs.candidates.rows, pairs.labels, strict=True)):
        positive = rng.permutation(items[bought & (items >= 0)])[:positives]
        negative = rng.permutation(items[~bought & (items >= 0)])[:negatives]
        rows[i, : len(positive) + len(negative)] = np.concatenate([positive, negative])
        labels[i, : len(positive)] = True
    return rows, labels
