"""Training of the ranking: boosters, cross-encoder and calibration, each on its own window."""

from __future__ import annotations

import itertools
import logging
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from eval.metrics.user_items import UserItems
from eval.protocol.ground_truth import GroundTruth
from features.data.histories import Histories
from features.text.token_states import ItemTokens
from ranking.calibration import Calibration
from ranking.cross_encoder.distillation import taught
from ranking.cross_encoder.model import CrossEncoder
from ranking.cross_encoder.trainer import TrainingPairs, fit_cross_encoder
from ranking.gbdt import CROSS_ENCODER, RESIDUAL_FEW, few_buyers, fit_base, fit_residual
from ranking.ranker import rerank_top, with_residual
from recsys.artifacts.ranking import Ranking
from recsys.training.few_buyers.lists import few_buyer_lists, few_buyer_users
from recsys.training.few_buyers.ordered import first_of, ordered_by_base
from recsys.training.few_buyers.text_parts import text_parts
from recsys.training.few_buyers.window_retriever import WindowRetriever, WindowUsers, labelled_lists
from recsys.training.job import RankingData

if TYPE_CHECKING:
    from pathlib import Path

    import torch

    from features.data.split import Split
    from ranking.gbdt import Booster
    from recsys.settings.settings import Settings
    from recsys.training.job import TrainingJob
    from recsys.training.towers import TextModels
    from recsys.training.windows import Window

_log = logging.getLogger(__name__)
LEAST_BASKET, KNOWN_OF_BASKET = 6, 3  # items of a basket that becomes an anonymous one, and how many of them are its history


@dataclass(frozen=True)
class WindowCandidates:
    """Labelled candidates of one window.

    Attributes
    ----------
    pairs : of users who bought in the window.
    anonymous : of anonymous baskets.
    recall : share of the users' purchases that is among their candidates.
    few : lists of items with few buyers; None where nobody bought one.
    """

    pairs: TrainingPairs
    anonymous: TrainingPairs
    recall: float
    few: TrainingPairs | None = None

    @property
    def parts(self) -> tuple[TrainingPairs, ...]:
        """What a base booster is fitted on."""
        return (self.pairs, self.anonymous, *self.judged[1:])

    @property
    def judged(self) -> tuple[TrainingPairs, ...]:
        """What a base booster is judged on."""
        return (self.pairs,) if self.few is None else (self.pairs, self.few)


def fit_ranking(job: TrainingJob, models: TextModels, work: Path, device: torch.device) -> tuple[Ranking, dict[str, Any]]:
    """Fit boosters, cross-encoder and calibration, each on its windows (see `recsys.training.windows.Windows`).

    Returns
    -------
    ranking : the fitted parts.
    report : facts for the model card.
    """
    settings, windows, seed = job.settings, job.windows, job.seed
    tokens = ItemTokens(models.states, models.text_of)
    early, late = window_candidates(job, models, windows.early), window_candidates(job, models, windows.late)
    users = settings.cross_encoder.users  # only as many as the cross-encoder is trained on
    second, third = (window_candidates(job, models, window, users) for window in (windows.correction, windows.calibration))
    parts = (*early.parts, *late.parts)
    later = [pairs.labelled for window in (second, third) for pairs in window.judged]
    fitted = fit_base([pairs.labelled for pairs in parts], later, settings.gbdt, seed)
    base, with_towers = fitted.booster, fitted.reads_towers
    _log.info("base booster fitted on %s and %s, %s the towers' scores", windows.early, windows.late, "with" if with_towers else "without")
    cross_encoder = CrossEncoder.upon(models.encoder, settings.cross_encoder).to(device)
    best = rerankable(early, base, settings)
    losses = fit_cross_encoder(cross_encoder, taught(best, settings.cross_encoder), tokens, work, seed, job.progress)
    data = RankingData(parts, second.pairs, third.pairs, tokens, settings, seed, second.few, third.few)
    residual, calibration = fit_residual_and_calibration(base, cross_encoder, data)
    ranking = Ranking(base, residual, cross_encoder, calibration)
    if job.watch:
        job.watch(data, ranking)
    report = {
        "reads_towers": with_towers,
        "towers_save": round(fitted.saved, 5),
        "cross_encoder_loss": [round(loss, 4) for loss in losses],
        "candidates_hold": round(third.recall, 4),
        "calibration_pairs": int(third.pairs.candidates.valid.sum()),
        "calibration_bought": int(third.pairs.labels.sum()),
        "cross_encoder_gain": round(float(residual.gain()[residual.names.index(CROSS_ENCODER)]), 1),
        "text_parts": text_parts(ranking, fitted.without_towers, data),
    }
    return ranking, report


def rerankable(window: WindowCandidates, base: Booster, settings: Settings) -> TrainingPairs:
    """Return a window's candidates that the cross-encoder learns from: the base booster's best of each list."""
    depth = 3 * settings.cross_encoder.rerank_depth
    return TrainingPairs.joined([first_of(ordered_by_base(pairs, base), depth) for pairs in window.judged])


def fit_residual_and_calibration(base: Booster, cross_encoder: CrossEncoder | None, data: RankingData) -> tuple[Booster, Calibration]:
    """Fit the residual booster on reranked candidates and the calibration on all; `cross_encoder` may be None.

    A residual booster that gains no more than chance over all items may still gain over those with few buyers.
    """
    settings = data.settings
    depth = settings.cross_encoder.rerank_depth

    def reranked(pairs: TrainingPairs, *, few_only: bool = False) -> TrainingPairs:
        pairs = ordered_by_base(pairs, base)
        return replace(pairs, candidates=rerank_top(pairs.candidates, cross_encoder, data.tokens, few_only=few_only))

    best = first_of(reranked(data.residual), depth)
    residual = fit_residual(best.labelled, settings.gbdt, data.seed)
    if residual.idle and data.few_residual is not None and cross_encoder is not None:
        few = first_of(reranked(data.few_residual, few_only=True), depth)
        read = few.candidates.take(np.where(few_buyers(few.candidates), np.arange(few.labels.shape[1]), -1))
        if read.valid.any():
            residual = fit_residual(replace(few, candidates=read).labelled, settings.gbdt, data.seed, RESIDUAL_FEW)
    third = reranked(data.calibration, few_only=residual.few_only)
    valid = third.candidates.valid
    return residual, Calibration.fit(with_residual(third.candidates, residual)[valid], third.labels[valid])


def window_candidates(job: TrainingJob, models: TextModels, window: Window, users: int | None = None) -> WindowCandidates:
    """Retrieve candidates at the window's start for users who bought in it; their purchases are the labels.

    Parameters
    ----------
    users : users at most; None for the base booster's number.
    """
    split = window.split(job.log)
    ground_truth = GroundTruth.of(split, users or job.settings.gbdt.users, job.seed)
    found = WindowRetriever.of(job, models, split.history, window.start, models.vectors, job.collaborative(window))
    baskets, rest = anonymous_baskets(split, job.settings.gbdt.visitors, np.random.default_rng([job.seed, len(split.labels)]))
    known = WindowUsers(found, split.histories(ground_truth.users), ground_truth.bought)
    few_users = few_buyer_users(job, models, split, found, users)
    pairs, anonymous, *few = labelled_lists(job, itertools.chain([known, WindowUsers(found, baskets, rest)], few_users))
    recall = float(pairs.labels.sum() / ground_truth.bought.counts.sum())
    _log.info("candidates of %s: %d users, %.1f%% of their purchases found", window, len(ground_truth.users), 100 * recall)
    return WindowCandidates(pairs, anonymous, recall, few_buyer_lists(few))


def anonymous_baskets(split: Split, most: int, rng: np.random.Generator) -> tuple[Histories, UserItems]:
    """Sample anonymous baskets from purchases after the cut: three items are the history, the rest are the labels.

    A log without baskets of six items yields none.
    """
    labels = split.labels
    key = np.unique(np.stack([labels.user.astype(np.int64), labels.time, labels.item.astype(np.int64)]), axis=1)
    _, starts, sizes = np.unique(key[:2], axis=1, return_index=True, return_counts=True)
    large = np.flatnonzero(sizes >= LEAST_BASKET)
    chosen = rng.permutation(large)[:most]
    baskets = [rng.permutation(key[2, starts[i] : starts[i] + sizes[i]]) for i in chosen]
    histories = Histories.of_baskets([basket[:KNOWN_OF_BASKET].tolist() for basket in baskets], split.cut)
    owner = np.repeat(np.arange(len(baskets)), [len(basket) - KNOWN_OF_BASKET for basket in baskets])
    rest = np.concatenate([np.zeros(0, dtype=np.int64), *(basket[KNOWN_OF_BASKET:] for basket in baskets)])
    return histories, UserItems.of(owner, rest, len(baskets), labels.n_items)
