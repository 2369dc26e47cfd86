"""Scheduling priority of a process, so that one that opens a bundle takes little from those that answer."""

from __future__ import annotations

import contextlib
import functools
import os
import threading
from pathlib import Path


def lower(pid: int) -> None:
    """Let a process run when others leave a core idle; does nothing where the system has no such policies.

    A user without CAP_SYS_NICE and with RLIMIT_NICE below 20 may enter SCHED_IDLE but not leave it (sched(7)). Its process
    gets SCHED_BATCH, which runs at the usual share and is not preferred when it wakes.
    """
    if hasattr(os, "SCHED_IDLE"):
        _set(pid, os.SCHED_IDLE if _idle_can_be_left() else os.SCHED_BATCH)


def restore(pid: int) -> None:
    """Give all threads of a process the usual priority; threads inherit that of the thread that starts them."""
    if hasattr(os, "SCHED_OTHER"):
        _set(pid, os.SCHED_OTHER)


def _set(pid: int, policy: int) -> None:
    with contextlib.suppress(OSError):  # the process has ended, or the system refuses
        for task in Path(f"/proc/{pid}/task").iterdir():
            os.sched_setscheduler(int(task.name), policy, os.sched_param(0))


@functools.cache
def _idle_can_be_left() -> bool:
    """Try it with a thread of its own, which ends afterwards."""
    left = False

    def enter_and_leave() -> None:
        nonlocal left
        with contextlib.suppress(OSError):
            os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
            os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
            left = True

    thread = threading.Thread(target=enter_and_leave)
    thread.start()
    thread.join()
    return left
