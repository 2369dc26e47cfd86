"""A worker process: opens one bundle, answers from it, and ends when it is told to retire.

It tells the supervisor over a pipe, in JSON, which bundle it has open before it answers, and that it is alive whenever it is asked.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import uvicorn

if TYPE_CHECKING:
    import socket
    from multiprocessing.connection import Connection

    from fastapi import FastAPI

    from recsys.settings.settings import Settings
    from recsys.workspace.workspace import Workspace

GRACE_SECONDS = 20  # for running requests, once a worker is to end
ALIVE, RETIRE = b"alive?", b"retire"
REFUSED = 3  # exit status: the bundle could not be opened
SETTLE_SECONDS = 0.5  # in which a connection that was just accepted shows up
# numpy releases the interpreter lock at each step of an answer, and waits this long to get it back from another thread.
SWITCH_SECONDS = 0.0005


@dataclass(frozen=True)
class Assignment:
    """What a worker is to do.

    Attributes
    ----------
    number : int
        Its number among the processes that run; metrics are kept under it, and a later process goes on with them.
    workspace : Workspace
    settings : Settings
    bundle_id : str or None
        The bundle to open, that one alone; None for the one that CURRENT names, or else the newest intact one.
    keys_required : bool
        Whether requests need a key even where none exists.
    """

    number: int
    workspace: Workspace
    settings: Settings
    bundle_id: str | None
    keys_required: bool


def work(listening: socket.socket, pipe: Connection, assignment: Assignment) -> None:
    """Open the bundle, then answer until the supervisor says to retire or is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all processes of a terminal; the supervisor decides
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    from features.errors import RecsysError
    from recsys.service.logs import set_up_logs
    from recsys.service.metrics import count_as
    from recsys.service.processes.priority import restore

    count_as(assignment.number)
    set_up_logs()
    sys.setswitchinterval(SWITCH_SECONDS)
    try:
        server = _opened(pipe, assignment)
    except RecsysError as error:
        pipe.send_bytes(json.dumps({"failure": str(error)}).encode())
        sys.exit(REFUSED)
    restore(os.getpid())
    server.run([listening])


def _opened(pipe: Connection, assignment: Assignment) -> WorkerServer:
    from recsys.service.access.keys import Keys
    from recsys.service.admission import Admission
    from recsys.service.app import routed
    from recsys.service.container import Service
    from recsys.service.traces.spans import Traces, traced

    settings, workspace = assignment.settings, assignment.workspace
    Keys.read(workspace.service / "keys.json")  # damaged: those who know the keys go on
    service = Service(workspace, settings)
    service.open(assignment.bundle_id)
    app = routed(service, keys_required=assignment.keys_required)
    if assignment.bundle_id is not None and service.bundles.live is None:
        pipe.send_bytes(json.dumps(_state(app)).encode())
        sys.exit(REFUSED)
    traces = Traces.exported() if traced(settings.serve) else None
    config = uvicorn.Config(
        Admission(app, settings.serve, traces),
        log_config=None,
        access_log=False,  # paths hold ids
        server_header=False,
        timeout_graceful_shutdown=GRACE_SECONDS,
    )
    return WorkerServer(config, pipe, app)


def _state(app: FastAPI) -> dict[str, Any]:
    bundles = app.state.service.bundles
    return {
        "bundle_id": None if bundles.live is None else bundles.live.bundle.id,
        "refused": bundles.refused,
        "keys_required": not app.state.access.free,
        "at_work": bool(app.state.service.long_tasks),
    }


class WorkerServer(uvicorn.Server):
    """uvicorn's server, which can retire: it accepts no connection any more, ends each with its next answer, and stops after the last."""

    def __init__(self, config: uvicorn.Config, pipe: Connection, app: FastAPI) -> None:
        super().__init__(config)
        self._pipe, self._app = pipe, app
        self._retired: float | None = None
        self._told_at_work = False

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to answer, and tell the supervisor."""
        await super().startup(sockets)
        self._tell()

    async def on_tick(self, counter: int) -> bool:
        """Read what the supervisor says, ten times a second; return whether to stop."""
        try:
            while self._pipe.poll():
                if self._pipe.recv_bytes() == RETIRE:
                    self._retire()
                else:
                    self._tell()
            if bool(self._app.state.service.long_tasks) != self._told_at_work:
                self._tell()
        except (EOFError, OSError):  # there is no supervisor any more
            self.should_exit = True
        return await super().on_tick(counter) or self._is_over()

    def _tell(self) -> None:
        state = _state(self._app)
        self._told_at_work = state["at_work"]
        with contextlib.suppress(OSError):  # the next look finds that there is no supervisor any more
            self._pipe.send_bytes(json.dumps(state).encode())

    def _retire(self) -> None:
        if self._retired is None:
            self._retired = time.monotonic()
            for server in self.servers:
                server.close()  # other processes accept what still waits on the socket
            close = (b"connection", b"close")
            self.config.encoded_headers.append(close)
            self.server_state.default_headers.append(close)  # of answers that have not begun

    def _is_over(self) -> bool:
        idle = not self.server_state.connections and not self.server_state.tasks
        return self._retired is not None and idle and time.monotonic() > self._retired + SETTLE_SECONDS
