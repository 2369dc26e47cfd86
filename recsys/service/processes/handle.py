"""What the supervisor holds of a worker process."""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import os
import signal
import time
from typing import TYPE_CHECKING, Any

from recsys.service.processes.priority import lower, restore
from recsys.service.processes.worker import ALIVE, GRACE_SECONDS, RETIRE, Assignment, work

if TYPE_CHECKING:
    import socket

SILENT_SECONDS = 60.0  # without a sign of life, after which a worker counts as hung
ASK_SECONDS = 5.0  # between two questions whether it lives
# Within which a worker must have its bundle open: many times what the largest takes from a cold disk, and far less than for ever.
OPEN_SECONDS = 900.0
# What workers import, in a process that does nothing else and from which they are forked: three quarters of the time until a worker
# answers were imports. Only the thread that forks goes on in the fork. polars and its allocator have threads of their own by then,
# which workers lack: memory is then given back by the threads that free it, and the threads of queries begin with the first query, in the
# worker. lightgbm and onnxruntime are left out, because they wait for threads of theirs that the fork lacks.
IMPORTED = ["recsys.service.app"]
EXIT_UNKNOWN = 255  # exit code that multiprocessing reports when the process that workers are forked from has died, though they may live
CALM_SECONDS = 10.0  # for which a bundle is opened at low priority: on cores that are never idle it would not end
# Until a retired worker is told to drop connections that send nothing, and one that is to stop is killed: its running requests, and what
# it then stores.
PATIENCE_SECONDS = GRACE_SECONDS + 10.0


class WorkerHandle:
    """A running worker.

    Attributes
    ----------
    bundle_id : str or None
        What it answers from, once it does.
    ready : bool
        Whether it answers.
    keys_required : bool
        Whether it requires keys.
    at_work : bool
        Whether it does what takes longer than a request and must not be cut, such as an erasure.
    """

    def __init__(self, assignment: Assignment, listening: socket.socket, *, calm: bool) -> None:
        self.assignment = assignment
        self.bundle_id: str | None = None
        self.ready, self.keys_required, self.at_work = False, assignment.keys_required, False
        self.started = self._heard = self._asked = time.monotonic()
        self._calm, self._deadline, self._ending = calm, float("inf"), False
        self._failure: str | None = None
        self._silenced = False
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(IMPORTED)
        self.pipe, far = context.Pipe()
        self.process = context.Process(target=work, args=(listening, far, assignment))
        # Ctrl-C while Python starts would print a traceback.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            self.process.start()
        except (OSError, EOFError):  # the process that it is forked from has just died, or the system has no room for another
            self.pipe.close()
            raise
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
            far.close()
        if calm and self.process.pid:
            lower(self.process.pid)

    def read(self) -> list[dict[str, Any]]:
        """Return what the worker has said; nothing more comes from one that has ended."""
        said = []
        try:
            while self.pipe.poll():
                message = json.loads(self.pipe.recv_bytes())
                self._heard = time.monotonic()
                self._failure = message.get("failure")
                if self._failure is None:
                    self.at_work = message["at_work"]
                    said.append(message)
        except (EOFError, OSError):
            self._silenced = True
        return said

    @property
    def ended(self) -> bool:
        """Whether the process has ended: its exit code says it, or, where nobody knows that, the end of its pipe."""
        return not self.process.is_alive() and (self.process.exitcode != EXIT_UNKNOWN or self._silenced)

    @property
    def reason(self) -> str:
        """Why it has ended, in one line."""
        return self._failure or f"its process has ended with exit code {self.process.exitcode}: the log says why, or memory was short"

    def look(self) -> None:
        """Ask whether the worker lives; end one that does not answer, or that takes too long to open its bundle or to stop."""
        now = time.monotonic()
        if self._calm and now > self.started + CALM_SECONDS:
            self._calm = False
            if not self.ready and self.process.pid:
                restore(self.process.pid)
        if not self.ready and now > self.started + OPEN_SECONDS:
            self._failure = f"its bundle was not open after {OPEN_SECONDS:g} s"
            self.kill()
        elif now > self._deadline and not self.at_work:
            self.kill() if self._ending else self.terminate()
        elif self.ready and self._heard < self._asked:
            if now > self._asked + SILENT_SECONDS:
                self.kill()
        elif self.ready and now > self._asked + ASK_SECONDS:
            self._asked = now
            self._say(ALIVE)

    def retire(self) -> None:
        """Have the worker accept no more connections, answer what is sent over those it has, and end."""
        self._deadline = time.monotonic() + PATIENCE_SECONDS
        self._say(RETIRE)

    def terminate(self) -> None:
        """Have the worker finish its running requests and end."""
        self._deadline, self._ending = time.monotonic() + PATIENCE_SECONDS, True
        self._signal(signal.SIGTERM)

    def kill(self) -> None:
        """End the worker at once."""
        self._signal(signal.SIGKILL)

    def close(self) -> None:
        """Forget a worker that has ended."""
        self.process.join()
        self.pipe.close()

    def _signal(self, number: signal.Signals) -> None:
        """Send a signal; `Process.kill` sends none once it takes the process for dead."""
        if not self.ended and self.process.pid:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.process.pid, number)

    def _say(self, message: bytes) -> None:
        with contextlib.suppress(OSError):  # it has ended
            self.pipe.send_bytes(message)
