"""`recsys evaluate robustness`: the lists of a workspace's recommender when the catalogue's texts are perturbed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from eval.protocol.evaluate import System, lists_of
from eval.protocol.ground_truth import GroundTruth
from eval.protocol.runner import EvaluationRunner
from eval.reports.robustness import RobustnessReport
from eval.robustness.comparison import K, PerturbedLists, compare
from eval.robustness.perturbations import perturbations
from features.storage.atomic import write_whole
from recsys.artifacts.model import Model
from recsys.artifacts.model_card import ROBUSTNESS_REPORT
from recsys.offline.evaluate import progress, recommender_at_cut, recommender_over
from recsys.snapshot.aggregates import LogAggregates
from recsys.training.windows import moment

if TYPE_CHECKING:
    from eval.protocol.runner import Lists
    from features.data.catalog import Catalog
    from recsys.recommend.pipeline import Recommender
    from recsys.settings.settings import Settings
    from recsys.training.options import TrainOptions
    from recsys.workspace.workspace import Workspace

USERS = 1000  # users whose lists are compared, at most


def evaluate_robustness(workspace: Workspace, settings: Settings, options: TrainOptions | None = None) -> RobustnessReport:
    """Compare lists over perturbed catalogues with those over the catalogue as it is; write JSON to reports/.

    The model is that of `recsys evaluate`; it is not trained again. Everything that reads the catalogue does so anew: texts
    are encoded, and counts by category and brand are taken. The next model's card repeats the figures.
    """
    recommender, split = recommender_at_cut(workspace, settings, options)
    config = settings.evaluate.model_copy(update={"max_users": min(USERS, settings.evaluate.max_users or USERS)})
    found: dict[str, PerturbedLists] = {}
    with progress() as show:
        runner = EvaluationRunner(GroundTruth.of(split, config.max_users, config.seed), config, show)
        before = _lists(recommender, runner, "unchanged")
        for perturbation in perturbations(recommender.snapshot.catalog, config.seed):
            if not perturbation.changed:
                found[perturbation.name] = PerturbedLists(0.0, {})
                continue
            with TemporaryDirectory(dir=workspace.cache) as cache:  # these texts are read once
                after = _lists(_over(recommender, perturbation.catalog, settings, Path(cache)), runner, perturbation.name)
            found[perturbation.name] = PerturbedLists(perturbation.changed, compare(runner, before, after))
    report = RobustnessReport(moment(split.cut), len(runner.ground_truth.users), found)
    write_whole(workspace.reports / ROBUSTNESS_REPORT, report.to_json())
    return report


def _over(recommender: Recommender, catalog: Catalog, settings: Settings, cache: Path) -> Recommender:
    """Return the recommender over another catalogue. What was fitted on the log alone is taken as it is."""
    snapshot, model = recommender.snapshot, recommender.model
    assert isinstance(model, Model)
    log, now = snapshot.log, snapshot.now
    aggregates = LogAggregates.of(catalog, log, now, model.retrieval, snapshot.collaborative, snapshot.review_words)
    return recommender_over(catalog, aggregates, now, model, settings, cache)


def _lists(recommender: Recommender, runner: EvaluationRunner, label: str) -> dict[str, Lists]:
    system = System(recommender.recommend, unsold_items=recommender.unsold_items)
    named = replace(runner, progress=lambda what, done, total: runner.progress(f"{label}: {what}", done, total))
    return {kind: named.run(system.recommender_of(kind), kind, K) for kind in lists_of(runner.ground_truth.split)}
