"""The ranker: candidates in, candidates ordered by calibrated purchase probability out.

Stages: behaviour features, base booster, cross-encoder over the best candidates, residual booster, calibration.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Protocol

import numpy as np

from features.behavior.user_item import behavior_features
from features.names import BASE_LOG_ODDS, FUSED_SCORE, LOG_ODDS
from ranking.explain import Explainer
from ranking.gbdt import CROSS_ENCODER, few_buyers, table
from ranking.reasons import GROUPS, group_weights

if TYPE_CHECKING:
    from features.behavior.item_stats import ItemStats
    from features.text.token_states import ItemTokens
    from ranking.calibration import Calibration
    from ranking.cross_encoder.config import PairConfig
    from ranking.cross_encoder.pair_inputs import Left
    from ranking.gbdt import Booster
    from retrieval.candidates import Candidates

FEATURE_USERS = 256  # users whose features are computed in one batch


def with_features(candidates: Candidates, stats: ItemStats) -> Candidates:
    """Return the candidates with behaviour features and the retrieval score (`fused`) added to their features."""
    parts = []
    for start in range(0, max(1, len(candidates.users)), FEATURE_USERS):  # at least once: no users give empty columns
        part = np.arange(start, min(start + FEATURE_USERS, len(candidates.users)))
        parts.append(behavior_features(candidates.users.take(part), candidates.rows[part], stats))
    columns = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    fused = np.where(candidates.valid, candidates.scores, np.nan)
    return replace(candidates, features=candidates.features | columns | {FUSED_SCORE: fused})


class PairScorer(Protocol):
    """Scores pairs of a left side and a candidate by their texts; the left side is a history, a query or a question."""

    @property
    def config(self) -> PairConfig:
        """Sizes of the input: candidates a left side, and tokens of each side."""
        ...

    def logits(self, left: Left, rows: np.ndarray, tokens: ItemTokens) -> np.ndarray:
        """Return the logits of candidates `rows` (b, c), float32 (b, c); nan for padding."""
        ...


@dataclass(frozen=True)
class GBDTRanker:
    """Ranks candidates by two boosters and a cross-encoder; implements `Ranker`.

    Attributes
    ----------
    base, residual : see `ranking.gbdt`.
    cross_encoder : None to rank by the base booster alone.
    tokens : token states of the items, the cross-encoder's input; may be None only if `cross_encoder` is.
    """

    stats: ItemStats
    base: Booster
    residual: Booster
    cross_encoder: PairScorer | None
    tokens: ItemTokens | None
    calibration: Calibration

    def rank(self, candidates: Candidates) -> Candidates:
        """Return the candidates ordered by log odds, best first; the scores are probabilities, float32 (b, k)."""
        return self.order(with_features(candidates, self.stats))

    def order(self, candidates: Candidates) -> Candidates:
        """Rank candidates that already have their behaviour features, as `rank` does."""
        ranked = order_by_base(candidates, self.base)
        ranked = rerank_top(ranked, self.cross_encoder, self.tokens, few_only=self.residual.few_only)
        odds = with_residual(ranked, self.residual)
        ranked = ranked.ranked(odds, None, **{LOG_ODDS: np.where(ranked.valid, odds, np.nan).astype(np.float32)})
        # Ordered before calibration: isotonic regression maps neighbours to equal probabilities, which would lose their
        # order.
        return replace(ranked, scores=np.where(ranked.valid, self.calibration(ranked.scores), -np.inf).astype(np.float32))

    def contributions(self, candidates: Candidates) -> dict[str, np.ndarray]:
        """Return what each feature added to the log odds of candidates that `rank` returned, float32 (b, k) each."""
        names, base = self.base.contributions(candidates)
        total = {name: base[..., i] for i, name in enumerate(names)}
        reranked = ~np.isnan(candidates.features[CROSS_ENCODER])
        if reranked.any():
            names, residual = self.residual.contributions(candidates)
            for i, name in enumerate(names):
                total[name] = total.get(name, 0) + np.where(reranked, residual[..., i], 0)
        return total

    @cached_property
    def _explainers(self) -> tuple[Explainer, Explainer]:
        base, residual = (Explainer(booster, group_weights(booster.names)) for booster in (self.base, self.residual))
        return base, residual

    def warm(self) -> None:
        """Build what explains many lists."""
        for explainer in self._explainers if self.cross_encoder else self._explainers[:1]:
            explainer.build()

    def strengths(self, candidates: Candidates) -> np.ndarray:
        """Return `contributions` summed over feature groups, float32 (groups, b, k) in the order of `GROUPS`."""
        base, residual = self._explainers
        reranked = ~np.isnan(candidates.features[CROSS_ENCODER]) & candidates.valid
        total = np.zeros((*candidates.rows.shape, len(GROUPS)), dtype=np.float32)
        if candidates.valid.any():
            total[candidates.valid] = base(table(candidates, self.base.names)[0])
        if reranked.any():
            columns = np.stack([candidates.features[name][reranked] for name in self.residual.names], axis=1)
            total[reranked] += residual(columns)
        return np.moveaxis(total, -1, 0)


def order_by_base(candidates: Candidates, booster: Booster) -> Candidates:
    """Order candidates by the base booster, best first; its log odds become the scores and the feature `blend`."""
    odds = booster.log_odds(candidates)
    return candidates.ranked(odds, None, **{BASE_LOG_ODDS: np.where(candidates.valid, odds, np.nan).astype(np.float32)})


def rerank_top(candidates: Candidates, model: PairScorer | None, tokens: ItemTokens | None, *, few_only: bool = False) -> Candidates:
    """Add the cross-encoder's logit as a feature of each user's best candidates; nan elsewhere.

    Parameters
    ----------
    few_only : of these, only items with few buyers are read.
    """
    logits = np.full(candidates.rows.shape, np.nan, dtype=np.float32)
    if model is not None and (depth := model.config.rerank_depth):
        read = few_buyers(candidates)[:, :depth] if few_only else candidates.valid[:, :depth]
        # A user without a history or without an item to read costs nothing.
        some = np.flatnonzero((candidates.users.lengths > 0) & read.any(axis=1))
        if len(some):
            if tokens is None:
                raise ValueError("the cross-encoder needs token states, found none: encode the catalogue with `states=True`")
            order = np.argsort(~read[some], axis=1, kind="stable")[:, : int(read[some].sum(axis=1).max())]
            chosen = np.take_along_axis(read[some], order, axis=1)
            rows = np.where(chosen, np.take_along_axis(candidates.rows[some, :depth], order, axis=1), -1)
            user, place = np.nonzero(chosen)
            logits[some[user], order[user, place]] = model.logits(candidates.users.take(some), rows, tokens)[user, place]
    return replace(candidates, features=candidates.features | {CROSS_ENCODER: logits})


def with_residual(candidates: Candidates, residual: Booster) -> np.ndarray:
    """Return the log odds, float32 (b, k): the base, plus the residual for candidates with a cross-encoder logit."""
    reranked = ~np.isnan(candidates.features[CROSS_ENCODER])
    if not reranked.any():
        return candidates.scores
    return np.where(reranked, candidates.scores + residual.log_odds(candidates), candidates.scores)
