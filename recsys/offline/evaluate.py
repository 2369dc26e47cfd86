"""`recsys evaluate`: the workspace's way of recommending, judged on the last weeks of its own log."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from eval.baselines.tune import evaluate_baselines, tune_baselines
from eval.metrics.exposure import brands, price_bands, seen, shares
from eval.protocol.evaluate import System
from eval.protocol.evaluate import evaluate as judge
from eval.reports.evaluation import page
from features.data.interactions import DAY
from features.data.split import LABEL_EVENTS, Split
from features.errors import BundleError
from features.storage.atomic import write_whole
from recsys.artifacts.bundle import Bundle
from recsys.offline.reason_check import reasons_hold
from recsys.progress import open_bar, terminal_progress
from recsys.recommend.pipeline import Recommender
from recsys.snapshot.snapshot import EncodeOptions, encode_catalog, take_snapshot
from recsys.training.find_or_train import model_until
from recsys.training.windows import LENGTHS, STRETCHES, unless_thin

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from eval.metrics.exposure import Exposure
    from eval.protocol.report import Report
    from features.data.interactions import Interactions
    from recsys.settings.settings import Settings
    from recsys.snapshot.snapshot import Snapshot
    from recsys.workspace.workspace import Workspace

_log = logging.getLogger(__name__)


def evaluation_cut(log: Interactions) -> int:
    """Where the test begins, seconds since the epoch: four weeks before the end, or a tenth of the log if that is less.

    In step time: before each user's last. Where hardly anybody buys in those weeks: a tenth of the purchases before the end.
    """
    if log.ordinal:
        return log.end - DAY
    cut = log.end - int(min(LENGTHS[0] * DAY, (log.end - log.start) / STRETCHES))
    return unless_thin(log, [cut, log.end])[0]


def evaluate(workspace: Workspace, settings: Settings) -> Report:
    """Judge on what happened after `evaluation_cut`, with a model that has seen nothing of it; baselines beside it. Writes JSON and a page.

    The workspace's model is used if it is what these settings give, trained until the cut on this very data; otherwise such a model is
    trained in evaluation/, and kept.
    """
    catalog, log = workspace.load(settings.events)
    split = Split.by_time(log, evaluation_cut(log))
    model = model_until(workspace, workspace.root / "evaluation", settings, (catalog, split.history), split.cut)
    encoded = encode_catalog(catalog, model, workspace.cache, options=EncodeOptions(progress=terminal_progress))
    snapshot = take_snapshot(catalog, split.history, split.cut, model, encoded, settings.index)
    recommender = Recommender(model, snapshot)
    calibrated = model.ranking is not None
    system = System(
        recommender.recommend, stages={"retrieval": recommender.candidates}, calibrated=calibrated, unsold_items=recommender.unsold_items
    )
    vectors = snapshot.vectors_of(np.arange(len(catalog)))
    with progress() as tell:
        report = judge(system, split, settings.evaluate, vectors, tell)
        report = replace(report, reasons=reasons_hold(recommender, split.users), exposure=exposure(snapshot, split, report))
        baselines = settings.baselines
        if settings.evaluate.tune:
            baselines = tune_baselines(split, progress=tell)
        report = report.beside(evaluate_baselines(split, baselines, settings.evaluate, vectors, tell), _bundle_id(workspace))
    write_whole(workspace.reports / "evaluation.json", report.to_json())
    write_whole(workspace.reports / "evaluation.html", page(report))
    _log.info("page with plots: %s", workspace.reports / "evaluation.html")
    return report


def exposure(snapshot: Snapshot, split: Split, report: Report) -> dict[str, list[Exposure]]:
    """How the lists spread over brands and price bands, beside purchases and catalogue; what nobody tells of is left out."""
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
    except BundleError:  # none yet, or damaged: the figures are the model's all the same
        return None


@contextmanager
def progress() -> Iterator[Callable[[str, int, int], None]]:
    """A bar on stderr that shows what is being done."""
    with open_bar("evaluating", None) as update:
        yield lambda label, done, total: update(description=label, completed=done, total=total)
