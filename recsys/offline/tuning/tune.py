"""`recsys tune`: searches settings on validation windows, and tells once on the test what they earn."""

from __future__ import annotations

import logging
import shutil
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from eval.metrics.intervals import Bootstrap
from features.errors import DataError
from features.storage.atomic import write_whole
from features.storage.digests import of_json
from recsys.offline.tuning.budget import Budget
from recsys.offline.tuning.cluster_trials import TrialWorkers, device_of_all, tuning_plan
from recsys.offline.tuning.comparison import Candidate, compare
from recsys.offline.tuning.journal import mend
from recsys.offline.tuning.objectives import RankingObjective, ReadingObjective, TowersObjective, TuningShop
from recsys.offline.tuning.report import SettingChange, StageResult, TuningReport
from recsys.offline.tuning.search_space import checked_keys, knobs_of, open_knobs, set_by_user, value_of, with_values
from recsys.offline.tuning.trials import OutOfTime, Stage, best_of, unreported
from recsys.offline.tuning.watch import TrialLog
from recsys.privacy.erasure import finish
from recsys.tracking.run import tracked
from recsys.training.options import TrainOptions
from recsys.training.windows import moment

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from eval.metrics.intervals import MetricValue
    from features.data.split import Split
    from recsys.compute.job import Cluster
    from recsys.offline.tuning.cluster_trials import Objective
    from recsys.offline.tuning.search_space import Knob, StageName, Values
    from recsys.offline.tuning.trials import TrialObjective, TrialResult
    from recsys.settings.settings import Settings
    from recsys.workspace.workspace import Workspace

_log = logging.getLogger(__name__)
VERSION = 1  # rises where values of trials that were run before mean something else
UNTIL = {"towers": 0.5, "ranking": 0.7}  # share of the time that is left which a stage may take; the last takes the rest


@dataclass(frozen=True)
class TuneOptions:
    """Options of a search.

    Attributes
    ----------
    minutes : how long trials may begin and run; the comparison on the test comes on top. None: no limit.
    trials : at most so many a stage, the current settings and those of earlier calls included; None: no limit.
    users : users a window in the trials of the ranking.
    keep : keys that stay as they are, besides those that the settings set.
    test : whether the test is looked at.
    train : preset, device and seed.
    cluster : runs trials, once the current settings have a value; None runs them in this process.
    """

    minutes: float | None = 30
    trials: int | None = None
    users: int = 2000
    keep: tuple[str, ...] = ()
    test: bool = True
    train: TrainOptions = field(default_factory=TrainOptions)
    cluster: Cluster | None = None


def tune(workspace: Workspace, settings: Settings, options: TuneOptions, budget: Budget | None = None) -> TuningReport:
    """Search settings, and write best.toml and report.json to tuning/ of the workspace.

    Raises
    ------
    DataError
        If there is no data, the log is too short, another search runs, or the minutes end before the first trial.
    ConfigError
        If a key to keep is not one of the search.
    """
    fixed = set_by_user(settings) | checked_keys(options.keep)
    finish(workspace)
    if options.cluster is not None:
        options = replace(options, train=replace(options.train, device=device_of_all(options.cluster, options.train.device)))
    plan, split = tuning_plan(workspace, settings, options.train)
    root = workspace.root / "tuning"
    folder = workspace.cache / "tuning" / of_json([VERSION, plan.key])[:16]
    shop = TuningShop(plan.job, plan.device, workspace.cache, options.users)
    facts = {**plan.job.settings.training_sections(), "users": options.users, "minutes": options.minutes}
    with _alone(root), tracked(settings.tracking, "tune", facts) as run:
        mend(root / "journal.jsonl")
        search = SettingsSearch(shop, root / "journal.jsonl", folder, fixed, options, TrialLog(settings.tracking))
        if options.cluster is not None:
            search.workers = TrialWorkers(options.cluster, workspace, settings, options.train, plan.key, options.users)
        report = search.run(budget or Budget.of(options.minutes), split)
        write_whole(root / "best.toml", report.toml)
        write_whole(root / "report.json", report.to_json())
        run.results({"validation": {stage.name: {"current": stage.current, "best": stage.best} for stage in report.stages}})
        if report.test is not None:
            run.log({"test/current": report.test.current.value, "test/tuned": report.test.tuned.value})
        run.tags |= {change.key: str(change.after) for change in report.changes}
    return report


@contextmanager
def _alone(root: Path) -> Iterator[None]:
    root.mkdir(parents=True, exist_ok=True)
    lock = FileLock(root / ".lock", timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise DataError(f"another recsys tune is at work in {root}: wait until it is done") from None
    try:
        yield
    finally:
        lock.release()


@dataclass
class SettingsSearch:
    """The stages of a search, one after the other, and what they have found so far.

    Attributes
    ----------
    folder : for the checkpoints of all trials.
    fixed : keys that stay as they are.
    workers : run trials beside each other; None for this process alone.
    """

    shop: TuningShop
    journal: Path
    folder: Path
    fixed: frozenset[str]
    options: TuneOptions
    watch: TrialLog
    stages: list[StageResult] = field(default_factory=list)
    changes: list[SettingChange] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    workers: TrialWorkers | None = None

    def run(self, budget: Budget, split: Split) -> TuningReport:
        """Run all stages, and look at the test once."""
        towers, current_towers = self._towers(budget)
        ranking, values, validation = self._ranking(budget, towers, current_towers)
        values |= self._cross_encoder(budget, ranking, values)
        test = None
        if self.changes and self.options.test:
            _log.info("comparing tuned and current settings on the test after %s; this trains both until then", moment(split.cut))
            tuned = Candidate(with_values(self.shop.settings, {**ranking.towers[0], **values}), ranking.towers[1])
            test = compare(self.shop, split, Candidate(self.shop.settings, current_towers[1]), tuned, self.folder / "test")
        return TuningReport(
            tuple(self.stages),
            tuple(self.changes),
            tuple(sorted(self.fixed & {knob.key for stage in ("towers", "ranking", "cross-encoder") for knob in self._all_knobs(stage)})),
            validation if self.changes else None,
            test,
            moment(split.cut),
            self.options.users,
            tuple(self.notes),
        )

    def _all_knobs(self, stage: StageName) -> list[Knob]:
        return knobs_of(stage, self.shop.settings, reviews=self.shop.job.review_words is not None)

    def _stage(self, name: StageName, *given: Values) -> Stage:
        """Return a stage whose values depend on what earlier stages changed."""
        given = tuple({key: value for key, value in values.items() if value != value_of(self.shop.settings, key)} for values in given)
        knobs = open_knobs(self._all_knobs(name), self.fixed)
        current = {knob.key: value_of(self.shop.settings, knob.key) for knob in knobs}
        searched = [self.folder.name, sorted(current), self.shop.users if name != "towers" else None, *given]
        # Checkpoints depend on what was given alone, so that another set of keys finds those of the current settings.
        folder = self.folder / f"{name}-{of_json(given)[:12]}"
        return Stage(f"{name}-{of_json(searched)[:12]}", knobs, current, self.journal, folder, self.shop.job.seed)

    def _run(self, stage: Stage, objective: Objective, budget: Budget, most: int | None) -> list[TrialResult]:
        most = most if stage.knobs else 1
        if self.workers is None or most == 1:
            return stage.run(objective, budget, most, self.watch)
        stage.run(objective, budget, 1, self.watch)  # the current settings, by which others are pruned
        return self.workers.run(stage, objective, budget, most)

    def _told(self, name: StageName, stage: Stage, trials: list[TrialResult], best: float) -> None:
        counts = stage.counts()
        self.stages.append(StageResult(name, counts["complete"], counts["pruned"], counts["failed"], trials[0].value, best))

    def _towers(self, budget: Budget) -> tuple[tuple[Values, Path], tuple[Values, Path]]:
        """Search the towers' settings; return values and folder of the best towers, and of the current ones."""
        stage = self._stage("towers")
        try:
            self._run(stage, TowersObjective(self.shop), budget, 1)  # the current settings may take all of the time
            trials = self._run(stage, TowersObjective(self.shop), budget.share(UNTIL["towers"]), self.options.trials)
        except OutOfTime:
            raise self._too_short("training the towers with the current settings") from None
        best = best_of(trials)
        self._told("towers", stage, trials, best.value)
        self._tidy(stage, [trials[0], best])
        return (best.values, stage.folder_of(best.values)), (trials[0].values, stage.folder_of(trials[0].values))

    def _ranking(
        self, budget: Budget, towers: tuple[Values, Path], current: tuple[Values, Path]
    ) -> tuple[RankingObjective, Values, MetricValue]:
        """Search the ranking's settings over the better towers; return what judges them, the best values and the gain by them."""
        widest: Values = {knob.key: int(knob.high) for knob in self._all_knobs("ranking") if knob.key.startswith("retrieval.")}
        before = RankingObjective(self.shop, widest, current)
        objective, stage = before, self._stage("ranking", current[0])
        try:
            (start, *_) = self._run(stage, before, budget, 1)
        except OutOfTime:
            raise self._too_short("fitting the ranking with the current settings") from None
        if towers != current:
            other, over = RankingObjective(self.shop, widest, towers), self._stage("ranking", towers[0])
            if self._lists_are_better(over, other, budget, start.value):
                objective, stage = other, over
                self._towers_changed(towers[0], current[0])
        trials = self._run(stage, objective, budget.share(UNTIL["ranking"]), self.options.trials)
        best = self._simplest(stage, objective, best_of(trials), "ranking")
        self._told("ranking", stage, [start, *trials[1:]], best.value)
        gain = Bootstrap().paired_ratio(objective.per_user(best.values), before.per_user(stage.current))
        return objective, best.values, gain

    def _lists_are_better(self, stage: Stage, objective: RankingObjective, budget: Budget, start: float) -> bool:
        """Return whether the current ranking makes better lists over the best towers than its value over the current ones."""
        try:
            (first, *_) = self._run(stage, objective, budget, 1)
        except OutOfTime:
            self.notes.append("no time was left to rank over the best trial of the towers: run it again, or give more --minutes")
            return False
        if first.value <= start:
            self.notes.append(f"the best trial of the towers makes no better list, {first.value:.4f} against {start:.4f}: left out")
        return first.value > start

    def _towers_changed(self, values: Values, current: Values) -> None:
        changed = [key for key, value in values.items() if value != current[key]]
        best = self.stages[-1]
        gain = best.best - best.current if len(changed) == 1 else None
        self.changes += [SettingChange(key, "towers", current[key], values[key], gain) for key in changed]

    def _simplest(self, stage: Stage, objective: TrialObjective, best: TrialResult, name: StageName) -> TrialResult:
        """Take each change back that gains nothing by itself, and note what each of the others gains."""
        for knob in stage.knobs:
            before, after = stage.current[knob.key], best.values[knob.key]
            if before == after:
                continue
            values = {**best.values, knob.key: before}
            value = objective(values, stage.folder_of(values), unreported)
            if value >= best.value:
                best = replace(best, values=values, value=value)
            else:
                self.changes.append(SettingChange(knob.key, name, before, after, round(best.value - value, 6)))
        return best

    def _cross_encoder(self, budget: Budget, ranking: RankingObjective, chosen: Values) -> Values:
        """Search the cross-encoder's settings over the chosen ranking; return the best values."""
        if budget.over:
            self.notes.append("no time was left for the cross-encoder's settings: run it again, or give more --minutes")
            return {}
        stage, objective = self._stage("cross-encoder", ranking.towers[0], chosen), ReadingObjective(ranking, chosen)
        trials = self._run(stage, objective, budget, self.options.trials)
        best = self._simplest(stage, objective, best_of(trials), "cross-encoder")
        self._told("cross-encoder", stage, trials, best.value)
        return best.values

    def _too_short(self, what: str) -> DataError:
        return DataError(
            f"{self.options.minutes:g} minutes ended before {what} did: give more --minutes, or run it again, which goes on from there"
        )

    def _tidy(self, stage: Stage, kept: list[TrialResult]) -> None:
        """Remove the checkpoints of trials that have ended, the given ones' excepted: each holds an encoder."""
        keep = {stage.folder_of(trial.values) for trial in kept} | {stage.folder_of(values) for values in stage.cut_off()}
        for path in stage.folder.glob("*"):
            if path not in keep:
                shutil.rmtree(path, ignore_errors=True)
