"""Jobs over shards: the same files wherever they run, none made twice, and none half."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from features.errors import DataError
from features.progress import Step, silent
from recsys.compute.job import Cluster, Job, cut, results
from recsys.compute.local import Processes
from tests.recsys.compute.jobs import open_squares

SHARDS = cut(list(range(1, 11)), 3)


def job(folder: Path, **more: str) -> Job:
    return Job("squaring", open_squares, {"log": str(folder / "log"), **more}, folder, ".txt")


def calls(folder: Path) -> list[int]:
    return sorted(map(int, (folder / "log").read_text().split()))


@pytest.mark.parametrize("cluster", [Processes(), Processes(2)])
def test_results_stand_in_the_order_of_the_shards(cluster: Cluster, tmp_path: Path) -> None:
    paths = results(cluster, job(tmp_path), SHARDS, silent)
    assert [path.read_text() for path in paths] == ["1 4 9", "16 25 36", "49 64 81", "100"]


def test_what_is_there_is_not_made_again(tmp_path: Path) -> None:
    results(Processes(), job(tmp_path), SHARDS[:2], silent)
    results(Processes(), job(tmp_path), SHARDS, silent)
    assert calls(tmp_path) == [1, 4, 7, 10]


def test_other_arguments_make_other_results(tmp_path: Path) -> None:
    one, other = job(tmp_path), job(tmp_path, dies_once=str(tmp_path / "log"))
    assert one.result_of([1]) != other.result_of([1])
    assert one.result_of([1]) != one.result_of([2])


def test_a_result_is_whole_or_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def cut_off(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("recsys.compute.job.os.replace", cut_off)
    with pytest.raises(KeyboardInterrupt):
        results(Processes(), job(tmp_path), SHARDS[:1], silent)
    monkeypatch.undo()
    assert not list(job(tmp_path).folder.iterdir()), "nor is a part of it"
    assert results(Processes(), job(tmp_path), SHARDS[:1], silent)[0].read_text() == "1 4 9"


def test_progress_counts_what_is_made(tmp_path: Path) -> None:
    told: list[object] = []

    @contextmanager
    def progress(label: str, total: int) -> Iterator[Step]:
        told.append((label, total))
        yield lambda advance=1, note="": told.append(advance)

    results(Processes(), job(tmp_path), SHARDS[:1], silent)
    results(Processes(), job(tmp_path), SHARDS, progress)
    assert told == [("squaring", 7), 3, 3, 1]


@pytest.mark.parametrize("cluster", [Processes(), Processes(2)])
def test_an_error_of_a_shard_ends_the_job(cluster: Cluster, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="negative"):
        results(cluster, job(tmp_path), [[-1]], silent)


def test_a_job_that_another_command_has_is_waited_for(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    order: list[str] = []

    def other() -> None:
        with job(tmp_path).alone():
            order.append("there")

    thread = threading.Thread(target=other)
    with job(tmp_path).alone():
        with job(tmp_path, dies_once="x").alone():
            order.append("another job")
        thread.start()
        while "another command does the same" not in caplog.text:
            assert thread.is_alive(), "it does not wait"
        order.append("here")
    thread.join()
    assert order == ["another job", "here", "there"]


def test_what_killed_commands_left_goes_after_a_while(tmp_path: Path) -> None:
    (old,) = results(Processes(), job(tmp_path), [[2]], silent)
    (new,) = results(Processes(), job(tmp_path, dies_once=str(tmp_path / "log")), [[2]], silent)
    os.utime(old.parent, (0, 0))
    with job(tmp_path).alone():
        pass
    assert not old.parent.exists()
    assert new.exists()


def test_results_are_removed(tmp_path: Path) -> None:
    (path,) = results(Processes(), job(tmp_path), SHARDS[:1], silent)
    job(tmp_path).remove()
    assert not path.exists()
