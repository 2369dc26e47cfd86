"""Trials of one stage, in a journal of JSON lines that outlives the process (Optuna's journal storage; it holds no pickle).

A trial that was cut off, because the process was killed or the minutes were over, is tried again first: its folder has the
checkpoints. Several processes may share the journal. The sampler is TPE (Bergstra et al. 2011), seeded; trials whose values
after some steps lie below the median of the others end early.

References
----------
Bergstra, Bardenet, Bengio, Kegl (2011), Algorithms for Hyper-Parameter Optimization, NIPS.
Akiba, Sano, Yanase, Ohta, Koyama (2019), Optuna, KDD, arXiv 1907.10902.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import optuna
from optuna.trial import TrialState

from features.errors import RecsysError
from features.storage.digests import of_json
from recsys.offline.tuning.journal import open_journal

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from recsys.offline.tuning.budget import Budget
    from recsys.offline.tuning.search_space import Knob, Values
    from recsys.offline.tuning.watch import Watch

_log = logging.getLogger(__name__)
UNPRUNED = 2  # complete trials of a stage before which none is ended early
CUT_OFF, FAILED = "cut_off", "failed"
VALUES, WORKER = "values", "worker"
TRAINS, DUPLICATE = "trains", "duplicate"
WORKERS_APART = 1_000_000  # between the seeds of workers


class OutOfTime(Exception):
    """The minutes are over."""


class Pruned(Exception):
    """The trial lies below the median of the others."""


class StepReport(Protocol):
    """Told how a trial stands; ends it by an exception where it does not go on."""

    def __call__(self, step: int, value: float) -> None:
        """Take the value after a step; steps of all trials of a stage mean the same."""
        ...


class TrialObjective(Protocol):
    """The value of settings on validation data, a function of them and of the checkpoints in a folder alone."""

    def __call__(self, values: Values, folder: Path, report: StepReport) -> float:
        """Return the value; higher is better. A second call with the same folder goes on where the first ended."""
        ...


@dataclass(frozen=True)
class TrialResult:
    """A trial that has ended with a value.

    Attributes
    ----------
    values : every knob's value.
    seconds : of this process; the time before it was cut off is not in it.
    """

    values: Values
    value: float
    seconds: float


@dataclass
class Stage:
    """The trials of one stage.

    Attributes
    ----------
    name : of the study in the journal; another shop, other data or other fixed settings have another.
    current : the value of each knob today: the first trial.
    folder : for the checkpoints of all trials, one folder each.
    """

    name: str
    knobs: Sequence[Knob]
    current: Values
    journal: Path
    folder: Path
    seed: int = 0

    def run(self, objective: TrialObjective, budget: Budget, most: int | None = None, watch: Watch | None = None) -> list[TrialResult]:
        """Run trials until the budget or the number of trials is used up; return those of the journal with a value, the current ones first.

        Parameters
        ----------
        most : trials in all, those of earlier calls and the current settings included.

        Raises
        ------
        OutOfTime
            If not even the current settings have a value by then.
        """
        study = self._study()
        self._resume(study)
        while (not self._current(study)) or (not budget.over and (most is None or len(self._ended(study)) < most)):
            if not self._one(study, objective, budget, watch):
                break
        if not self._current(study):
            raise OutOfTime
        return self._done(study)

    def trials(self) -> list[TrialResult]:
        """Return the trials with a value, the current settings first."""
        return self._done(self._study())

    def begun(self) -> int:
        """Return how many trials have begun."""
        return len(self._study().trials)

    def work(self, objective: TrialObjective, budget: Budget, most: int | None, watch: Watch | None, worker: int) -> None:
        """Run trials as one of several processes, until the budget or the number of its trials is used up; `run` comes before.

        Parameters
        ----------
        most : trials of this worker.
        worker : its number. A trial that runs under it is of a process that has died, and goes on first.
        """
        study = self._study(worker + 1)
        self._again(study, [trial for trial in _running(study) if trial.user_attrs.get(WORKER) == worker])
        ran = 0
        while not budget.over and (most is None or ran < most) and self._one(study, objective, budget, watch, worker):
            ran += 1

    def _study(self, apart: int = 0) -> optuna.Study:
        study = optuna.create_study(storage=open_journal(self.journal), study_name=self.name, direction="maximize", load_if_exists=True)
        # Another seed for each call, so that a search that goes on does not draw the same settings again.
        seed = 1000 * self.seed + len(study.trials) + WORKERS_APART * apart
        study.sampler = optuna.samplers.TPESampler(seed=seed % 2**32, n_startup_trials=5)
        study.pruner = optuna.pruners.MedianPruner(n_startup_trials=UNPRUNED, n_warmup_steps=1)
        return study

    def _resume(self, study: optuna.Study) -> None:
        """Enqueue the current settings and trials that were cut off: what runs is by a dead process, as one search has the lock."""
        running = [trial for trial in study.trials if trial.state == TrialState.RUNNING]
        # What gave up to another trial tells nothing of the values.
        last = {of_json(trial.params): trial for trial in study.trials if not trial.user_attrs.get(DUPLICATE)}
        if of_json(self.current) not in last:
            study.enqueue_trial(self.current)
        self._again(study, [*running, *(trial for trial in last.values() if trial.user_attrs.get(CUT_OFF))])

    def _again(self, study: optuna.Study, trials: Sequence[optuna.trial.FrozenTrial]) -> None:
        """Enqueue trials that did not end, each values once."""
        waiting = {of_json(trial.system_attrs.get("fixed_params")) for trial in study.get_trials(states=(TrialState.WAITING,))}
        for trial in trials:
            if trial.state == TrialState.RUNNING:
                study.tell(trial.number, state=TrialState.FAIL)
            if trial.params and of_json(trial.params) not in waiting:
                study.enqueue_trial(trial.params)
                waiting.add(of_json(trial.params))

    def _one(self, study: optuna.Study, objective: TrialObjective, budget: Budget, watch: Watch | None, worker: int | None = None) -> bool:
        """Run one trial; return whether there is time for another."""
        trial, values = self._asked(study, worker)
        first, begun = values == self.current, time.monotonic()

        def report(step: int, value: float) -> None:
            if watch:
                watch.step(step, value)
            trial.report(value, step)
            if budget.over:
                raise OutOfTime
            if not first and trial.should_prune():
                raise Pruned

        try:
            if watch:
                watch.begin(self.name, trial.number, values)
            known = self._known(study, trial, values)
            value = objective(values, self.folder_of(values), report) if known is None else known
        except Pruned:
            study.tell(trial, state=TrialState.PRUNED)
            self._told(watch, "pruned", None)
        except OutOfTime:
            trial.set_user_attr(CUT_OFF, True)
            study.tell(trial, state=TrialState.PRUNED)
            self._told(watch, "cut off", None)
            return False
        except (RecsysError, ArithmeticError, RuntimeError, ValueError) as error:
            trial.set_user_attr(FAILED, f"{type(error).__name__}: {error}")
            study.tell(trial, state=TrialState.FAIL)
            self._told(watch, "failed", None)
            if first:
                raise
            _log.warning("%s", self._failure(trial.user_attrs))
        else:
            trial.set_user_attr("seconds", time.monotonic() - begun)
            study.tell(trial, value)
            self._told(watch, "complete", value)
        return True

    def _asked(self, study: optuna.Study, worker: int | None) -> tuple[optuna.Trial, Values]:
        """Begin a trial; return it with the value of each knob."""
        trial = study.ask()
        if worker is not None:
            trial.set_user_attr(WORKER, worker)
        values = {knob.key: knob.rounded(_suggest(trial, knob)) for knob in self.knobs}
        trial.set_user_attr(VALUES, values)
        return trial, values

    def _known(self, study: optuna.Study, trial: optuna.Trial, values: Values) -> float | None:
        """Return what an earlier trial with the values is worth, None if there is none; raise `Pruned` while another worker trains them.

        Of workers that look at the same moment, that of the lowest number trains. One of a lower number may come later: so whoever trains
        says so. Between its look and that, both train: a waste, as they make the same files.
        """
        others = [other for other in _running(study) if other.number != trial.number and other.user_attrs.get(VALUES) == values]
        if any(other.number < trial.number or other.user_attrs.get(TRAINS) for other in others):
            trial.set_user_attr(DUPLICATE, True)
            raise Pruned
        trial.set_user_attr(TRAINS, True)
        return {of_json(done.values): done.value for done in self._done(study)}.get(of_json(values))

    def _told(self, watch: Watch | None, how: str, value: float | None) -> None:
        if watch:
            watch.end(how, value)

    def failures(self, since: int) -> list[str]:
        """Return a line for each trial from a number on that failed."""
        trials = self._study().get_trials(deepcopy=False)[since:]
        return [self._failure(trial.user_attrs) for trial in trials if FAILED in trial.user_attrs]

    def _failure(self, attributes: Mapping[str, Any]) -> str:
        return f"note: a trial of {self.name} failed ({attributes[FAILED]}) with {attributes[VALUES]}"

    def counts(self) -> dict[str, int]:
        """Return how many trials have ended in which way."""
        states = [trial.state for trial in self._ended(self._study())]
        kinds = {"complete": TrialState.COMPLETE, "pruned": TrialState.PRUNED, "failed": TrialState.FAIL}
        return {name: states.count(state) for name, state in kinds.items()}

    def cut_off(self) -> list[Values]:
        """Return the values of trials that go on another time."""
        trials = self._study().get_trials(deepcopy=False)
        return [trial.user_attrs[VALUES] for trial in trials if trial.user_attrs.get(CUT_OFF) and VALUES in trial.user_attrs]

    def folder_of(self, values: Values) -> Path:
        """Return the folder of the trial with these values: what differs from the current settings, whichever keys are searched."""
        changed = {key: value for key, value in values.items() if value != self.current.get(key)}
        return self.folder / of_json(changed)[:16]

    def _done(self, study: optuna.Study) -> list[TrialResult]:
        """Return the complete trials, the current settings first."""
        done = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
        seconds = [float(trial.user_attrs.get("seconds", 0.0)) for trial in done]
        found = [TrialResult(trial.user_attrs[VALUES], float(trial.value or 0.0), took) for trial, took in zip(done, seconds, strict=True)]
        return sorted(found, key=lambda trial: trial.values != self.current)

    def _current(self, study: optuna.Study) -> bool:
        return any(trial.values == self.current for trial in self._done(study))

    def _ended(self, study: optuna.Study) -> list[optuna.trial.FrozenTrial]:
        """Return the trials that do not go on another time; one whose process was killed has ended as failed, without the mark."""
        states = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)
        ended = study.get_trials(deepcopy=False, states=states)
        done = [trial for trial in ended if trial.state != TrialState.FAIL or FAILED in trial.user_attrs]
        return [trial for trial in done if not trial.user_attrs.get(CUT_OFF)]


def best_of(trials: Sequence[TrialResult]) -> TrialResult:
    """Return the trial with the highest value; of equal ones the first, so that a tie changes nothing."""
    return max(trials, key=lambda trial: trial.value)


def unreported(step: int, value: float) -> None:
    """Take the value after a step, and do nothing; implements `StepReport`."""


def _running(study: optuna.Study) -> list[optuna.trial.FrozenTrial]:
    return study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))


def _suggest(trial: optuna.Trial, knob: Knob) -> Any:
    if knob.kind == "choice":
        return trial.suggest_categorical(knob.key, knob.choices)
    if knob.kind == "int":
        return trial.suggest_int(knob.key, int(knob.low), int(knob.high), log=knob.log)
    return trial.suggest_float(knob.key, knob.low, knob.high, log=knob.log)
