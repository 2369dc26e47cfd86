"""The bundle in use: opened and warmed before it takes over, and given up when the last request that holds it is done."""

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
from recsys.artifacts.bundle import CURRENT, Bundle, current_id, list_bundles
from recsys.recommend.open import open_recommender
from recsys.recommend.request import RecommendOptions
from recsys.refresh.drift import psi
from recsys.service.metrics import SWAPS

if TYPE_CHECKING:
    from recsys.recommend.pipeline import Recommender
    from recsys.settings.serve import ServeConfig
    from recsys.workspace.workspace import Workspace

_log = logging.getLogger(__name__)
SAMPLE = 32  # users of the log whose lists warm a bundle, and say which scores are usual
LATEST = 2_000  # probabilities of late that drift is told from
RESTS = 3  # times as long as each of those lists took, before the next: requests under way are answered meanwhile
RETRY_SECONDS = 10.0  # until a bundle that was refused is looked at again: the reason may have been this process's own


@dataclass(frozen=True)
class Serving:
    """A warm recommender and what its lists have shown. usual: probabilities of the log's users' first ten, (n,)."""

    bundle: Bundle
    recommender: Recommender
    usual: np.ndarray
    shown: set[str] = field(default_factory=set)
    latest: list[float] = field(default_factory=list)

    @classmethod
    def open(cls, workspace: Workspace, bundle_id: str, before: Serving | None, config: ServeConfig) -> Serving:
        """Check every file, and read what answers will need: later the folder may be gone.

        before: the one in use, whose query encoder is taken over where it is the same.

        Raises
        ------
        BundleError: the bundle is missing or damaged.
        """
        bundle = Bundle.open(workspace.bundles, bundle_id)
        problems = bundle.verify()
        if problems:
            raise BundleError(problems[0])
        recommender = open_recommender(workspace, bundle_id, shared=config.workers > 1, device=config.device)
        if before is not None and _query(before.bundle) == _query(bundle):
            vars(recommender.model)["query"] = vars(before.recommender.model)["query"]
        return cls(bundle, recommender, _warm(recommender, rests=0 if before is None else RESTS))

    def note(self, items: list[str], probabilities: list[float]) -> None:
        """Remember what a list showed."""
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
    def created(self) -> float:
        """When the bundle was published, seconds since the epoch."""
        return self.bundle.manifest.created.timestamp()


class Current:
    """Watches bundles/CURRENT, and swaps. `serving` is the one for a request to hold on to; None until there is one."""

    def __init__(self, workspace: Workspace, config: ServeConfig) -> None:
        self.serving: Serving | None = None
        self._workspace, self._config = workspace, config
        self._stop = threading.Event()
        self._refused: tuple[str, float] | None = None
        self._seen: tuple[int, ...] | None = None
        self._thread = threading.Thread(target=self._watch, name="bundles", daemon=True)

    def start(self) -> None:
        """Open the bundle in use, or the newest that is whole, and watch for the next."""
        self.look()
        if self.serving is None:
            refused = self._refused
            for bundle_id in list_bundles(self._workspace.bundles):
                if self._take(bundle_id):
                    self._refused = refused  # what CURRENT names is looked at again
                    _log.warning("CURRENT is no bundle that answers: the newest whole one is served")
                    break
        self._thread.start()

    def stop(self) -> None:
        """No more swaps."""
        self._stop.set()
        self._thread.join(timeout=10)

    def look(self) -> None:
        """Take over what CURRENT names, if it is another one and whole; what is in use stays otherwise."""
        try:
            status = (self._workspace.bundles / CURRENT).stat()
        except OSError:
            return
        seen = (status.st_mtime_ns, status.st_ino, status.st_size)
        if seen == self._seen and (self._refused is None or time.monotonic() < self._refused[1]):
            return
        self._seen = seen
        try:
            bundle_id = current_id(self._workspace.bundles)
        except BundleError as error:
            self._refuse("", error)
            return
        if self.serving is None or bundle_id != self.serving.bundle.id:
            self._take(bundle_id)
        else:
            self._refused = None

    def _take(self, bundle_id: str) -> bool:
        try:
            serving = Serving.open(self._workspace, bundle_id, self.serving, self._config)
        except Exception as error:  # whatever is wrong with it, the old one goes on serving
            self._refuse(bundle_id, error)
            return False
        if self.serving is None:
            _stay()
        self.serving, self._refused = serving, None
        SWAPS.labels("taken").inc()
        _log.info("bundle %s is served", bundle_id)
        return True

    def _refuse(self, bundle_id: str, error: Exception) -> None:
        if self._refused is None or self._refused[0] != bundle_id:
            SWAPS.labels("refused").inc()
            what = str(error) if isinstance(error, RecsysError) else f"unexpected {type(error).__name__}"
            _log.error("a bundle is refused, what was served stays: %s", what)
        self._refused = (bundle_id, time.monotonic() + RETRY_SECONDS)

    def _watch(self) -> None:
        while not self._stop.wait(self._config.poll_seconds):
            before = self.serving
            self.look()
            if self.serving is not before:
                del before
                _give_back()


def _query(bundle: Bundle) -> dict[str, str]:
    return {name: entry.sha256 for name, entry in bundle.manifest.files.items() if name.startswith("query/")}


def _warm(recommender: Recommender, rests: float) -> np.ndarray:
    """Answer once in every way, so that all parts are read. Returns the probabilities of the known users' lists. rests: see `RESTS`."""
    ids, items = recommender.snapshot.log.user_ids, recommender.snapshot.catalog.ids
    users = ids[np.unique(np.linspace(0, len(ids) - 1, SAMPLE).astype(np.int64))].tolist() if len(ids) else []
    found: list[float] = []
    for user in users:  # one by one: a batch would hold the interpreter against those who are answered meanwhile
        begun = time.perf_counter()
        (answer,) = recommender.answer(RecommendOptions(), [user])
        time.sleep(rests * (time.perf_counter() - begun))
        found += [item.probability for item in answer.items if item.probability is not None]
    for options in (RecommendOptions(), RecommendOptions(history=(str(items[0]),), diversity=0.5), RecommendOptions(unsold=True)):
        list(recommender.answer(options, [None]))
    recommender.similar(str(items[0]), 1)
    recommender.search("warm", 1)
    return np.array(found)


def _stay() -> None:
    """Spare the collector what stays, the modules above all: it takes a third of a second for it, in which nobody is answered."""
    gc.collect()
    gc.freeze()
    _give_back()


def _give_back() -> None:
    """Hand freed memory back to the system: glibc keeps what threads of their own arenas freed."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
