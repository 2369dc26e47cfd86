"""A process that opens a bundle runs behind those that answer, and beside them afterwards."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from recsys.service.processes import priority

pytestmark = pytest.mark.skipif(not hasattr(os, "SCHED_IDLE"), reason="the system has no such policies")
THREADS = "import threading, time; [threading.Thread(target=time.sleep, args=(60,)).start() for _ in range(2)]; print(1, flush=True)"


def policies(pid: int) -> list[int]:
    return [os.sched_getscheduler(int(task.name)) for task in Path(f"/proc/{pid}/task").iterdir()]


@pytest.fixture
def pid() -> Iterator[int]:
    """A process with three threads."""
    with subprocess.Popen([sys.executable, "-c", THREADS], stdout=subprocess.PIPE) as process:
        assert process.stdout
        process.stdout.readline()
        yield process.pid
        process.kill()


def test_all_threads_get_out_of_the_way_and_come_back(pid: int) -> None:
    priority.lower(pid)
    assert set(policies(pid)) <= {os.SCHED_IDLE, os.SCHED_BATCH}
    priority.restore(pid)
    assert policies(pid) == [os.SCHED_OTHER] * 3


def test_nobody_enters_what_cannot_be_left(pid: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(_pid: int, policy: int, _parameter: os.sched_param) -> None:
        if policy == os.SCHED_OTHER:
            raise PermissionError

    priority._idle_can_be_left.cache_clear()
    with monkeypatch.context() as patch:
        patch.setattr(os, "sched_setscheduler", refused)
        assert not priority._idle_can_be_left()
    priority.lower(pid)
    assert policies(pid) == [os.SCHED_BATCH] * 3
    priority._idle_can_be_left.cache_clear()


def test_a_process_that_has_ended_is_no_error() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    priority.lower(process.pid)
    priority.restore(process.pid)
