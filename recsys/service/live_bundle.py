"""Watches for new bundles and switches to them.

A new bundle is opened and warmed before it takes over; the old one lives until its last request ends.
"""

from __future__ import annotations

import ctypes
import gc
import logging
import threading
import time
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from features.errors import BundleError, RecsysError
from features.storage.file_stamp import file_stamp
from recsys.apps.assistant.operation.opening import open_assistant
from recsys.apps.customers.reader import CustomersReader
from recsys.apps.reviews.pipeline import ReviewsReader
from recsys.apps.search.pipeline import Search
from recsys.apps.search.request import SearchOptions
from recsys.apps.storefront.pipeline import Storefront
from recsys.artifacts.bundle import CURRENT, Bundle, current_id, list_bundles
from recsys.recommend.open import LiveChanges, open_recommender
from recsys.recommend.request import RecommendOptions
from recsys.refresh.drift import psi
from recsys.service.metrics import SWAPS, WORDINGS

if TYPE_CHECKING:
    from collections.abc import Callable

    from recsys.apps.assistant.pipeline import Assistant
    from recsys.recommend.pipeline import Recommender
    from recsys.settings.apps.assistant import AssistantConfig
    from recsys.settings.settings import Settings
    from recsys.workspace.workspace import Workspace

_log = logging.getLogger(__name__)
SAMPLE = 32  # users of the log whose lists warm a bundle and are the reference for drift
LATEST = 2_000  # latest probabilities that drift is computed from
REST_FACTOR = 3  # pause between warming lists, in units of the last one's duration: running requests get the cores
ITEM_SECONDS = 0.2  # between two looks at prices and stock that another worker stored: a look takes a tenth of a millisecond
RETRY_SECONDS = 10.0  # until a refused bundle is tried again: the cause may be passing, as too little memory


@dataclass(frozen=True)
class LiveBundle:
    """A warm recommender with its search, reviews and assistant, and what its lists have shown.

    Attributes
    ----------
    assistant : Assistant or None
        None where one of its files or tools is wrong.
    items : LiveItems
        Prices and availability that changed since its catalogue was written.
    usual : float (n,)
        Probabilities in the lists of `SAMPLE` users of the log: the reference for drift.
    shown : set of str
        Items that lists have shown.
    latest : list of float
        The latest probabilities, `LATEST` at most.
    """

    bundle: Bundle
    recommender: Recommender
    search: Search
    reviews: ReviewsReader
    assistant: Assistant | None
    storefront: Storefront
    changes: LiveChanges
    usual: np.ndarray
    shown: set[str] = field(default_factory=set)
    latest: list[float] = field(default_factory=list)

    @classmethod
    def open(cls, workspace: Workspace, bundle_id: str, before: LiveBundle | None, settings: Settings) -> LiveBundle:
        """Check every file and read all that answers need: the folder may be removed later.

        Parameters
        ----------
        before
            The bundle in use; its query encoder is reused where it is the same.

        Raises
        ------
        BundleError
            The bundle is missing or damaged.
        """
        bundle = Bundle.open(workspace.bundles, bundle_id)
        problems = bundle.verify()
        if problems:
            raise BundleError(problems[0])
        recommender = open_recommender(workspace, bundle_id, shared=settings.serve.workers > 1, device=settings.serve.device)
        if before is not None and _query_digests(before.bundle) == _query_digests(bundle):
            vars(recommender.model)["query"] = vars(before.recommender.model)["query"]
        search, reviews = Search(recommender), ReviewsReader(recommender, workspace.reports)
        usual = _warm(search, 0 if before is None else REST_FACTOR)
        assistant = _open_assistant(search, settings.assistant, workspace)
        storefront = Storefront.open(recommender, settings.storefront, workspace)
        storefront.warm()
        changes = LiveChanges.of(workspace, bundle, recommender)
        return cls(bundle, recommender, search, reviews, assistant, storefront, changes, usual)

    def note(self, items: list[str], probabilities: list[float]) -> None:
        """Count a list that was shown."""
        self.shown.update(items)
        self.latest.extend(probabilities)
        del self.latest[:-LATEST]

    @property
    def coverage(self) -> float:
        """Share of the catalogue that lists have shown."""
        return len(self.shown) / max(1, len(self.recommender.snapshot.catalog))

    @property
    def drift(self) -> float:
        """Population stability index of the latest probabilities against the usual ones; 0 while there are too few."""
        if len(self.latest) < LATEST // 10 or not len(self.usual):
            return 0.0
        return psi(self.usual, np.array(self.latest))

    @cached_property
    def customers(self) -> CustomersReader:
        """Who the customers are; read from the log with the first request."""
        return CustomersReader(self.recommender, self.reviews.reports)

    @cached_property
    def created(self) -> float:
        """When the bundle was published, in seconds since 1970."""
        return self.bundle.manifest.created.timestamp()


class BundleWatcher:
    """Watches bundles/CURRENT and swaps bundles.

    Attributes
    ----------
    live : LiveBundle or None
        The bundle in use; a request reads it once and keeps it. None until a bundle could be opened.
    """

    def __init__(self, workspace: Workspace, settings: Settings, also: Callable[[], None] = lambda: None) -> None:
        self.live: LiveBundle | None = None
        self._workspace, self._settings, self._also = workspace, settings, also
        self._stop = threading.Event()
        self._refused: tuple[str, float] | None = None
        self._seen: tuple[int, ...] | None = None
        self._threads = [threading.Thread(target=run, name=run.__name__, daemon=True) for run in (self._watch, self._watch_items)]

    def start(self) -> None:
        """Open the bundle that CURRENT names, or else the newest intact one, and watch for the next."""
        self.check()
        if self.live is None:
            refused = self._refused
            for bundle_id in list_bundles(self._workspace.bundles):
                if self._take(bundle_id):
                    self._refused = refused  # so that what CURRENT names is tried again
                    _log.warning("CURRENT names no usable bundle: the newest intact one is in use")
                    break
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Stop watching."""
        self._stop.set()
        for thread in self._threads:
            thread.join(timeout=10)

    def check(self) -> None:
        """Take the bundle that CURRENT names into use, if it is another one and intact."""
        seen = file_stamp(self._workspace.bundles / CURRENT)
        if seen is None:
            return
        if seen == self._seen and (self._refused is None or time.monotonic() < self._refused[1]):
            return
        self._seen = seen
        try:
            bundle_id = current_id(self._workspace.bundles)
        except BundleError as error:
            self._refuse("", error)
            return
        if self.live is None or bundle_id != self.live.bundle.id:
            self._take(bundle_id)
        else:
            self._refused = None

    def _take(self, bundle_id: str) -> bool:
        try:
            live = LiveBundle.open(self._workspace, bundle_id, self.live, self._settings)
        except Exception as error:  # whatever is wrong, the old bundle stays in use
            self._refuse(bundle_id, error)
            return False
        if self.live is None:
            _freeze_modules()
        live.changes.catch_up()  # with what arrived while it was warmed
        self.live, self._refused = live, None
        SWAPS.labels("taken").inc()
        _log.info("bundle %s is in use", bundle_id)
        return True

    def _refuse(self, bundle_id: str, error: Exception) -> None:
        if self._refused is None or self._refused[0] != bundle_id:
            SWAPS.labels("refused").inc()
            reason = str(error) if isinstance(error, RecsysError) else f"unexpected {type(error).__name__}"
            _log.error("a bundle is refused, the one in use stays: %s", reason)
        self._refused = (bundle_id, time.monotonic() + RETRY_SECONDS)

    def _watch(self) -> None:
        while not self._stop.wait(self._settings.serve.poll_seconds):
            before = self.live
            self.check()
            if self.live is not before:
                del before
                _trim_memory()

    def _watch_items(self) -> None:
        """Put new prices, stock and rules into answers. In a thread of its own: opening a bundle takes seconds."""
        pause = ITEM_SECONDS
        while not self._stop.wait(pause):
            fine = self._look()
            pause = ITEM_SECONDS if fine else min(2 * pause, RETRY_SECONDS)  # the file may be locked for a moment, or broken for long

    def _look(self) -> bool:
        """Look for changes once. Whatever is wrong with them, the thread lives, and both kinds are looked for again."""
        live, fine = self.live, True
        for look in (self._also,) if live is None else (live.changes.catch_up, self._also):
            try:
                fine = look() is not False and fine
            except Exception as error:
                _log.error("what changed is not in answers: unexpected %s", type(error).__name__)
                fine = False
        return fine


def _query_digests(bundle: Bundle) -> dict[str, str]:
    return {name: entry.sha256 for name, entry in bundle.manifest.files.items() if name.startswith("query/")}


def _open_assistant(search: Search, config: AssistantConfig, workspace: Workspace) -> Assistant | None:
    """Return a warm assistant, or None, and the log says why: lists and searches are answered whatever is wrong with it."""
    try:
        assistant = open_assistant(search, config, workspace.conversations, lambda outcome: WORDINGS.labels(outcome).inc())
        assistant.warm()
    except RecsysError as error:
        _log.error("the assistant does not answer: %s", error)
        return None
    return assistant


def _warm(search: Search, rest_factor: float) -> np.ndarray:
    """Answer requests of every kind, so that all parts are loaded; return the probabilities of known users' lists, (n,)."""
    recommender = search.recommender
    ids, items = recommender.snapshot.log.user_ids, recommender.snapshot.catalog.ids
    users = ids[np.unique(np.linspace(0, len(ids) - 1, SAMPLE).astype(np.int64))].tolist() if len(ids) else []
    probabilities: list[float] = []
    for user in users:  # one by one: a batch would hold the interpreter lock against running requests
        start = time.perf_counter()
        (answer,) = recommender.answer(RecommendOptions(), [user])
        time.sleep(rest_factor * (time.perf_counter() - start))
        probabilities += [item.probability for item in answer.items if item.probability is not None]
    for options in (RecommendOptions(), RecommendOptions(history=(str(items[0]),), diversity=0.5), RecommendOptions(unsold=True)):
        list(recommender.answer(options, [None]))
    recommender.reasons.warm()
    if recommender.ranker is not None:
        recommender.ranker.warm()
    recommender.similar(str(items[0]), 1)
    search.answer(SearchOptions(k=1), [("warm", None)])
    search.suggest("wa")
    return np.array(probabilities)


def _freeze_modules() -> None:
    """Exempt modules from garbage collection: scanning them stops all answers for a third of a second."""
    gc.collect()
    gc.freeze()
    _trim_memory()


def _trim_memory() -> None:
    """Return freed memory to the system: glibc keeps it in the arenas of the threads that freed it."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
