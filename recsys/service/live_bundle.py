"""Opens the bundle that a process answers from, warms it, and keeps its prices, stock and rules up to date.

A process opens one bundle. A new one is opened by a new process: see `recsys.service.processes.supervisor`.
"""

from __future__ import annotations

import ctypes
import gc
import logging
import threading
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from features.errors import BundleError, RecsysError
from recsys.apps.assistant.operation.opening import open_assistant
from recsys.apps.customers.reader import CustomersReader
from recsys.apps.reviews.pipeline import ReviewsReader
from recsys.apps.search.pipeline import Search
from recsys.apps.search.request import SearchOptions
from recsys.apps.storefront.pipeline import Storefront
from recsys.artifacts.bundle import Bundle, current_id, list_bundles
from recsys.recommend.open import LiveChanges, open_recommender
from recsys.recommend.request import RecommendOptions
from recsys.refresh.drift import psi
from recsys.service.metrics import WORDINGS

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
ITEM_SECONDS = 0.2  # between two looks at prices and stock that another worker stored: a look takes a tenth of a millisecond
RETRY_SECONDS = 10.0  # most seconds between two looks at changes that cannot be read


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
    def open(cls, workspace: Workspace, bundle_id: str, settings: Settings) -> LiveBundle:
        """Check every file and read all that answers need: the folder may be removed later.

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
        search, reviews = Search(recommender), ReviewsReader(recommender, workspace.reports)
        usual = _warm(search)
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


class OpenBundle:
    """The one bundle of a process, and the thread that puts changes into its answers.

    Attributes
    ----------
    live : LiveBundle or None
        None until a bundle could be opened.
    refused : dict of str to str
        Bundles that could not be opened, and why, in the order in which they were tried.
    """

    def __init__(self, workspace: Workspace, settings: Settings, also: Callable[[], None] = lambda: None) -> None:
        self.live: LiveBundle | None = None
        self.refused: dict[str, str] = {}
        self._workspace, self._settings, self._also = workspace, settings, also
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch_changes, name="changes", daemon=True)

    def open(self, bundle_id: str | None = None) -> None:
        """Open a bundle: that one alone, or, if none is named, what CURRENT names or else the newest intact one."""
        if bundle_id is not None:
            self._try(bundle_id)
        else:
            self._open_usable()
        if self.live is not None:
            _freeze()
            self.live.changes.catch_up()  # with what arrived while it was warmed

    def _open_usable(self) -> None:
        try:
            bundle_id = current_id(self._workspace.bundles)
        except BundleError as error:
            self.refused[""] = str(error)
        else:
            self._try(bundle_id)
        for other in list_bundles(self._workspace.bundles):
            if self.live is None and other not in self.refused:
                self._try(other)

    def _try(self, bundle_id: str) -> None:
        try:
            self.live = LiveBundle.open(self._workspace, bundle_id, self._settings)
        except Exception as error:
            self.refused[bundle_id] = str(error) if isinstance(error, RecsysError) else f"unexpected {type(error).__name__}"

    def start(self) -> None:
        """Begin to look for changes."""
        self._thread.start()

    def stop(self) -> None:
        """Stop looking for changes."""
        self._stop.set()
        self._thread.join(timeout=10)

    def _watch_changes(self) -> None:
        """Put new prices, stock and rules into answers."""
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


def _open_assistant(search: Search, config: AssistantConfig, workspace: Workspace) -> Assistant | None:
    """Return a warm assistant, or None, and the log says why: lists and searches are answered whatever is wrong with it."""
    try:
        assistant = open_assistant(search, config, workspace.conversations, lambda outcome: WORDINGS.labels(outcome).inc())
        assistant.warm()
    except RecsysError as error:
        _log.error("the assistant does not answer: %s", error)
        return None
    return assistant


def _warm(search: Search) -> np.ndarray:
    """Answer requests of every kind, so that all parts are loaded; return the probabilities of known users' lists, (n,)."""
    recommender = search.recommender
    ids, items = recommender.snapshot.log.user_ids, recommender.snapshot.catalog.ids
    users = ids[np.unique(np.linspace(0, len(ids) - 1, SAMPLE).astype(np.int64))].tolist() if len(ids) else []
    probabilities: list[float] = []
    for user in users:  # one by one, as requests come
        (answer,) = recommender.answer(RecommendOptions(), [user])
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


def _freeze() -> None:
    """Exempt what is there from garbage collection, which would stop all answers for a third of a second; return freed memory."""
    gc.collect()
    gc.freeze()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc keeps freed memory in the arenas of the threads that freed it
    if trim is not None:
        trim(0)
