"""Keeps a workspace up to date with the shared store, beside the service that answers from it."""

from __future__ import annotations

import contextlib
import logging
import multiprocessing
import os
import signal
import threading
import time
from multiprocessing.connection import wait
from typing import TYPE_CHECKING

from features.errors import RecsysError
from recsys.artifacts.bundle import list_bundles
from recsys.environment import prepare_environment
from recsys.remote.pull import pull

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from ctypes import c_double

    from recsys.settings.settings import Settings
    from recsys.workspace.workspace import Workspace

_log = logging.getLogger(__name__)
AGAIN_SECONDS = 10.0  # at least, between two starts of the process that follows
NICE = 10  # below the processes that answer: a fetch reads every byte of a bundle twice


def follow(
    workspace: Workspace,
    settings: Settings,
    seconds: float,
    pause: Callable[[float], object] | None = None,
    fetched: Callable[[], object] = lambda: None,
) -> None:
    """Fetch again and again. A fetch that fails is logged, and leaves what is in use.

    Parameters
    ----------
    seconds : between two looks.
    pause : waits that long, and returns something true to end; None never ends.
    fetched : called after each fetch that did not fail.
    """
    pause = threading.Event().wait if pause is None else pause
    told, failures = "", 0
    while True:
        try:
            done = pull(workspace, settings)
        except RecsysError as error:
            failures += 1
            if str(error) != told:  # once, and not with each look
                _log.error("%s; next try in %g s", error, seconds)
            told = str(error)
        except Exception as error:
            failures += 1
            _log.error("nothing was fetched, next try in %g s: unexpected %s", seconds, type(error).__name__)
            _log.debug("the traceback", exc_info=True)
        else:
            if failures:
                _log.info("the shared store is in use again after %d tries", failures)
            if done.parts:
                _log.info("%s", done)
            told, failures = "", 0
            fetched()
        if pause(seconds):
            return


class Follower:
    """A process that keeps a workspace up to date with the shared store."""

    def __init__(self, workspace: Workspace, settings: Settings) -> None:
        # Not forked: the driver of the store has threads.
        self._context = multiprocessing.get_context("spawn")
        self._fetched = self._context.RawValue("d", time.time())
        self._arguments = (workspace, settings, self._fetched)
        self._begin()

    def _begin(self) -> None:
        self._begun = time.monotonic()
        self.process = self._context.Process(target=_follow_parent, args=self._arguments, daemon=True)
        self.process.start()

    @property
    def fetched(self) -> float:
        """When the last fetch ended that did not fail, in seconds since 1970; before the first one, when it began to follow."""
        return self._fetched.value

    def look(self) -> None:
        """Begin the process again where it has ended by itself, every few seconds at most."""
        if self.process.is_alive() or time.monotonic() < self._begun + AGAIN_SECONDS:
            return
        _log.error("the process that follows the shared store has ended, and is replaced: exit code %s", self.process.exitcode)
        self.process.join()
        try:
            self._begin()
        except OSError as error:
            _log.error("the process that follows the shared store could not be started, and is tried again: %s", error)

    def stop(self) -> None:
        """End the process."""
        if self.process.pid is not None:
            self.process.terminate()
            self.process.join()


@contextlib.contextmanager
def following(workspace: Workspace, settings: Settings) -> Iterator[Follower | None]:
    """Fetch before a service begins, and from then on in a process of its own, if the settings name a shared store.

    Yields
    ------
    The process, which whoever runs the service looks after; None without a shared store.

    Raises
    ------
    RecsysError
        If the first fetch fails and the workspace has no bundle. With one, the service begins with that.
    """
    if settings.storage.url is None:
        yield None
        return
    try:
        _log.info("%s", pull(workspace, settings))
    except RecsysError as error:
        if not list_bundles(workspace.bundles):
            raise
        _log.error("%s; the service begins with the bundle that is here", error)
    follower = Follower(workspace, settings)
    try:
        yield follower
    finally:
        follower.stop()


def _follow_parent(workspace: Workspace, settings: Settings, fetched: c_double) -> None:
    """Follow the store until the process that started this one ends, however it ends."""
    prepare_environment()
    with contextlib.suppress(OSError):
        os.nice(NICE)
    logging.basicConfig(format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    logging.getLogger("recsys").setLevel(logging.INFO)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # of the terminal: the parent ends this process
    parent = multiprocessing.parent_process()
    assert parent is not None

    def note() -> None:
        fetched.value = time.time()

    follow(workspace, settings, settings.storage.poll_seconds, lambda seconds: wait([parent.sentinel], seconds), note)
