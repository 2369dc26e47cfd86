"""Stores the pages that were served in a thread of its own: a page waits neither for the disk nor for another worker's write."""

from __future__ import annotations

import logging
import queue
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from features.data.interactions import DAY
from features.errors import DataError, RecsysError
from recsys.service.metrics import IMPRESSIONS, LOST_PAGES
from recsys.workspace.impressions import check_page

if TYPE_CHECKING:
    from collections.abc import Callable

    from recsys.settings.apps.impressions import ImpressionsConfig
    from recsys.workspace.impressions import ImpressionStore
    from recsys.workspace.served_pages import ServedPage

_log = logging.getLogger(__name__)
AT_ONCE = 200  # pages of one transaction
FLUSH_SECONDS = 5.0
STOP_SECONDS = 10.0
RETRY_SECONDS = 60.0  # until old pages that could not be removed are tried again


class ImpressionWriter:
    """Writes pages in the order in which they were put. One per process.

    Parameters
    ----------
    erased : returns which of some users have been erased; their pages are not stored.
    """

    def __init__(self, store: ImpressionStore, config: ImpressionsConfig, erased: Callable[[set[str]], list[str]]) -> None:
        self._store, self._config, self._erased = store, config, erased
        self._waiting: queue.Queue[ServedPage | threading.Event | None] = queue.Queue(config.waiting)
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()
        self._failed = False
        self._expires = 0.0

    def put(self, page: ServedPage) -> None:
        """Have a page stored soon; returns at once. Where too many wait, it is not stored, which the metrics count."""
        self._start()
        try:
            self._waiting.put_nowait(page)
        except queue.Full:
            LOST_PAGES.inc()

    def flush(self, seconds: float = FLUSH_SECONDS) -> None:
        """Wait until the pages that were put before are stored, for at most some seconds."""
        if self._thread is None:
            return
        done, until = threading.Event(), time.monotonic() + seconds
        try:
            self._waiting.put(done, timeout=seconds)
        except queue.Full:
            return
        done.wait(max(0.0, until - time.monotonic()))

    def stop(self) -> None:
        """Store what waits, and end the thread; what cannot be stored within `STOP_SECONDS` is lost, and the log says how much."""
        if self._thread is None:
            return
        until = time.monotonic() + STOP_SECONDS
        with suppress(queue.Full):
            self._waiting.put(None, timeout=STOP_SECONDS)
        self._thread.join(timeout=max(0.0, until - time.monotonic()))
        if self._thread.is_alive():
            _log.error("about %s pages are not stored: the service ends before the disk has taken them", f"{self._waiting.qsize():,}")

    def _start(self) -> None:
        with self._starting:
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="impressions", daemon=True)
                self._thread.start()

    def _work(self) -> None:
        while True:
            batch = [self._waiting.get()]
            while len(batch) < AT_ONCE and not self._waiting.empty():
                batch.append(self._waiting.get())
            pages = [one for one in batch if one is not None and not isinstance(one, threading.Event)]
            try:
                self._write(pages)
            except Exception as error:  # whatever is wrong, the next pages are tried again
                self._lose(pages, error)
            else:
                self._expire()
            for one in batch:
                if isinstance(one, threading.Event):
                    one.set()
            if None in batch:
                return

    def _write(self, pages: list[ServedPage]) -> None:
        users = {page.user_id for page in pages if page.user_id is not None}
        erased = set(self._erased(users)) if users else set()
        kept = [page for page in pages if page.user_id not in erased and self._sound(page)]
        if kept:
            IMPRESSIONS.inc(sum(len(page.rows) for page in kept[: self._store.add_served(kept)]))
        for user in self._erased(users - erased) if users else ():  # an erasure that ran in between has not seen these pages
            self._store.erase(user)
        self._failed = False

    def _sound(self, page: ServedPage) -> bool:
        """Return whether a page can be stored; one that cannot must not take the others of its batch along."""
        try:
            check_page(page)
        except DataError as error:
            LOST_PAGES.inc()
            _log.error("a page is not stored as impressions: %s", error)
            return False
        return True

    def _expire(self) -> None:
        now = time.time()
        if now < self._expires:
            return
        self._expires = now + DAY
        try:
            expired = self._store.expire(int(now - DAY * self._config.keep_days))
        except RecsysError as error:
            self._expires = now + RETRY_SECONDS
            _log.error("pages older than %g days are not removed, and that is tried again: %s", self._config.keep_days, error)
            return
        if expired:
            _log.info("%s pages removed with their impressions: older than %g days", f"{expired:,}", self._config.keep_days)

    def _lose(self, pages: list[ServedPage], error: Exception) -> None:
        LOST_PAGES.inc(len(pages))
        if not self._failed:  # once, not for each page of a full disk
            reason = str(error) if isinstance(error, RecsysError) else f"unexpected {type(error).__name__}"
            _log.error("%s pages could not be stored as impressions, and further ones are tried: %s", len(pages), reason)
        self._failed = True
