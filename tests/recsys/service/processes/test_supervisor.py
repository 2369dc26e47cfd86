"""The supervisor with workers that open nothing: what it does when one hangs, works long, or loses the process it was forked from."""

from __future__ import annotations

import json
import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from multiprocessing import forkserver
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pytest

from recsys.artifacts.publish import publish
from recsys.service import metrics
from recsys.service.processes import handle
from recsys.service.processes.handle import WorkerHandle
from recsys.service.processes.supervisor import Supervisor
from recsys.service.processes.worker import ALIVE, Assignment
from recsys.settings.serve import ServeConfig
from recsys.settings.settings import Settings
from recsys.workspace.workspace import Workspace


def hanging(_listening: socket.socket, _pipe: Connection, _assignment: Assignment) -> None:
    """A worker that never has its bundle open."""
    time.sleep(600)


def answering(_listening: socket.socket, pipe: Connection, assignment: Assignment) -> None:
    """A worker that says what it is told to say, and ends with SIGTERM or its supervisor."""
    state = {"bundle_id": assignment.bundle_id, "refused": {}, "keys_required": False, "at_work": False}
    pipe.send_bytes(json.dumps(state).encode())
    while (told := pipe.recv_bytes()) != b"end":
        if told not in (ALIVE, b"retire"):
            state["at_work"] = told == b"work"
        pipe.send_bytes(json.dumps(state).encode())


@pytest.fixture
def begin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Any], WorkerHandle]]:
    """Starts a worker."""
    monkeypatch.setattr(handle, "IMPORTED", [])
    started = []

    def run(work: Any) -> WorkerHandle:
        monkeypatch.setattr(handle, "work", work)
        with socket.socket() as listening:
            started.append(WorkerHandle(Assignment(0, Workspace(tmp_path), Settings(), None, False), listening, calm=False))
        return started[-1]

    yield run
    for worker in started:
        worker.kill()
        until(lambda worker=worker: worker.read() is None or worker.ended)
        worker.close()


def until(true: Callable[[], object]) -> None:
    end = time.monotonic() + 60
    while not true():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_a_worker_that_never_opens_its_bundle_is_ended(begin: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    worker = begin(hanging)
    worker.look()
    assert not worker.ended
    monkeypatch.setattr(handle, "OPEN_SECONDS", 0.0)
    worker.look()
    until(lambda: worker.ended)
    assert worker.reason == "its bundle was not open after 0 s"


def test_a_retired_worker_is_not_ended_while_it_erases(begin: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    worker = begin(answering)
    until(worker.read)
    worker.ready = True
    worker._say(b"work")
    until(worker.read)
    monkeypatch.setattr(handle, "PATIENCE_SECONDS", -1.0)
    worker.retire()
    for _ in range(5):
        worker.look()
        time.sleep(0.05)
        worker.read()
    assert not worker.ended
    worker._say(b"rest")
    until(lambda: worker.read() and not worker.at_work)
    worker.look()
    until(lambda: worker.read() is None or worker.ended)


def test_a_worker_outlives_the_process_it_was_forked_from(begin: Callable) -> None:
    worker = begin(answering)
    until(worker.read)
    forked_from: Any = forkserver
    os.kill(forked_from._forkserver._forkserver_pid, signal.SIGKILL)
    until(lambda: not worker.process.is_alive())
    worker.read()
    assert worker.process.exitcode == handle.EXIT_UNKNOWN
    assert not worker.ended, "it answers on"
    worker._say(ALIVE)
    until(worker.read)
    begin(answering)  # from a new one
    worker.terminate()
    until(lambda: worker.read() is None or worker.ended)


@pytest.fixture
def supervisor(tmp_path: Path) -> Iterator[Supervisor]:
    metrics.SWAPS.clear()
    with socket.socket() as listening:
        yield Supervisor(Workspace(tmp_path), Settings(serve=ServeConfig(poll_seconds=60)), listening)
    metrics.count_as("imports")


def test_swaps_are_counted_from_zero(supervisor: Supervisor) -> None:
    counted = {sample.labels["outcome"]: sample.value for sample in metrics.samples() if sample.name == "recsys_swaps_total"}
    assert counted == {"taken": 0, "refused": 0}, supervisor


def test_current_is_read_as_often_as_the_setting_says(supervisor: Supervisor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Supervisor, "_start", lambda *_: None)
    bundles = Workspace(tmp_path).bundles
    publish(bundles, {"a.txt": b"first"}, {})
    supervisor._open()
    first = supervisor._wanted()
    publish(bundles, {"a.txt": b"second"}, {})
    supervisor._open()
    assert supervisor._wanted() == first, "a minute has not passed"
    supervisor._next_look = 0.0
    supervisor._open()
    assert supervisor._wanted() not in (None, first)


def test_a_process_that_cannot_be_started_is_tried_again(supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object, **__: object) -> None:
        raise ConnectionRefusedError(111, "Connection refused")

    monkeypatch.setattr("multiprocessing.context.ForkServerProcess.start", refused)
    supervisor._began = True
    supervisor._open()
    (slot,) = supervisor._slots
    assert slot.opening is None
    assert slot.next_start > time.monotonic()
    with pytest.raises(Exception, match="no process could be started"):
        Supervisor(supervisor._workspace, supervisor._settings, supervisor._listening)._open()
