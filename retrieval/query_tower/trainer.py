"""Training of search's query side with a softmax over the texts of a batch and texts that BM25 takes for answers.

The texts' vectors are fixed: a shop's index outlives the training.

References
----------
V. Karpukhin et al. (2020). Dense Passage Retrieval for Open-Domain Question Answering. EMNLP: in-batch negatives and one hard negative
of BM25 a query.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from features.progress import silent
from retrieval.contrastive import ContrastiveTraining, fit_contrastive, info_nce
from retrieval.significance import significant_gain

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from torch import Tensor

    from features.progress import Progress
    from features.text.token_states import TokenStates
    from retrieval.lexical.index import LexicalIndex
    from retrieval.query_tower.config import QueryTowerConfig
    from retrieval.query_tower.model import QueryTower
    from retrieval.query_tower.pairs import KnownPositives, QueryPairs

POOL = 20  # best texts of BM25 that are no known positives, of which hard negatives are drawn
QUERY_TOKENS = 32


@dataclass(frozen=True)
class QueryTraining:
    """What the queries' side is trained on.

    Attributes
    ----------
    states : token states of each query of the pairs.
    vectors : of the texts, unit norm, float32 (t, dim).
    judge : reciprocal rank of each held-out query (n,), as search finds its texts with the queries' side as it stands.
    folder : of checkpoints.
    """

    pairs: QueryPairs
    known: KnownPositives
    states: TokenStates
    vectors: np.ndarray
    lexical: LexicalIndex
    judge: Callable[[QueryTower], np.ndarray]
    folder: Path
    seed: int
    progress: Progress = silent


@dataclass(frozen=True)
class Judgement:
    """Reciprocal ranks of the held-out queries, before and after training.

    Attributes
    ----------
    kept : whether the mean gained more than 1.64 standard errors (one-sided, 95%).
    """

    before: np.ndarray
    after: np.ndarray
    kept: bool


def fit_query_tower(tower: QueryTower, training: QueryTraining, config: QueryTowerConfig) -> Judgement:
    """Train the queries' side in place; unless it then finds held-out texts better than before, that is undone.

    One half of the held-out queries ends the training, and the other half judges it. A training that was interrupted continues from its
    checkpoint.
    """
    frozen = copy.deepcopy(tower.queries)
    before = training.judge(tower)
    batches = _Batches(training, config)
    run = ContrastiveTraining(
        tower.queries,
        lambda step: _loss(tower, batches.draw(step), config),
        lambda: float(training.judge(tower)[::2].mean()),
        training.folder / "query-tower-last.safetensors",
        "search's query side",
        training.progress,
    )
    best = fit_contrastive(run, config, float(before[::2].mean()))
    tower.queries.load_state_dict(best.state_dict())
    after = training.judge(tower)
    kept = significant_gain((after - before)[1::2])
    if not kept:
        tower.queries.load_state_dict(frozen.state_dict())
    return Judgement(before[1::2], after[1::2], kept)


@dataclass(frozen=True)
class _Batch:
    """Token states and mask of b queries, vectors of the texts (c, dim), each query's own text, and which texts are no negatives."""

    hidden: Tensor
    mask: Tensor
    texts: Tensor
    own: Tensor
    ignored: Tensor
    weight: Tensor


@dataclass
class _Batches:
    training: QueryTraining
    config: QueryTowerConfig

    def __post_init__(self) -> None:
        self.pairs = np.flatnonzero(~self.training.pairs.held_out)
        self.hard: dict[int, np.ndarray] = {}

    def draw(self, step: int) -> _Batch:
        """Draw the batch of a step, which depends on the seed and the step alone."""
        training, pairs = self.training, self.training.pairs
        rng = np.random.default_rng([training.seed, step])
        chosen = rng.choice(self.pairs, min(self.config.batch, len(self.pairs)), replace=False)
        queries, own = pairs.query[chosen], pairs.text[chosen]
        hard = [rng.permutation(self._hard(query))[: self.config.negatives] for query in queries.tolist()]
        texts = np.concatenate([own, *hard])
        ignored = training.known.mask(queries, texts)
        ignored[np.arange(len(own)), np.arange(len(own))] = False
        hidden, mask = training.states.padded(queries, QUERY_TOKENS)
        tensors = map(torch.from_numpy, (training.vectors[texts], np.arange(len(own)), ignored, pairs.weight[chosen]))
        return _Batch(hidden, mask, *tensors)

    def _hard(self, query: int) -> np.ndarray:
        """Return the texts that BM25 finds best and that are no known positives."""
        if query not in self.hard:
            known = self.training.known.of_query(query)
            allowed = np.ones(len(self.training.vectors), dtype=bool)
            allowed[known] = False
            self.hard[query] = self.training.lexical.search(self.training.pairs.tokens[query], POOL, allowed)[0]
        return self.hard[query]


def _loss(tower: QueryTower, batch: _Batch, config: QueryTowerConfig) -> Tensor:
    # Dropout stays off: the texts' vectors were made without it, and few steps need no regulariser.
    device = next(tower.parameters()).device
    vectors = tower.query(batch.hidden.to(device), batch.mask.to(device))
    logits = vectors @ batch.texts.to(device).T / config.temperature
    return info_nce(logits, batch.own.to(device), batch.ignored.to(device), batch.weight.to(device))
