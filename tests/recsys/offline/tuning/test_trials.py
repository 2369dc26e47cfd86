"""Trials of a stage over a made objective: the current settings first, pruned, cut off, killed, and gone on with."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from optuna.trial import TrialState

from features.errors import ModelError
from features.storage.digests import of_json
from recsys.offline.tuning.budget import Budget
from recsys.offline.tuning.journal import mend
from recsys.offline.tuning.search_space import Knob, Values
from recsys.offline.tuning.trials import OutOfTime, Pruned, Stage, StepReport, best_of

KNOBS = (Knob("train.lr", "float", 1e-4, 1e-1, log=True), Knob("gbdt.leaves", "int", 2, 64), Knob("tower.dim", "choice", choices=(64, 128)))
CURRENT: Values = {"train.lr": 0.001, "gbdt.leaves": 31, "tower.dim": 64}
EPOCHS = 4


def quality(values: Values) -> float:
    return 1.0 - abs(float(values["gbdt.leaves"]) - 40) / 64 - (0.1 if values["tower.dim"] == 64 else 0)


class Objective:
    """Reports `EPOCHS` steps, each kept in the folder as a checkpoint would be; `at` is called before each."""

    def __init__(self, at: Callable[[int, int], None] = lambda _trial, _epoch: None) -> None:
        self.at, self.seen, self.epochs = at, [], []

    def __call__(self, values: Values, folder: Path, report: StepReport) -> float:
        self.seen.append(values)
        folder.mkdir(parents=True, exist_ok=True)
        done = folder / "epochs"
        for epoch in range(int(done.read_text()) if done.exists() else 0, EPOCHS):
            self.at(len(self.seen) - 1, epoch)
            done.write_text(str(epoch + 1))
            self.epochs.append((len(self.seen) - 1, epoch))
            report(epoch, quality(values) * (epoch + 1) / EPOCHS)
        return quality(values)


@pytest.fixture
def stage(tmp_path: Path) -> Callable[..., Stage]:
    def make(name: str = "towers-1", seed: int = 0) -> Stage:
        return Stage(name, KNOBS, CURRENT, tmp_path / "journal.jsonl", tmp_path / "trials", seed)

    return make


def test_the_current_settings_come_first_and_the_best_is_never_worse(stage) -> None:
    objective = Objective()
    trials = stage().run(objective, Budget(), 8)
    assert objective.seen[0] == CURRENT == trials[0].values
    assert len(objective.seen) == 8
    assert best_of(trials).value >= trials[0].value == quality(CURRENT)
    assert all(trial.value == quality(trial.values) for trial in trials)


def test_a_tie_changes_nothing(stage) -> None:
    trials = stage().run(lambda _values, _folder, _report: 0.5, Budget(), 5)
    assert best_of(trials).values == CURRENT


def test_the_same_seed_draws_the_same_trials(tmp_path: Path) -> None:
    def drawn(folder: str, seed: int) -> list[Values]:
        (tmp_path / folder).mkdir()
        objective = Objective()
        Stage("a", KNOBS, CURRENT, tmp_path / folder / "j", tmp_path / folder / "t", seed).run(objective, Budget(), 7)
        return objective.seen

    assert drawn("a", 0) == drawn("b", 0) != drawn("c", 1)


def test_a_bad_trial_ends_early_and_the_current_settings_never_do(stage) -> None:
    objective = Objective()
    run = stage()
    run.run(objective, Budget(), 20)
    counts = run.counts()
    assert counts["pruned"] > 0
    assert counts["complete"] + counts["pruned"] == 20
    assert len(objective.epochs) < 20 * EPOCHS
    assert sum(trial == 0 for trial, _ in objective.epochs) == EPOCHS


@pytest.mark.parametrize("when", [(0, 0), (0, 2), (1, 0), (3, 1)])
def test_a_killed_trial_goes_on_from_its_checkpoint(stage, when: tuple[int, int]) -> None:
    def kill(*now: int) -> None:
        if now == when:
            raise KeyboardInterrupt

    killed = Objective(kill)
    with pytest.raises(KeyboardInterrupt):
        stage().run(killed, Budget(), 6)
    again = Objective()
    trials = stage().run(again, Budget(), 6)
    assert again.seen[0] == killed.seen[-1]
    assert again.epochs[0] == (0, when[1])
    assert trials[0].values == CURRENT
    assert stage().counts()["failed"] == 0
    assert killed.seen[:-1] == [] or killed.seen[0] not in again.seen  # what is done is not repeated


def test_a_trial_that_is_cut_off_by_the_clock_goes_on_first(stage) -> None:
    now = iter(range(1000))
    budget = Budget(6.0, lambda: float(next(now)))
    first = Objective()
    trials = stage().run(first, budget)
    assert trials[0].values == CURRENT
    trial, epoch = first.epochs[-1]
    assert epoch < EPOCHS - 1
    again = Objective()
    stage().run(again, Budget(), 4)
    assert again.seen[0] == first.seen[trial]
    assert again.epochs[0] == (0, epoch + 1)


def test_too_little_time_for_the_current_settings(stage) -> None:
    now = iter(range(1000))
    objective = Objective()
    with pytest.raises(OutOfTime):
        stage().run(objective, Budget(1.0, lambda: float(next(now))))
    again = Objective()
    assert stage().run(again, Budget(), 1)[0].values == CURRENT
    assert again.epochs[0][1] == len(objective.epochs)


def test_a_trial_that_fails_is_told_and_the_others_go_on(stage, caplog: pytest.LogCaptureFixture) -> None:
    def fail(trial: int, _epoch: int) -> None:
        if trial == 2:
            raise RuntimeError("loss is nan")

    run = stage()
    with caplog.at_level(logging.WARNING):
        trials = run.run(Objective(fail), Budget(), 5)
    assert run.counts()["failed"] == 1
    assert len(trials) >= 2
    (line,) = [record.getMessage() for record in caplog.records if "failed" in record.getMessage()]
    assert line.startswith("note: a trial of towers-1 failed (RuntimeError: loss is nan) with {'train.lr': ")


def test_current_settings_that_fail_end_the_search(stage) -> None:
    def fail(_trial: int, _epoch: int) -> None:
        raise ModelError("no event lies before the date")

    with pytest.raises(ModelError, match="no event lies"):
        stage().run(Objective(fail), Budget(), 5)


def test_trials_of_earlier_calls_count(stage) -> None:
    stage().run(Objective(), Budget(), 4)
    more = Objective()
    assert len(stage().run(more, Budget(), 4)) + stage().counts()["pruned"] == 4
    assert more.seen == []
    stage().run(more, Budget(), 6)
    assert len(more.seen) == 2


def test_stages_of_other_names_share_the_journal_alone(stage) -> None:
    stage().run(Objective(), Budget(), 3)
    other = Objective()
    stage("towers-2").run(other, Budget(), 1)
    assert other.seen == [CURRENT]


def test_the_journal_is_json_and_survives_half_a_line(stage, tmp_path: Path) -> None:
    stage().run(Objective(), Budget(), 3)
    journal = tmp_path / "journal.jsonl"
    assert all(isinstance(json.loads(line), dict) for line in journal.read_text(encoding="utf-8").splitlines())
    whole = journal.read_bytes()
    for torn in (b'{"op_code":4,"work', b"\x00\x00\x00", b"{"):
        journal.write_bytes(whole + torn)
        mend(journal)
        assert journal.read_bytes() == whole
    assert len(stage().run(Objective(), Budget(), 4)) + stage().counts()["pruned"] == 4
    assert {path.name for path in tmp_path.iterdir()} <= {"journal.jsonl", ".journal.jsonl.lock", "trials"}  # no pickle, no snapshot


def test_a_budget_is_shared_out() -> None:
    times: Iterator[float] = iter([0.0, 0.0, 0.0, 29.0, 31.0])
    budget = Budget.of(1, lambda: next(times))
    half = budget.share(0.5)
    assert budget.end == 60
    assert half.end == 30
    assert not half.over
    assert half.over
    assert not Budget.of(None).over


class TestWorkers:
    """Several processes against one journal; here they are threads, each with a stage of its own."""

    def test_workers_share_the_trials(self, stage) -> None:
        stage().run(Objective(), Budget(), 1)
        objectives = [Objective() for _ in range(3)]
        with ThreadPoolExecutor(3) as pool:
            list(pool.map(lambda worker: stage().work(objectives[worker], Budget(), 5, None, worker), range(3)))
        counts = stage().counts()
        assert counts["complete"] + counts["pruned"] == 1 + 3 * 5
        drawn = [of_json(values) for objective in objectives for values in objective.seen]
        assert len(set(drawn)) == len(drawn)
        assert all(trial.value == quality(trial.values) for trial in stage().trials())

    def test_a_worker_prunes_by_the_trials_of_others(self, stage) -> None:
        stage().run(Objective(), Budget(), 1)
        stage().work(Objective(), Budget(), 10, None, 0)
        stage().work(other := Objective(), Budget(), 10, None, 1)
        assert len(other.epochs) < len(other.seen) * EPOCHS

    def test_a_trial_whose_worker_died_goes_on_in_the_next_of_its_number(self, stage) -> None:
        stage().run(Objective(), Budget(), 1)

        def die(_trial: int, epoch: int) -> None:
            if epoch == 2:
                raise KeyboardInterrupt

        died, other, again = Objective(die), Objective(), Objective()
        with pytest.raises(KeyboardInterrupt):
            stage().work(died, Budget(), 1, None, 0)
        stage().work(other, Budget(), 1, None, 1)
        assert died.seen != other.seen
        stage().work(again, Budget(), 1, None, 0)
        assert again.seen == died.seen
        assert again.epochs[0] == (0, 2)
        assert stage().counts()["failed"] == 0

    def test_values_that_another_worker_trains_are_left_to_it(self, stage, monkeypatch: pytest.MonkeyPatch) -> None:
        stage().run(Objective(), Budget(), 1)
        monkeypatch.setattr("recsys.offline.tuning.trials._suggest", lambda _trial, knob: knob.low if knob.kind != "choice" else 128)
        second = Objective()

        def meanwhile(_trial: int, epoch: int) -> None:
            if epoch == 1:
                stage().work(second, Budget(), 1, None, 1)

        first = Objective(meanwhile)
        stage().work(first, Budget(), 1, None, 0)
        assert len(first.seen) == 1
        assert second.seen == []
        assert stage().counts() == {"complete": 2, "pruned": 1, "failed": 0}

    @pytest.mark.parametrize("look", [0, 1])
    def test_of_two_workers_with_the_same_values_the_lower_number_trains(self, stage, monkeypatch: pytest.MonkeyPatch, look: int) -> None:
        stage().run(Objective(), Budget(), 1)
        monkeypatch.setattr("recsys.offline.tuning.trials._suggest", lambda _trial, knob: knob.low if knob.kind != "choice" else 128)
        run, known = stage(), Stage._known
        study = run._study()
        asked = [run._asked(study, worker) for worker in range(2)]  # both have written their values
        trained = []
        for trial, values in asked[::-1] if look else asked:
            try:
                assert known(run, study, trial, values) is None
                trained.append(trial.number)
            except Pruned:
                study.tell(trial, state=TrialState.PRUNED)
        assert trained == [1]

    def test_a_trial_of_a_lower_number_that_begins_later_gives_up(self, stage, monkeypatch: pytest.MonkeyPatch) -> None:
        stage().run(Objective(), Budget(), 1)
        monkeypatch.setattr("recsys.offline.tuning.trials._suggest", lambda _trial, knob: knob.low if knob.kind != "choice" else 128)
        run = stage()
        study = run._study()
        late = study.ask()
        later, values = run._asked(study, 1)
        assert run._known(study, later, values) is None
        late.set_user_attr("values", values)
        with pytest.raises(Pruned):
            run._known(study, late, values)

    def test_a_killed_trial_goes_on_though_another_gave_up_to_it(self, stage) -> None:
        stage().run(Objective(), Budget(), 1)
        values = CURRENT | {"gbdt.leaves": 40}
        for _ in range(2):
            stage()._study().enqueue_trial(values)

        def die(_trial: int, epoch: int) -> None:
            if epoch == 1:
                stage().work(Objective(), Budget(), 1, None, 1)
                raise KeyboardInterrupt

        died, again = Objective(die), Objective()
        with pytest.raises(KeyboardInterrupt):
            stage().work(died, Budget(), 1, None, 0)
        stage().run(Objective(), Budget(), 1)  # it begins no other trial, and enqueues this one once
        stage().run(again, Budget(), 4)
        assert died.seen[0] == again.seen[0] == values
        assert again.epochs[0] == (0, 1)
        assert again.seen.count(values) == 1

    def test_failures_of_workers_are_told_by_the_command(self, stage) -> None:
        stage().run(Objective(), Budget(), 1)
        begun = stage().begun()

        def fail(_trial: int, _epoch: int) -> None:
            raise RuntimeError("loss is nan")

        stage().work(Objective(fail), Budget(), 2, None, 0)
        lines = stage().failures(begun)
        assert len(lines) == 2
        assert all(line.startswith("note: a trial of towers-1 failed (RuntimeError: loss is nan) with {") for line in lines)
