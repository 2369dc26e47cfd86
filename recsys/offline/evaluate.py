"""`recsys evaluate`: the offline evaluation of a workspace's recommender on the last weeks of its log."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from eval.baselines.tune import evaluate_baselines, tune_baselines
from eval.metrics.exposure import brands, price_bands, seen, shares
from eval.metrics.intervals import Bootstrap
from eval.metrics.lists import ndcg
from eval.protocol.evaluate import System
from eval.protocol.evaluate import evaluate as evaluate_system
from eval.protocol.ground_truth import GroundTruth
from eval.reports.evaluation import page
from features.data.interactions import DAY
from features.data.split import LABEL_EVENTS, Split
from features.errors import BundleError
from features.storage.atomic import write_whole
from recsys.artifacts.bundle import Bundle
from recsys.offline.reason_check import reasons_hold
from recsys.progress import open_bar, terminal_progress
from recsys.recommend.pipeline import Recommender
from recsys.recommend.request import MAX_PER_GROUP
from recsys.snapshot.aggregates import LogAggregates
from recsys.snapshot.encode import EncodeOptions, encode_catalog
from recsys.snapshot.snapshot import indexed
from recsys.tracking.run import tracked
from recsys.training.find_or_train import model_until
from recsys.training.options import TrainOptions
from recsys.training.windows import LENGTHS, STRETCHES, unless_thin
from retrieval.collaborative.review_words import ReviewWords

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from eval.metrics.exposure import Exposure
    from eval.protocol.report import MetricValues, Report
    from eval.protocol.runner import EvaluateConfig
    from features.data.catalog import Catalog
    from features.data.interactions import Interactions
    from recsys.artifacts.model import Model
    from recsys.settings.settings import Settings
    from recsys.snapshot.snapshot import Snapshot
    from recsys.workspace.workspace import Workspace

PLACES = 10  # of the lists that the places for new items are priced on
_log = logging.getLogger(__name__)


def evaluation_cut(log: Interactions) -> int:
    """Return when the test begins, seconds since the epoch.

    It begins four weeks before the log's end, or a tenth of the log before it if that is less. Where few users buy in
    those weeks, the test holds the last tenth of the purchases. Where times carry only the order of events, it holds
    each user's last step.
    """
    if log.ordinal:
        return log.end - DAY
    cut = log.end - int(min(LENGTHS[0] * DAY, (log.end - log.start) / STRETCHES))
    return unless_thin(log, [cut, log.end])[0]


def evaluate(workspace: Workspace, settings: Settings, options: TrainOptions | None = None) -> Report:
    """Evaluate on the events after `evaluation_cut`, beside baselines, and write JSON and a page to reports/.

    The model has seen none of those events. The workspace's model is used if these settings and options, trained on
    this data until the cut, give that very model. Otherwise such a model is trained and stored in evaluation/.

    Parameters
    ----------
    options : TrainOptions, optional
        The preset, seed and device of the model; `until` is ignored.
    """
    recommender, split = recommender_at_cut(workspace, settings, options)
    snapshot, calibrated = recommender.snapshot, recommender.ranker is not None
    system = System(
        recommender.recommend, stages={"retrieval": recommender.candidates}, calibrated=calibrated, unsold_items=recommender.unsold_items
    )
    vectors = snapshot.vectors_of(np.arange(len(snapshot.catalog)))
    with progress() as show:
        report = evaluate_system(system, split, settings.evaluate, vectors, show)
        report = replace(report, reasons=reasons_hold(recommender, split.users), exposure=exposure(snapshot, split, report))
        report = replace(report, exploration=exploration_price(recommender, split, settings.evaluate))
        baselines = settings.baselines
        if settings.evaluate.tune:
            baselines = tune_baselines(split, progress=show)
        report = report.beside(evaluate_baselines(split, baselines, settings.evaluate, vectors, show), _bundle_id(workspace))
    write_whole(workspace.reports / "evaluation.json", report.to_json())
    write_whole(workspace.reports / "evaluation.html", page(report))
    _log.info("page with plots: %s", workspace.reports / "evaluation.html")
    return report


def tracked_evaluation(workspace: Workspace, settings: Settings, options: TrainOptions) -> Report:
    """Evaluate, and log the metrics where [tracking] says so."""
    facts = {"evaluate": settings.evaluate.model_dump(mode="json"), "preset": options.preset, "seed": options.seed}
    with tracked(settings.tracking, "evaluate", facts) as run:
        report = evaluate(workspace, settings, options)
        run.log({name: metric.value for name, metric in report.metrics.items()})
        run.tags |= {"cut": report.cut, "bundle_id": str(report.bundle_id)}
    return report


def recommender_at_cut(workspace: Workspace, settings: Settings, options: TrainOptions | None = None) -> tuple[Recommender, Split]:
    """Return the recommender as it was at `evaluation_cut`, and the log split there; trains its model where there is none."""
    catalog, log = workspace.load(settings.events)
    split = Split.by_time(log, evaluation_cut(log))
    reviews = workspace.load_reviews(catalog, log.user_ids)
    options = replace(options or TrainOptions(), reviews=reviews)
    model = model_until(workspace, workspace.root / "evaluation", settings, options, (catalog, split.history), split.cut)
    words = None if reviews is None or not model.retrieval.reviews else ReviewWords.of(reviews)
    aggregates = LogAggregates.of(catalog, split.history, split.cut, model.retrieval, review_words=words)
    return recommender_over(catalog, aggregates, split.cut, model, settings, workspace.cache), split


def recommender_over(catalog: Catalog, aggregates: LogAggregates, now: int, model: Model, settings: Settings, cache: Path) -> Recommender:
    """Return a model's recommender over a catalogue and a log that ends before `now`; `cache` is the folder of token states."""
    encoded = encode_catalog(catalog, model, cache, options=EncodeOptions(progress=terminal_progress))
    return Recommender(model, indexed(catalog, aggregates, now, model, encoded, settings.indexing))


def exploration_price(recommender: Recommender, split: Split, config: EvaluateConfig) -> MetricValues:
    """Return what the places for new items cost: their share of all places, and NDCG@10 over all items with and without them.

    New items are those of the catalogue's `created_at`; empty where there are none, or where `retrieval.exploration` is 0.
    """
    if recommender.retriever.arrivals is None or not recommender.model.retrieval.exploration:
        return {}
    truth, boot = GroundTruth.of(split, config.max_users, config.seed), Bootstrap(config.resamples, config.seed)
    places, sides = [], {"ndcg@10": [], "ndcg@10 without": []}
    for start in range(0, len(truth.users), config.batch):
        users = split.histories(truth.users[start : start + config.batch])
        ranked = recommender.ranked(recommender.candidates(users, recommender.model.retrieval.candidates))
        plain = recommender.group_limit(MAX_PER_GROUP).keep(ranked).first(PLACES)
        explored = recommender.first_places(ranked, PLACES)
        moved = ~(explored.rows[:, :, None] == plain.rows[:, None, :]).any(axis=2) & explored.valid
        places.append(moved.mean(axis=1))
        sides["ndcg@10"].append(explored.rows)
        sides["ndcg@10 without"].append(plain.rows)
    of_users = {name: ndcg(_padded(rows), truth.bought, PLACES) for name, rows in sides.items()}
    return boot.means({"share of places": np.concatenate(places)} | of_users)


def _padded(parts: list[np.ndarray]) -> np.ndarray:
    """Return lists of several batches, int64 (b, `PLACES`)."""
    return np.concatenate([np.pad(rows, ((0, 0), (0, PLACES - rows.shape[1])), constant_values=-1) for rows in parts])


def exposure(snapshot: Snapshot, split: Split, report: Report) -> dict[str, list[Exposure]]:
    """Return how lists, purchases and catalogue spread over brands and price bands, where these are known."""
    if report.shown is None:
        return {}
    frame, known = snapshot.catalog.frame, split.known
    shown = seen(report.shown, len(snapshot.catalog))
    bought = np.bincount(split.history.item[np.isin(split.history.event, LABEL_EVENTS)], minlength=len(known))
    names = frame["brand"].drop_nulls().unique().sort().to_list()
    groups = {"brand": brands(snapshot.catalog.codes("brand"), names, known)} if names else {}
    if not np.isnan(snapshot.prices).all():
        groups["price"] = price_bands(snapshot.prices, known)
    return {name: shares(*group, shown, bought, known) for name, group in groups.items()}


def _bundle_id(workspace: Workspace) -> str | None:
    try:
        return Bundle.open(workspace.bundles).id
    except BundleError:  # no bundle, or a damaged one: the metrics do not depend on it
        return None


@contextmanager
def progress() -> Iterator[Callable[[str, int, int], None]]:
    """Show a progress bar on stderr."""
    with open_bar("evaluating", None) as update:
        yield lambda label, done, total: update(description=label, completed=done, total=total)
