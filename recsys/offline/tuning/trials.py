"""Trials of one stage, in a journal of JSON lines that outlives the process (Optuna's journal storage; it holds no pickle).

A trial that was cut off, because the process was killed or the minutes were over, is tried again first: its folder has the
checkpoints. The sampler is TPE (Bergstra et al. 2011), seeded; trials whose values after some steps lie below the median of the
others end early.

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
from filelock import FileLock
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState

from features.errors import RecsysError
from features.storage.digests import of_json

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from recsys.offline.tuning.budget import Budget
    from recsys.offline.tuning.search_space import Knob, Values

_log = logging.getLogger(__name__)
UNPRUNED = 2  # complete trials of a stage before which none is ended early
CUT_OFF, FAILED = "cut_off", "failed"
VALUES = "values"


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
        while (not self._current(study)) or (not budget.over and (most is None or self._count(study) < most)):
            if not self._one(study, objective, budget, watch):
                break
        trials = self._done(study)
        if not self._current(study):
            raise OutOfTime
        return trials

    def _study(self) -> optuna.Study:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        backend = JournalFileBackend(str(self.journal), lock_obj=_Lock(self.journal))  # pyright: ignore[reportArgumentType]  (its base class is not public)
        storage = optuna.storages.JournalStorage(backend)
        study = optuna.create_study(storage=storage, study_name=self.name, direction="maximize", load_if_exists=True)
        # Another seed for each call, so that a search that goes on does not draw the same settings again.
        study.sampler = optuna.samplers.TPESampler(seed=1000 * self.seed + len(study.trials), n_startup_trials=5)
        study.pruner = optuna.pruners.MedianPruner(n_startup_trials=UNPRUNED, n_warmup_steps=1)
        return study

    def _resume(self, study: optuna.Study) -> None:
        """Enqueue the current settings and trials that were cut off."""
        last = {of_json(trial.params): trial for trial in study.trials}
        if of_json(self.current) not in last:
            study.enqueue_trial(self.current)
        for trial in last.values():
            if trial.state == TrialState.RUNNING:  # by a process that has ended: one search at a time has the lock
                study.tell(trial.number, state=TrialState.FAIL)
            if trial.params and (trial.state == TrialState.RUNNING or trial.user_attrs.get(CUT_OFF)):
                study.enqueue_trial(trial.params)

    def _one(self, study: optuna.Study, objective: TrialObjective, budget: Budget, watch: Watch | None) -> bool:
        """Run one trial; return whether there is time for another."""
        trial = study.ask()
        values = {knob.key: knob.rounded(_suggest(trial, knob)) for knob in self.knobs}
        trial.set_user_attr(VALUES, values)
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
            known = {of_json(done.values): done.value for done in self._done(study)}.get(of_json(values))
            if watch:
                watch.begin(self.name, trial.number, values)
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
            trial.set_user_attr(FAILED, True)
            study.tell(trial, state=TrialState.FAIL)
            self._told(watch, "failed", None)
            if first:
                raise
            _log.warning("note: a trial of %s failed (%s: %s) with %s", self.name, type(error).__name__, error, values)
        else:
            trial.set_user_attr("seconds", time.monotonic() - begun)
            study.tell(trial, value)
            self._told(watch, "complete", value)
        return True

    def _told(self, watch: Watch | None, how: str, value: float | None) -> None:
        if watch:
            watch.end(how, value)

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

    def _count(self, study: optuna.Study) -> int:
        return len(self._ended(study))

    def _ended(self, study: optuna.Study) -> list[optuna.trial.FrozenTrial]:
        """Return the trials that do not go on another time; one whose process was killed has ended as failed, without the mark."""
        states = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)
        ended = study.get_trials(deepcopy=False, states=states)
        done = [trial for trial in ended if trial.state != TrialState.FAIL or FAILED in trial.user_attrs]
        return [trial for trial in done if not trial.user_attrs.get(CUT_OFF)]


class Watch(Protocol):
    """Told what the trials do, for the log and for trackers of experiments."""

    def begin(self, stage: str, number: int, values: Values) -> None:
        """Take the beginning of a trial."""
        ...

    def step(self, step: int, value: float) -> None:
        """Take its value after a step."""
        ...

    def end(self, how: str, value: float | None) -> None:
        """Take its end."""
        ...


def best_of(trials: Sequence[TrialResult]) -> TrialResult:
    """Return the trial with the highest value; of equal ones the first, so that a tie changes nothing."""
    return max(trials, key=lambda trial: trial.value)


def mend(journal: Path) -> None:
    """Cut off a last line that a killed process did not finish: Optuna refuses a journal that goes on after one."""
    if not journal.exists():
        return
    content = journal.read_bytes()
    whole = content[: content.rfind(b"\n") + 1]
    if len(whole) < len(content):
        journal.write_bytes(whole)


def unreported(step: int, value: float) -> None:
    """Take the value after a step, and do nothing; implements `StepReport`."""


def _suggest(trial: optuna.Trial, knob: Knob) -> Any:
    if knob.kind == "choice":
        return trial.suggest_categorical(knob.key, knob.choices)
    if knob.kind == "int":
        return trial.suggest_int(knob.key, int(knob.low), int(knob.high), log=knob.log)
    return trial.suggest_float(knob.key, knob.low, knob.high, log=knob.log)


class _Lock:
    """A lock of the kernel on a file beside the journal, in Optuna's form; Optuna's own locks outlive a killed process by half a minute."""

    def __init__(self, journal: Path) -> None:
        self._lock = FileLock(journal.with_name(f".{journal.name}.lock"))

    def acquire(self) -> bool:
        self._lock.acquire()
        return True

    def release(self) -> None:
        self._lock.release()
