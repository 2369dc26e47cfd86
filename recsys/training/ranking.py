"""Training of the ranking: boosters, cross-encoder and calibration, each on its own window."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from eval.metrics.user_items import UserItems
from eval.protocol.ground_truth import GroundTruth
from features.behavior.item_stats import ItemStats
from features.data.histories import Histories
from features.text.token_states import ItemTokens
from ranking.calibration import Calibration
from ranking.cross_encoder.model import CrossEncoder
from ranking.cross_encoder.trainer import TrainingPairs, fit_cross_encoder
from ranking.gbdt import CROSS_ENCODER, TOWERS, fit_base, fit_residual
from ranking.ranker import order_by_base, rerank_top, with_features, with_residual
from recsys.artifacts.ranking import Ranking
from recsys.training.job import RankingData
from retrieval.collaborative.models import Collaborative
from retrieval.hybrid import HybridRetriever
from retrieval.index import ItemIndex
from retrieval.two_tower.retriever import TwoTowerRetriever

if TYPE_CHECKING:
    from pathlib import Path

    import torch

    from features.data.split import Split
    from ranking.gbdt import Booster
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
    """

    pairs: TrainingPairs
    anonymous: TrainingPairs
    recall: float


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
    parts = [pairs for window in (early, late) for pairs in (window.pairs, window.anonymous)]
    users = settings.cross_encoder.users  # only as many as the cross-encoder is trained on
    second, third = (window_candidates(job, models, window, users) for window in (windows.correction, windows.calibration))
    base, saved = fit_base([pairs.labelled for pairs in parts], [second.pairs.labelled, third.pairs.labelled], settings.gbdt, seed)
    with_towers = TOWERS[0] in base.names
    _log.info("base booster fitted on %s and %s, %s the towers' scores", windows.early, windows.late, "with" if with_towers else "without")
    cross_encoder = CrossEncoder.upon(models.encoder, settings.cross_encoder).to(device)
    best = _best(_ordered(early.pairs, base), 3 * settings.cross_encoder.rerank_depth)
    losses = fit_cross_encoder(cross_encoder, best, tokens, work, seed, job.progress)
    data = RankingData(tuple(parts), second.pairs, third.pairs, tokens, settings, seed)
    residual, calibration = fit_residual_and_calibration(base, cross_encoder, data)
    ranking = Ranking(base, residual, cross_encoder, calibration)
    if job.watch:
        job.watch(data, ranking)
    report = {
        "reads_towers": with_towers,
        "towers_save": round(saved, 5),
        "cross_encoder_loss": [round(loss, 4) for loss in losses],
        "candidates_hold": round(third.recall, 4),
        "calibration_pairs": int(third.pairs.candidates.valid.sum()),
        "calibration_bought": int(third.pairs.labels.sum()),
        "cross_encoder_gain": round(float(residual.gain()[residual.names.index(CROSS_ENCODER)]), 1),
    }
    return ranking, report


def fit_residual_and_calibration(base: Booster, cross_encoder: CrossEncoder | None, data: RankingData) -> tuple[Booster, Calibration]:
    """Fit the residual booster on reranked candidates and the calibration on all; `cross_encoder` may be None."""

    def reranked(pairs: TrainingPairs) -> TrainingPairs:
        pairs = _ordered(pairs, base)
        return TrainingPairs(rerank_top(pairs.candidates, cross_encoder, data.tokens), pairs.labels)

    settings = data.settings
    best = _best(reranked(data.residual), settings.cross_encoder.rerank_depth)
    residual = fit_residual(best.candidates, best.labels, settings.gbdt, data.seed)
    third = reranked(data.calibration)
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
    collaborative = Collaborative.fit(split.history, window.start, job.settings.retrieval, job.review_words)
    index = ItemIndex.build(models.vectors, job.settings.index)
    sales = collaborative.popularity.ranking
    towers = TwoTowerRetriever(models.tower, models.vectors, index, models.text_of, sales)
    texts = job.text_similarity(models.text_of, collaborative)
    retriever = HybridRetriever(collaborative, towers, job.settings.retrieval, texts=texts)
    stats = ItemStats.fit(split.history, job.catalog, window.start)
    candidates = retriever.retrieve(split.histories(ground_truth.users), job.settings.retrieval.candidates)
    candidates = with_features(candidates, stats)
    labels = ground_truth.bought.hits(candidates.rows)
    baskets, rest = anonymous_baskets(split, job.settings.gbdt.visitors, np.random.default_rng([job.seed, len(split.labels)]))
    of_baskets = with_features(retriever.retrieve(baskets, job.settings.retrieval.candidates), stats)
    recall = float(labels.sum() / ground_truth.bought.counts.sum())
    _log.info("candidates of %s: %d users, %.1f%% of their purchases found", window, len(ground_truth.users), 100 * recall)
    return WindowCandidates(TrainingPairs(candidates, labels), TrainingPairs(of_baskets, rest.hits(of_baskets.rows)), recall)


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


def _ordered(pairs: TrainingPairs, base: Booster) -> TrainingPairs:
    """Return candidates and labels in the order of the base booster."""
    at = np.broadcast_to(np.arange(pairs.labels.shape[1], dtype=np.float32), pairs.labels.shape)
    with_place = replace(pairs.candidates, features=pairs.candidates.features | {"_place": at})
    candidates = order_by_base(with_place, base)
    place = np.nan_to_num(candidates.features.pop("_place")).astype(np.int64)
    return TrainingPairs(candidates, np.take_along_axis(pairs.labels, place, axis=1) & candidates.valid)


def _best(pairs: TrainingPairs, k: int) -> TrainingPairs:
    """Return the first k candidates of each user."""
    k = min(k, pairs.labels.shape[1])
    order = np.broadcast_to(np.arange(k), (len(pairs.labels), k))
    return TrainingPairs(pairs.candidates.take(order), pairs.labels[:, :k])
