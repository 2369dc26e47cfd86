"""`recsys train`: towers, then the ranker's parts, each on its own stretch of time (see `recsys.training.windows`)."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from eval.metrics.lists import ndcg
from eval.metrics.user_items import UserItems as Relevant
from eval.protocol.ground_truth import GroundTruth
from features.behavior.item_stats import ItemStats
from features.data.histories import Histories
from features.data.shop_profile import ShopProfile
from features.text.encoder import TextEncoder
from features.text.state_cache import cached_states
from features.text.template import item_texts, text_hashes
from features.text.token_states import ItemTokens
from ranking.calibration import Calibration
from ranking.cross_encoder.model import CrossEncoder
from ranking.cross_encoder.trainer import TrainingPairs, fit_cross_encoder
from ranking.gbdt import CROSS_ENCODER, TOWERS, fit_base, fit_residual
from ranking.ranker import corrected, order_by_base, rerank_top, with_features
from recsys.artifacts.model import Model, Ranking
from recsys.settings.presets import affordable_tuning
from recsys.snapshot.snapshot import group
from recsys.training.windows import Windows, moment
from retrieval.collaborative.models import Collaborative
from retrieval.hybrid import HybridRetriever
from retrieval.index import ItemIndex
from retrieval.topk import top_k
from retrieval.two_tower.item_ids import ItemIdVectors
from retrieval.two_tower.model import ItemIdEmbedding, TwoTower
from retrieval.two_tower.retriever import TwoTowerRetriever
from retrieval.two_tower.sequence_batches import SequenceSampler
from retrieval.two_tower.text_tuning import TrainableTexts
from retrieval.two_tower.trainer import Run, every_epoch, fit_towers
from retrieval.two_tower.window_batches import Sampler

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from features.data.catalog import Catalog
    from features.data.interactions import Interactions
    from features.data.split import Split
    from features.text.token_states import TokenStates
    from ranking.gbdt import Booster
    from recsys.settings.settings import Settings
    from recsys.training.windows import Window

_log = logging.getLogger(__name__)
# Part of a model's key. Raise it with every change after which the same data, settings and seed train another model: in the towers, the
# cross-encoder, the blend, the calibration, their windows or samples, or in what a default means. Models of before are trained anew then.
MODEL_VERSION = 1
JUDGED_USERS = 2_000  # on whom the towers' training is stopped
LAST_RATE = 0.3  # of the towers' learning rate, for their last epochs, on everything
LEAST_BASKET, KNOWN_OF_BASKET = 6, 3  # items of a basket that a visitor is made of, and how many of them are shown


@dataclass(frozen=True)
class TrainingJob:
    """What is trained on: the log ends where training may not look further. watch: see `TrainOptions`."""

    catalog: Catalog
    log: Interactions
    windows: Windows
    settings: Settings
    seed: int
    watch: Callable[[RankingData, Ranking], None] | None = None


@dataclass(frozen=True)
class TextModels:
    """The catalogue's distinct texts: which item has which, encoder and towers over them, vectors and states.

    The networks stand on the device that they are trained on.
    vectors: as the towers saw them that were trained until the validation window; what is fitted later stands on those.
    tower, learned: those that the model keeps.
    """

    text_of: np.ndarray
    encoder: TextEncoder
    tower: TwoTower
    vectors: np.ndarray
    kept: TokenStates
    report: dict[str, Any]
    item_id_vectors: ItemIdEmbedding | None = None


def train_model(shop: TrainingJob, device: torch.device, work: Path, cache: Path) -> Model:
    """Fit everything. Stages write their progress to `work`; called again after a cut, it goes on from there."""
    language = fit_language(shop, device, work, cache)
    ranking, report = fit_ranking(shop, language, work, device)
    if shop.settings.tower.user_encoder == "sequence" and shop.settings.train.last_epochs:
        fit_on_the_rest(shop, language, work)
    for module in (language.encoder, language.tower, ranking.cross_encoder):
        module.cpu()  # where answers are worked out
    about = {
        "trained": True,
        "until": moment(shop.windows.calibration.end),
        "seed": shop.seed,
        "device": device.type,
        "data": {"items": len(shop.catalog), "users": shop.log.n_users, "events": len(shop.log), "texts": len(language.vectors)},
        "windows": shop.windows.to_dict(),
        "towers": language.report,
        "ranking": report,
    }
    item_id_vectors = (
        None
        if language.item_id_vectors is None
        else ItemIdVectors(shop.catalog.ids, language.text_of.astype(np.int32), language.item_id_vectors.vectors())
    )
    return Model(language.encoder, language.tower, shop.settings.retrieval, ranking, about, item_id_vectors)


def fit_language(shop: TrainingJob, device: torch.device, work: Path, cache: Path) -> TextModels:
    """Encoder and towers, on purchases of the towers' window, stopped by NDCG@10 on the validation window (texts, not items, ranked)."""
    settings, windows = shop.settings, shop.windows
    encoder = TextEncoder.pretrained(settings.encoder).to(device)
    texts = item_texts(shop.catalog)
    first, text_of = group(text_hashes(texts))
    distinct = texts.gather(first).to_list()
    kept = cached_states(encoder, distinct, cache)
    tuning = settings.train.tuning
    if tuning == "auto":
        tuning = affordable_tuning("quick", device)
    source = TrainableTexts(encoder, distinct, kept, tuning)
    torch.manual_seed(shop.seed)
    tower = TwoTower(encoder.width, settings.tower)
    tower.start_from(source.pooled)
    tower.to(device)
    sequence = settings.tower.user_encoder == "sequence"
    item_id_vectors = ItemIdEmbedding(len(distinct), settings.tower.dim, settings.train.id_dropout).to(device) if sequence else None
    log = replace(shop.log, item=text_of[shop.log.item].astype(np.int32), n_items=len(distinct))
    split = windows.validation.split(log)
    run = Run(_sampler(split.history, shop), tower, source, _judge(split), work, shop.seed, item_id_vectors)
    fitted = fit_towers(run, settings.train)
    if tuning in ("lora", "full"):  # the lower layers are others now
        kept = cached_states(encoder, distinct, cache)
    report = {
        "reads": settings.tower.user_encoder,
        "tuning": tuning,
        "validation_ndcg@10": [round(value, 4) for value in fitted.curve],
        "hard_negatives_masked": fitted.hard_skipped,
    }
    return TextModels(text_of, encoder, tower, run.vectors(), kept, report, item_id_vectors)


def fit_on_the_rest(shop: TrainingJob, language: TextModels, work: Path) -> None:
    """Let the towers learn, in place and at a lower rate, from what they have not seen: the windows that the ranking was fitted on.

    All that could be chosen has been chosen on those windows by now. What the ranking knows of the towers' scores is from before.
    """
    train = shop.settings.train
    changed = {"epochs": train.last_epochs, "patience": train.last_epochs, "tuned_epochs": 0, "lr": train.lr * LAST_RATE}
    settings = train.model_copy(update=changed)
    log = replace(shop.log, item=language.text_of[shop.log.item].astype(np.int32), n_items=len(language.vectors))
    source = TrainableTexts(language.encoder, [], language.kept, "frozen")
    sampler = SequenceSampler(log, settings, shop.settings.tower.history)
    run = Run(sampler, language.tower, source, every_epoch, work / "rest", shop.seed, language.item_id_vectors)
    fit_towers(run, settings)


def _sampler(log: Interactions, shop: TrainingJob) -> Sampler | SequenceSampler:
    settings, validation = shop.settings, shop.windows.validation
    if settings.tower.user_encoder == "sequence":
        return SequenceSampler(log, settings.train, settings.tower.history)
    return Sampler(log, settings.train, validation.end - validation.start)


def _judge(split: Split) -> Callable[[TwoTower, np.ndarray], float]:
    """By the list of all items, or of those new to the user, where nobody buys a thing twice."""
    truth = GroundTruth.of(split, JUDGED_USERS)
    kind = "all" if ShopProfile.of(split.history).buys_again else "unseen"
    histories, relevant = split.histories(truth.users), truth.relevant(kind)
    allowed = truth.allowed(kind, np.arange(len(truth.users)))

    def judge(tower: TwoTower, vectors: np.ndarray) -> float:
        scores = tower.user_vectors(histories, vectors) @ vectors.T
        rows, _ = top_k(np.where(allowed, scores, -np.inf), 10)
        return float(np.nanmean(ndcg(rows, relevant, 10)))

    return judge


@dataclass(frozen=True)
class WindowCandidates:
    """Candidates of one window's users, with features, and what of them was bought; the same of made-up visitors."""

    pairs: TrainingPairs
    visitors: TrainingPairs
    found: float  # share of what was bought that is among the candidates


@dataclass(frozen=True)
class RankingData:
    """What a ranking is fitted on, candidates in retrieval's order: the blend's parts, and the windows of correction and calibration."""

    blend: tuple[TrainingPairs, ...]
    correction: TrainingPairs
    calibration: TrainingPairs
    tokens: ItemTokens
    settings: Settings
    seed: int


def fit_ranking(shop: TrainingJob, language: TextModels, work: Path, device: torch.device) -> tuple[Ranking, dict[str, Any]]:
    """Blend on the early and late window, cross-encoder on the early one, correction and calibration each on one of their own."""
    settings, windows, seed = shop.settings, shop.windows, shop.seed
    tokens = ItemTokens(language.kept, language.text_of)
    early, late = produce(shop, language, windows.early), produce(shop, language, windows.late)
    parts = [pairs for stage in (early, late) for pairs in (stage.pairs, stage.visitors)]
    users = settings.cross_encoder.users  # only as many as the cross-encoder is trained on
    second, third = produce(shop, language, windows.correction, users), produce(shop, language, windows.calibration, users)
    first, saved = fit_base([pairs.labelled for pairs in parts], [second.pairs.labelled, third.pairs.labelled], settings.gbdt, seed)
    reads_towers = TOWERS[0] in first.names
    _log.info("blend fitted on %s and %s, %s the towers' scores", windows.early, windows.late, "with" if reads_towers else "without")
    cross_encoder = CrossEncoder.upon(language.encoder, settings.cross_encoder).to(device)
    best = _best(_ordered(early.pairs, first), 3 * settings.cross_encoder.rerank_depth)
    losses = fit_cross_encoder(cross_encoder, best, tokens, work, seed)
    material = RankingData(tuple(parts), second.pairs, third.pairs, tokens, settings, seed)
    correction, calibration = fit_end(first, cross_encoder, material)
    ranking = Ranking(first, correction, cross_encoder, calibration)
    if shop.watch:
        shop.watch(material, ranking)
    report = {
        "reads_towers": reads_towers,
        "towers_save": round(saved, 5),
        "cross_encoder_loss": [round(loss, 4) for loss in losses],
        "candidates_hold": round(third.found, 4),
        "calibration_pairs": int(third.pairs.candidates.valid.sum()),
        "calibration_bought": int(third.pairs.labels.sum()),
        "cross_encoder_gain": round(float(correction.gain()[correction.names.index(CROSS_ENCODER)]), 1),
    }
    return ranking, report


def fit_end(first: Booster, cross_encoder: CrossEncoder | None, material: RankingData) -> tuple[Booster, Calibration]:
    """What stands on a blend: the correction of the best that the cross-encoder has read, and the calibration of all candidates."""

    def read(pairs: TrainingPairs) -> TrainingPairs:
        """In the blend's order, the best of them read."""
        pairs = _ordered(pairs, first)
        return TrainingPairs(rerank_top(pairs.candidates, cross_encoder, material.tokens), pairs.labels)

    settings = material.settings
    narrow = _best(read(material.correction), settings.cross_encoder.rerank_depth)
    correction = fit_residual(narrow.candidates, narrow.labels, settings.gbdt, material.seed)
    third = read(material.calibration)
    valid = third.candidates.valid
    return correction, Calibration.fit(corrected(third.candidates, correction)[valid], third.labels[valid])


def produce(shop: TrainingJob, language: TextModels, window: Window, users: int | None = None) -> WindowCandidates:
    """What retrieval finds at the window's start, from what was known then, for users who bought in it; what they bought as labels."""
    split = window.split(shop.log)
    truth = GroundTruth.of(split, users or shop.settings.gbdt.users, shop.seed)
    models = Collaborative.fit(split.history, window.start, shop.settings.retrieval)
    index = ItemIndex.build(language.vectors, shop.settings.index)
    towers = TwoTowerRetriever(language.tower, language.vectors, index, language.text_of, models.popularity.ranking)
    retriever = HybridRetriever(models, towers, shop.settings.retrieval)
    stats = ItemStats.fit(split.history, shop.catalog, window.start)
    candidates = retriever.retrieve(split.histories(truth.users), shop.settings.retrieval.candidates)
    candidates = with_features(candidates, stats)
    labels = truth.bought.hits(candidates.rows)
    guests, rest = visitors(split, shop.settings.gbdt.visitors, np.random.default_rng([shop.seed, len(split.labels)]))
    theirs = with_features(retriever.retrieve(guests, shop.settings.retrieval.candidates), stats)
    found = float(labels.sum() / truth.bought.counts.sum())
    _log.info("candidates of %s: %d users, %.1f%% of their purchases found", window, len(truth.users), 100 * found)
    return WindowCandidates(TrainingPairs(candidates, labels), TrainingPairs(theirs, rest.hits(theirs.rows)), found)


def visitors(split: Split, most: int, rng: np.random.Generator) -> tuple[Histories, Relevant]:
    """Strangers with a basket, made of what was bought at one time after the cut: three of the items are known, the rest is the answer.

    Shops whose log knows no baskets of six items have none of them.
    """
    labels = split.labels
    key = np.unique(np.stack([labels.user.astype(np.int64), labels.time, labels.item.astype(np.int64)]), axis=1)
    _, starts, sizes = np.unique(key[:2], axis=1, return_index=True, return_counts=True)
    large = np.flatnonzero(sizes >= LEAST_BASKET)
    chosen = rng.permutation(large)[:most]
    baskets = [rng.permutation(key[2, starts[i] : starts[i] + sizes[i]]) for i in chosen]
    guests = Histories.of_baskets([basket[:KNOWN_OF_BASKET].tolist() for basket in baskets], split.cut)
    owner = np.repeat(np.arange(len(baskets)), [len(basket) - KNOWN_OF_BASKET for basket in baskets])
    rest = np.concatenate([np.zeros(0, dtype=np.int64), *(basket[KNOWN_OF_BASKET:] for basket in baskets)])
    return guests, Relevant.of(owner, rest, len(baskets), labels.n_items)


def _ordered(pairs: TrainingPairs, first: Any) -> TrainingPairs:
    """Candidates and labels in the blend's order."""
    at = np.broadcast_to(np.arange(pairs.labels.shape[1], dtype=np.float32), pairs.labels.shape)
    with_place = replace(pairs.candidates, features=pairs.candidates.features | {"_place": at})
    candidates = order_by_base(with_place, first)
    place = np.nan_to_num(candidates.features.pop("_place")).astype(np.int64)
    return TrainingPairs(candidates, np.take_along_axis(pairs.labels, place, axis=1) & candidates.valid)


def _best(pairs: TrainingPairs, k: int) -> TrainingPairs:
    """The first k candidates of each user."""
    k = min(k, pairs.labels.shape[1])
    order = np.broadcast_to(np.arange(k), (len(pairs.labels), k))
    return TrainingPairs(pairs.candidates.take(order), pairs.labels[:, :k])
