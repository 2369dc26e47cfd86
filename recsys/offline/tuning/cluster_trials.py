"""Trials of a stage by workers of a cluster: each asks one journal for values, trains, and tells the journal what they are worth.

That is Optuna's own way of distribution, and no worker waits for another. A worker reads the workspace for itself.
"""

from __future__ import annotations

import logging
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from features.data.split import Split
from features.errors import DataError
from recsys.compute.job import Job
from recsys.offline.evaluate import evaluation_cut
from recsys.offline.tuning.budget import Budget
from recsys.offline.tuning.objectives import RankingObjective, ReadingObjective, TowersObjective, TuningShop
from recsys.offline.tuning.search_space import Knob
from recsys.offline.tuning.trials import Stage
from recsys.offline.tuning.watch import TrialLog
from recsys.settings.presets import find_device
from recsys.settings.settings import FILE_KEYS, Settings
from recsys.settings.tracking import is_uri
from recsys.training.find_or_train import TrainingPlan
from recsys.training.options import TrainOptions
from recsys.workspace.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from recsys.compute.job import Cluster
    from recsys.offline.tuning.trials import TrialResult
    from recsys.settings.names import Device

    Objective = TowersObjective | RankingObjective | ReadingObjective

_log = logging.getLogger(__name__)
# What a trial reads, and `Settings.training_sections`. Others stay with the command: they may hold secrets.
SECTIONS = (
    *("events", "encoder", "pretrain", "tower", "train", "index", "retrieval", "search", "reviews"),
    *("gbdt", "cross_encoder", "query_cross_encoder", "evaluate", "tracking"),
)


def tuning_plan(workspace: Workspace, settings: Settings, train: TrainOptions) -> tuple[TrainingPlan, Split]:
    """Return the training until the test's cut whose settings are searched, and the split by the cut."""
    catalog, log = workspace.load(settings.events)
    split = Split.by_time(log, evaluation_cut(log))
    train = replace(train, reviews=workspace.load_reviews(catalog, log.user_ids))
    return TrainingPlan.of(settings, train, (catalog, split.history), split.cut), split


def device_of_all(cluster: Cluster, requested: Device) -> Literal["cpu", "cuda"]:
    """Return where the command and all workers run trials, as the settings that are searched depend on it: a GPU only where all have one.

    Raises
    ------
    ConfigError
        If a GPU was requested and torch sees none.
    """
    here = "cuda" if find_device(requested).type == "cuda" else "cpu"
    if here == cluster.device:
        return here
    lacks = "cluster.gpus is 0" if here == "cuda" else "--device cpu was given" if requested == "cpu" else "this machine has no GPU"
    _log.warning("note: all trials run on cpu, because %s", lacks)
    return "cpu"


@dataclass(frozen=True)
class TrialWorkers:
    """Workers of a cluster that run trials.

    Attributes
    ----------
    train : its device is that of the command and of all workers.
    key : of the training, which each worker must find for itself.
    users : users a window in the trials of the ranking.
    """

    cluster: Cluster
    workspace: Workspace
    settings: Settings
    train: TrainOptions
    key: str
    users: int

    def run(self, stage: Stage, objective: Objective, budget: Budget, most: int | None) -> list[TrialResult]:
        """Run trials until the budget or the number of trials is used up; return what `Stage.run` does, which comes before.

        Parameters
        ----------
        most : trials in all, as in `Stage.run`.

        Raises
        ------
        DataError
            If a worker finds other data or other settings.
        ClusterError
            If the cluster is lost: the same search goes on from its journal.
        """
        begun, ended = stage.begun(), sum(stage.counts().values())
        # Without a limit, each worker runs trials until the time is over; with one, whoever is free runs the next trial.
        count = self.cluster.workers if most is None else most - ended
        if count > 0 and not budget.over:
            job = self._job(stage, objective, {"before": begun, "until": _moment(budget), "most": most and 1})
            for _ in self.cluster.run(job, [[worker] for worker in range(count)]):
                counts = ", ".join(f"{number} {how}" for how, number in stage.counts().items())
                _log.info("%s: %s trials", _title(stage), counts)
            job.remove()
        for line in stage.failures(begun):
            _log.warning("%s", line)
        return stage.trials()

    def _job(self, stage: Stage, objective: Objective, limits: dict[str, Any]) -> Job:
        arguments = {
            "workspace": str(self.workspace.root.absolute()),
            "settings": _of_workers(self.settings),
            "train": {"preset": self.train.preset, "device": self.train.device, "seed": self.train.seed},
            "key": self.key,
            "users": self.users,
            "stage": asdict(stage) | {"journal": str(stage.journal.absolute()), "folder": str(stage.folder.absolute())},
            "objective": _facts(objective),
            **limits,
        }
        return Job(f"trials of the {_title(stage)}", open_trials, arguments, self.workspace.cache.absolute(), ".done")


def open_trials(
    workspace: str, settings: dict[str, Any], train: dict[str, Any], stage: dict[str, Any], objective: dict[str, Any], **more: Any
) -> Callable[[Sequence[int], Path], None]:
    """Read the workspace; return the function that runs the trials of a worker, and writes an empty file.

    Parameters
    ----------
    more : `key`, `users`, and the limits: `until`, seconds since the epoch, and `most`, trials of a worker; None for no limit.

    Raises
    ------
    DataError
        If the training is another one here.
    """
    of_worker = Settings.model_validate(settings)
    opened = Workspace(Path(workspace))
    plan, _ = tuning_plan(opened, of_worker, TrainOptions(**train))
    if plan.key != more["key"]:
        raise DataError(f"a worker finds other data or settings in {workspace}: end other commands, unset RECSYS_* there, and run it again")
    judged = _objective(TuningShop(plan.job, plan.device, opened.cache, more["users"]), objective)
    knobs = tuple(Knob(**{**knob, "choices": tuple(knob["choices"])}) for knob in stage["knobs"])
    trials = Stage(**{**stage, "knobs": knobs, "journal": Path(stage["journal"]), "folder": Path(stage["folder"])})
    budget = Budget(more["until"], time.time)

    def run(shard: Sequence[int], path: Path) -> None:
        trials.work(judged, budget, more["most"], TrialLog(of_worker.tracking), shard[0])
        path.touch()

    return run


def _of_workers(settings: Settings) -> dict[str, Any]:
    """Return what workers read of the settings, with absolute paths: their processes may stand in another folder."""
    values = settings.model_dump(mode="json", exclude_unset=True, include=set(SECTIONS))
    for section, key in FILE_KEYS:
        if (where := values.get(section, {}).get(key)) and not is_uri(key, where):
            values[section][key] = str(Path(where).absolute())
    return values


def _title(stage: Stage) -> str:
    return stage.name.rpartition("-")[0]  # without its digest


def _moment(budget: Budget) -> float | None:
    """Return when a budget ends, in seconds since the epoch: other machines have another monotonic clock."""
    return None if budget.left is None else time.time() + budget.left


def _facts(objective: Objective) -> dict[str, Any]:
    """Return what an objective depends on, beside the shop."""
    if isinstance(objective, TowersObjective):
        return {}
    ranking = objective.ranking if isinstance(objective, ReadingObjective) else objective
    values, folder = ranking.towers
    chosen = objective.chosen if isinstance(objective, ReadingObjective) else None
    return {"widest": ranking.widest, "towers": values, "folder": str(folder.absolute()), "chosen": chosen}


def _objective(shop: TuningShop, facts: Mapping[str, Any]) -> Objective:
    if not facts:
        return TowersObjective(shop)
    ranking = RankingObjective(shop, facts["widest"], (facts["towers"], Path(facts["folder"])))
    return ranking if facts["chosen"] is None else ReadingObjective(ranking, facts["chosen"])
