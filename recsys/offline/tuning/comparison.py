"""The one look at the test: what tuned settings earn over the current ones after the cut that no trial has seen past."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from eval.metrics.lists import ndcg
from eval.protocol.ground_truth import GroundTruth
from eval.protocol.runner import EvaluateConfig, EvaluationRunner
from recsys.offline.evaluate import recommender_over
from recsys.offline.tuning.objectives import K, TuningShop
from recsys.offline.tuning.wide_candidates import main_list
from recsys.snapshot.aggregates import LogAggregates
from recsys.training.pipeline import recommending_model
from recsys.training.ranking import fit_ranking
from recsys.training.towers import fit_text_models

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np

    from eval.metrics.intervals import MetricValue
    from features.data.split import Split
    from recsys.settings.settings import Settings

MAX_USERS = 10_000


@dataclass(frozen=True)
class Candidate:
    """Settings that are compared.

    Attributes
    ----------
    towers : folder with the checkpoints of its towers.
    """

    settings: Settings
    towers: Path


@dataclass(frozen=True)
class Compared:
    """NDCG@10 on the test window, with 95% intervals over users.

    Attributes
    ----------
    ratio, difference : of the tuned settings to the current ones, of the same users.
    """

    current: MetricValue
    tuned: MetricValue
    ratio: MetricValue
    difference: MetricValue


def compare(shop: TuningShop, split: Split, current: Candidate, tuned: Candidate, folder: Path) -> Compared:
    """Train both until the cut, but for search and reviews, and judge their main lists on what follows.

    Parameters
    ----------
    split : the whole log at the test's cut.
    folder : for checkpoints.
    """
    config = shop.settings.evaluate
    ground_truth = GroundTruth.of(split, config.max_users or MAX_USERS, config.seed)
    runner = EvaluationRunner(
        ground_truth, EvaluateConfig(resamples=config.resamples, seed=config.seed), lambda _label, _done, _total: None
    )
    kind = main_list(shop.job)
    before, after = (_per_user(shop, split, each, folder / name, (runner, kind)) for name, each in (("current", current), ("tuned", tuned)))
    means = runner.bootstrap.means({"current": before, "tuned": after})
    return Compared(
        means["current"], means["tuned"], runner.bootstrap.paired_ratio(after, before), runner.bootstrap.paired_difference(after, before)
    )


def _per_user(shop: TuningShop, split: Split, one: Candidate, folder: Path, judge: tuple[EvaluationRunner, str]) -> np.ndarray:
    """Return the NDCG@10 of each user of the test."""
    job, (runner, kind) = replace(shop.job, settings=one.settings), judge
    models = fit_text_models(job, shop.device, one.towers, shop.cache)
    ranking, _ = fit_ranking(job, models, folder, shop.device)
    model = recommending_model(job, models, ranking, folder)
    aggregates = LogAggregates.of(job.catalog, split.history, split.cut, model.retrieval, review_words=job.review_words)
    recommender = recommender_over(job.catalog, aggregates, split.cut, model, one.settings, shop.cache)
    return ndcg(runner.run(recommender.recommend, kind, K).rows, runner.ground_truth.relevant(kind), K)
