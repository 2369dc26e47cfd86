"""Holds the listening socket, and has each new bundle opened by new workers, so that a process which answers never opens one.

A worker that has its bundle open accepts connections; only then its predecessor retires. Workers are replaced one after another.
"""

from __future__ import annotations

import contextlib
import logging
import signal
import socket
import time
from dataclasses import dataclass
from multiprocessing.connection import wait
from typing import TYPE_CHECKING, Any

from features.errors import BundleError, ConfigError
from recsys.artifacts.bundle import current_id
from recsys.service.processes.handle import WorkerHandle
from recsys.service.processes.worker import Assignment

if TYPE_CHECKING:
    from collections.abc import Iterator

    from recsys.remote.follow import Follower
    from recsys.settings.settings import Settings
    from recsys.workspace.workspace import Workspace

_log = logging.getLogger(__name__)
RETRY_SECONDS = 10.0  # until a refused bundle is tried again, as the cause may be passing, and at least between two starts of a worker
LOOK_SECONDS = 0.5  # at most, between two looks at the workers


@dataclass
class WorkerSlot:
    """The place of one worker: the one that answers, and its successor, which opens a bundle."""

    serving: WorkerHandle | None = None
    opening: WorkerHandle | None = None
    next_start: float = 0.0


class Supervisor:
    """Runs workers until SIGTERM or SIGINT."""

    def __init__(self, workspace: Workspace, settings: Settings, listening: socket.socket, follower: Follower | None = None) -> None:
        from recsys.service.metrics import FETCHED, SWAPS, count_as  # once there is a folder for the metrics

        count_as("supervisor")
        for outcome in ("taken", "refused"):
            SWAPS.labels(outcome)  # at 0: Prometheus sees no increase in a counter that begins with 1
        self._workspace, self._settings, self._listening = workspace, settings, listening
        self._pause = min(LOOK_SECONDS, settings.serve.poll_seconds)
        self._slots = [WorkerSlot() for _ in range(settings.serve.workers)]
        self._leaving: list[WorkerHandle] = []
        self._swaps, self._fetched, self._follower = SWAPS, FETCHED, follower
        self._taken: str | None = None
        self._refused: tuple[str, float] | None = None
        self._named: str | None = None
        self._next_look = 0.0
        self._began = self._keys_required = self._stop = False

    def run(self) -> None:
        """Run workers.

        Raises
        ------
        ConfigError
            The first one could not begin.
        """
        with _signals(self._end) as woken:
            try:
                while not self._stop:
                    self._open()
                    self._wait(woken)
                    ended = [worker for worker in self._workers if worker.ended]
                    self._hear()  # also what those said last
                    self._bury(ended)
                    self._look_after_follower()
            finally:
                self._end_all()

    def _end(self, *_: object) -> None:
        self._stop = True

    @property
    def _workers(self) -> list[WorkerHandle]:
        of_slots = [worker for slot in self._slots for worker in (slot.serving, slot.opening) if worker is not None]
        return of_slots + self._leaving

    def _wait(self, woken: socket.socket) -> None:
        wait([woken, *(worker.pipe for worker in self._workers)], self._pause)  # a pipe ends with its worker
        with contextlib.suppress(BlockingIOError):
            woken.recv(64)

    def _open(self) -> None:
        """Start workers in empty places, and one successor at a time where another bundle is wanted."""
        now = time.monotonic()
        if now >= self._next_look:
            self._read_current()
        wanted = self._wanted()
        for slot in self._slots:
            if slot.opening is not None or now < slot.next_start:
                continue
            if slot.serving is None:
                self._start(slot, None)
            elif wanted not in (None, slot.serving.bundle_id) and all(other.opening is None for other in self._slots):
                self._start(slot, wanted)

    def _read_current(self) -> None:
        """Note which bundle CURRENT names."""
        self._next_look = time.monotonic() + self._settings.serve.poll_seconds
        try:
            self._named = current_id(self._workspace.bundles)
        except BundleError as error:
            self._named = None
            if self._began:
                self._refuse("", str(error))

    def _wanted(self) -> str | None:
        """Return the bundle that CURRENT named at the last look; None where it named none, or one that was refused a moment ago."""
        if self._refused is not None and self._refused[0] == self._named and time.monotonic() < self._refused[1]:
            return None
        return self._named

    def _start(self, slot: WorkerSlot, bundle_id: str | None) -> None:
        taken = {worker.assignment.number for worker in self._workers}
        number = next(number for number in range(len(taken) + 1) if number not in taken)
        calm = any(other.serving is not None for other in self._slots)
        assignment = Assignment(number, self._workspace, self._settings, bundle_id, self._keys_required)
        try:
            slot.opening = WorkerHandle(assignment, self._listening, calm=calm)
        except (OSError, EOFError) as error:
            if not self._began:
                raise ConfigError(f"the service cannot begin: no process could be started ({error})") from error
            _log.error("a worker could not be started, and is tried again: %s", error)
        if slot.serving is None or slot.opening is None:
            slot.next_start = time.monotonic() + RETRY_SECONDS

    def _hear(self) -> None:
        for slot in self._slots:
            for worker in (slot.serving, slot.opening):
                if worker is not None:
                    for said in worker.read():
                        self._heed(slot, worker, said)
        for worker in self._leaving:
            worker.read()
        for worker in self._workers:
            worker.look()

    def _heed(self, slot: WorkerSlot, worker: WorkerHandle, said: dict[str, Any]) -> None:
        """Take note of what a worker says; the first time that it answers, it takes its place."""
        self._keys_required |= said["keys_required"]
        if worker is not slot.opening:
            return
        for bundle_id, reason in reversed(said["refused"].items()):  # the last to be noted is what CURRENT names
            self._refuse(bundle_id, reason)
        if worker.assignment.bundle_id is not None and said["bundle_id"] is None:
            return  # it ends
        before, slot.serving, slot.opening = slot.serving, worker, None
        worker.ready, worker.bundle_id, self._began = True, said["bundle_id"], True
        if before is not None:
            before.retire()
            self._leaving.append(before)
        self._read_current()  # it may have found a newer one there than the last look
        if worker.bundle_id is not None and worker.bundle_id != self._taken:
            self._taken = worker.bundle_id
            self._swaps.labels("taken").inc()
            _log.info("bundle %s is in use", worker.bundle_id)
            if said["refused"]:
                _log.warning("CURRENT names no usable bundle: the newest intact one is in use")
        if self._refused is not None and self._refused[0] == worker.bundle_id:
            self._refused = None

    def _refuse(self, bundle_id: str, reason: str) -> None:
        if self._refused is None or self._refused[0] != bundle_id:
            self._swaps.labels("refused").inc()
            _log.error("a bundle is refused, the one in use stays: %s", reason)
        self._refused = (bundle_id, time.monotonic() + RETRY_SECONDS)

    def _look_after_follower(self) -> None:
        if self._follower is not None:
            self._follower.look()
            self._fetched.set(self._follower.fetched)

    def _bury(self, ended: list[WorkerHandle]) -> None:
        """Take note of the workers that have ended."""
        for slot in self._slots:
            if slot.serving is not None and slot.serving in ended:
                _log.error("a worker has ended by itself, and is replaced: exit code %s", slot.serving.process.exitcode)
                self._forget(slot.serving)
                slot.serving = None
            if slot.opening is not None and slot.opening in ended:
                self._bury_opening(slot, slot.opening)
        for worker in ended:
            if worker in self._leaving:
                self._leaving.remove(worker)
                self._forget(worker)

    def _bury_opening(self, slot: WorkerSlot, worker: WorkerHandle) -> None:
        slot.opening = None
        self._forget(worker)
        reason, bundle_id = worker.reason, worker.assignment.bundle_id
        if not self._began:
            raise ConfigError(f"the service cannot begin: {reason}")
        if bundle_id is None:
            _log.error("a worker cannot begin, and is tried again: %s", reason)
        else:
            self._read_current()
            if self._wanted() == bundle_id:  # it has not said why
                self._refuse(bundle_id, reason)

    @staticmethod
    def _forget(worker: WorkerHandle) -> None:
        from prometheus_client.multiprocess import mark_process_dead

        worker.close()
        mark_process_dead(worker.assignment.number)  # its gauges; what it counted stays

    def _end_all(self) -> None:
        """Have all workers finish their requests; kill those that take too long."""
        self._listening.close()
        for worker in self._workers:
            worker.terminate()  # one that still opens a bundle ends at once
        while running := [worker for worker in self._workers if not worker.ended]:
            wait([worker.pipe for worker in running], LOOK_SECONDS)
            for worker in running:
                worker.read()
                worker.look()
        for worker in self._workers:
            worker.close()


@contextlib.contextmanager
def _signals(handler: Any) -> Iterator[socket.socket]:
    """Call a function when SIGTERM or SIGINT arrives, and make the socket readable, so that nobody waits on."""
    reader, writer = socket.socketpair()
    reader.setblocking(False)
    writer.setblocking(False)
    before = {number: signal.signal(number, handler) for number in (signal.SIGTERM, signal.SIGINT)}
    descriptor = signal.set_wakeup_fd(writer.fileno())
    try:
        yield reader
    finally:
        signal.set_wakeup_fd(descriptor)
        for number, old in before.items():
            signal.signal(number, old)
        reader.close()
        writer.close()
