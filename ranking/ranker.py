"""The ranker: features, blend, cross-encoder on the best, correction, calibration. Candidates in, candidates with probabilities out."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Protocol

import numpy as np

from features.behavior.user_item import behavior_features
from ranking.explain import Explainer
from ranking.gbdt import CROSS_ENCODER, table
from ranking.reasons import GROUPS, group_weights

if TYPE_CHECKING:
    from features.behavior.item_stats import ItemStats
    from features.data.histories import Histories
    from features.text.token_states import ItemTokens
    from ranking.calibration import Calibration
    from ranking.cross_encoder.config import CrossEncoderConfig
    from ranking.gbdt import Booster
    from retrieval.candidates import Candidates

LOG_ODDS = "log_odds"  # evidence that `GBDTRanker` adds: by which it ordered
FEATURE_USERS = 256  # users whose features are made at once


def with_features(candidates: Candidates, stats: ItemStats) -> Candidates:
    """The candidates with behaviour features beside what retrieval said of them."""
    parts = []
    for start in range(0, max(1, len(candidates.users)), FEATURE_USERS):  # nobody has features too: empty columns
        part = np.arange(start, min(start + FEATURE_USERS, len(candidates.users)))
        parts.append(behavior_features(candidates.users.take(part), candidates.rows[part], stats))
    columns = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    fused = np.where(candidates.valid, candidates.scores, np.nan)
    return replace(candidates, features=candidates.features | columns | {"fused": fused})


class PairScorer(Protocol):
    """Reads a user's history beside each of some candidates."""

    @property
    def config(self) -> CrossEncoderConfig:
        """What is read."""
        ...

    def logits(self, users: Histories, rows: np.ndarray, tokens: ItemTokens) -> np.ndarray:
        """Logits of candidates `rows` (b, c): float32 (b, c), nan where padded."""
        ...


@dataclass(frozen=True)
class GBDTRanker:
    """See the module. Implements `Ranker`.

    cross_encoder: None for a ranking without it, in which nothing is corrected. tokens: what it reads; None only without it.
    """

    stats: ItemStats
    first: Booster
    correction: Booster
    cross_encoder: PairScorer | None
    tokens: ItemTokens | None
    calibration: Calibration

    def rank(self, candidates: Candidates) -> Candidates:
        """Best first, by log odds; scores are calibrated probabilities, float32 (b, k)."""
        return self.order(with_features(candidates, self.stats))

    def order(self, candidates: Candidates) -> Candidates:
        """`rank` of candidates that have their behaviour features."""
        ranked = order_by_base(candidates, self.first)
        ranked = rerank_top(ranked, self.cross_encoder, self.tokens)
        odds = corrected(ranked, self.correction)
        ranked = ranked.ranked(odds, None, **{LOG_ODDS: np.where(ranked.valid, odds, np.nan).astype(np.float32)})
        # Ordered by log odds first: isotonic regression makes equals of neighbours, and their order must not be lost.
        return replace(ranked, scores=np.where(ranked.valid, self.calibration(ranked.scores), -np.inf).astype(np.float32))

    def contributions(self, candidates: Candidates) -> dict[str, np.ndarray]:
        """What each feature added to the log odds, both boosters together, float32 (b, k) each; for candidates that `rank` gave."""
        names, first = self.first.contributions(candidates)
        total = {name: first[..., i] for i, name in enumerate(names)}
        read = ~np.isnan(candidates.features[CROSS_ENCODER])
        if read.any():
            names, second = self.correction.contributions(candidates)
            for i, name in enumerate(names):
                total[name] = total.get(name, 0) + np.where(read, second[..., i], 0)
        return total

    @cached_property
    def _explainers(self) -> tuple[Explainer, Explainer]:
        first, second = (Explainer(booster, group_weights(booster.names)) for booster in (self.first, self.correction))
        return first, second

    def strengths(self, candidates: Candidates) -> np.ndarray:
        """`contributions`, summed over what they speak of, float32 (groups, b, k) in the order of `GROUPS`."""
        first, second = self._explainers
        read = ~np.isnan(candidates.features[CROSS_ENCODER]) & candidates.valid
        total = np.zeros((*candidates.rows.shape, len(GROUPS)), dtype=np.float32)
        if candidates.valid.any():
            total[candidates.valid] = first(table(candidates, self.first.names)[0])
        if read.any():
            columns = np.stack([candidates.features[name][read] for name in self.correction.names], axis=1)
            total[read] += second(columns)
        return np.moveaxis(total, -1, 0)


def order_by_base(candidates: Candidates, booster: Booster) -> Candidates:
    """Best first by the first booster; its log odds are the scores and evidence too."""
    odds = booster.log_odds(candidates)
    return candidates.ranked(odds, blend=np.where(candidates.valid, odds, np.nan).astype(np.float32))


def rerank_top(candidates: Candidates, model: PairScorer | None, tokens: ItemTokens | None) -> Candidates:
    """The cross-encoder's logit as evidence on each user's first candidates, nan elsewhere and for users without history."""
    logits = np.full(candidates.rows.shape, np.nan, dtype=np.float32)
    some = np.flatnonzero(candidates.users.lengths > 0)
    if model is not None and len(some) and (read := model.config.rerank_depth):
        if tokens is None:
            raise ValueError("a cross-encoder reads token states, and there are none: encode the catalogue with them")
        logits[some, :read] = model.logits(candidates.users.take(some), candidates.rows[some, :read], tokens)
    return replace(candidates, features=candidates.features | {CROSS_ENCODER: logits})


def corrected(candidates: Candidates, correction: Booster) -> np.ndarray:
    """Log odds (b, k): the blend's, plus the correction where the cross-encoder has read."""
    read = ~np.isnan(candidates.features[CROSS_ENCODER])
    if not read.any():
        return candidates.scores
    return np.where(read, candidates.scores + correction.log_odds(candidates), candidates.scores)
