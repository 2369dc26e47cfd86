"""A ranker fitted on the tiny shop, and candidates that retrieval finds there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from eval.protocol.ground_truth import GroundTruth
from features.behavior.item_stats import ItemStats
from features.data.interactions import DAY
from features.data.split import Split
from features.text.encoder import TextEncoder
from features.text.encoder_config import EncoderConfig
from features.text.template import item_texts
from features.text.token_states import ItemTokens
from ranking.calibration import Calibration
from ranking.cross_encoder.config import CrossEncoderConfig
from ranking.cross_encoder.model import CrossEncoder
from ranking.gbdt import fit_booster, fit_residual
from ranking.gbdt_config import GBDTConfig
from ranking.ranker import GBDTRanker, order_by_base, rerank_top, with_features, with_residual
from retrieval.candidates import Candidates
from retrieval.collaborative.als import ALSConfig
from retrieval.collaborative.config import RetrievalConfig
from retrieval.collaborative.ease import EASEConfig
from retrieval.collaborative.models import Collaborative
from retrieval.hybrid import HybridRetriever
from retrieval.index import ItemIndex
from retrieval.two_tower.config import TowerConfig
from retrieval.two_tower.model import TwoTower
from retrieval.two_tower.retriever import TwoTowerRetriever

if TYPE_CHECKING:
    from pathlib import Path

GBDT = GBDTConfig(rounds=10, leaves=7, min_leaf=10)


@dataclass(frozen=True)
class Bench:
    """A ranker, and candidates of the tiny shop that it has not seen, with the labels: bool (b, k)."""

    ranker: GBDTRanker
    candidates: Candidates
    labels: np.ndarray


@pytest.fixture(scope="session")
def bench(shop: Any, tiny_bert: Path) -> Bench:
    """Every part is fitted on one window, 60 to 30 days before the end; the candidates are of the last 30 days."""
    encoder = TextEncoder.pretrained(EncoderConfig(model=str(tiny_bert), max_tokens=24))
    states = encoder.token_states(item_texts(shop.catalog).to_list())
    tokens = ItemTokens(states, np.arange(len(shop.catalog)))
    tower = TwoTower(encoder.width, TowerConfig(dim=encoder.width, hidden=16, layers=1, heads=2))
    tower.start_as_is()
    vectors = tower.item_vectors(encoder.pool(states))

    def stage(cut: int) -> tuple[Candidates, np.ndarray, ItemStats]:
        split = Split.by_time(shop.log, cut, days=30)
        truth = GroundTruth.of(split)
        config = RetrievalConfig(candidates=20, ease_model=EASEConfig(l2=20), als_model=ALSConfig(factors=4))
        models = Collaborative.fit(split.history, cut, config)
        towers = TwoTowerRetriever(tower, vectors, ItemIndex.build(vectors), tokens.text_of, models.popularity.ranking)
        found = HybridRetriever(models, towers, config).retrieve(split.histories(truth.users), config.candidates)
        return found, truth.bought.hits(found.rows), ItemStats.fit(split.history, shop.catalog, cut)

    found, labels, stats = stage(shop.log.end - 60 * DAY)
    featured = with_features(found, stats)
    base = fit_booster([(featured, labels)], GBDT, seed=0)
    torch.manual_seed(0)
    cross_encoder = CrossEncoder.upon(encoder, CrossEncoderConfig(rerank_depth=6, history_items=4))
    torch.nn.init.normal_(cross_encoder.head.weight)
    ordered = order_by_base(featured, base)
    read = rerank_top(ordered, cross_encoder.eval(), tokens)
    bought = np.stack([np.isin(rows, of[mine]) for rows, of, mine in zip(ordered.rows, featured.rows, labels, strict=True)]) & read.valid
    residual = fit_residual((read, bought), GBDT, seed=0)
    odds = with_residual(read, residual)
    calibration = Calibration.fit(odds[read.valid], bought[read.valid])
    later, labels, stats = stage(shop.log.end - 30 * DAY)
    return Bench(GBDTRanker(stats, base, residual, cross_encoder, tokens, calibration), later, labels)
