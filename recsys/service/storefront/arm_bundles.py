"""The bundles that arms of running experiments name, beside the one in use."""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING

from features.errors import BundleError, RecsysError
from recsys.apps.storefront.pipeline import Storefront
from recsys.artifacts.bundle import Bundle
from recsys.recommend.open import LiveChanges, open_recommender

if TYPE_CHECKING:
    from collections.abc import Callable

    from recsys.settings.settings import Settings
    from recsys.workspace.workspace import Workspace

_log = logging.getLogger(__name__)
RETRY_SECONDS = 60.0  # until a bundle that could not be opened is tried again


class ArmBundles:
    """Opens bundles in a thread of its own; until one is open, the experiment that names it is off for everybody.

    A bundle whose folder is gone, removed by `bundles.keep` or rewritten by an erasure, is dropped: it may hold an erased user. So is one
    that no running experiment names any more.

    Parameters
    ----------
    live : returns the id of the bundle in use, which answers without being opened again.
    """

    def __init__(self, workspace: Workspace, settings: Settings, live: Callable[[], str | None] = lambda: None) -> None:
        self._workspace, self._settings, self._live = workspace, settings, live
        self._open: dict[str, tuple[Storefront, LiveChanges]] = {}
        self._tried: dict[str, float] = {}
        self._opening = threading.Lock()

    def ready(self, bundle_id: str) -> bool:
        """Return whether a bundle can answer; the first call begins to open it."""
        if bundle_id == self._live():
            return True
        if not (self._workspace.bundles / bundle_id).is_dir():
            if self._open.pop(bundle_id, None) is not None or bundle_id not in self._tried:
                _log.error("an experiment is off: its bundle %s is not kept here: name another one, or raise bundles.keep", bundle_id)
                self._tried[bundle_id] = time.monotonic()
            return False
        if bundle_id in self._open:
            return True
        if bundle_id not in self._tried or time.monotonic() > self._tried[bundle_id] + RETRY_SECONDS:
            self._tried[bundle_id] = time.monotonic()
            threading.Thread(target=self._take, args=(bundle_id,), name="arm-bundle", daemon=True).start()
        return False

    def open(self, named: set[str]) -> None:
        """Open bundles before the first request, so that a process which takes over shows all arms; the log says which cannot be opened."""
        for bundle_id in named:
            if bundle_id != self._live() and (self._workspace.bundles / bundle_id).is_dir():
                self._tried[bundle_id] = time.monotonic()
                self._take(bundle_id)

    def storefront(self, bundle_id: str) -> Storefront | None:
        """Return the storefront of an open bundle; None where it was dropped meanwhile."""
        found = self._open.get(bundle_id)
        return None if found is None else found[0]

    def catch_up(self, named: set[str]) -> None:
        """Put new prices, stock and rules into the answers of all open bundles, and drop those that are not needed any more.

        Parameters
        ----------
        named : bundles of running experiments.
        """
        for bundle_id, (_, changes) in list(self._open.items()):
            if bundle_id not in named or bundle_id == self._live() or not (self._workspace.bundles / bundle_id).is_dir():
                self._open.pop(bundle_id, None)
                self._tried.pop(bundle_id, None)
            else:
                changes.catch_up()

    def _take(self, bundle_id: str) -> None:
        with self._opening:  # one at a time: opening takes memory and both cores
            try:
                bundle = Bundle.open(self._workspace.bundles, bundle_id)
                problems = bundle.verify()
                if problems:
                    raise BundleError(problems[0])
                serve = self._settings.serve
                recommender = open_recommender(self._workspace, bundle_id, shared=serve.workers > 1, device=serve.device)
                storefront = Storefront.open(recommender, self._settings.storefront, self._workspace)
                storefront.warm()
            except Exception as error:  # whatever is wrong, the bundle in use answers
                reason = str(error) if isinstance(error, RecsysError) else f"unexpected {type(error).__name__}"
                _log.error("an experiment is off: its bundle %s cannot be opened: %s", bundle_id, reason)
                return
            self._open[bundle_id] = storefront, LiveChanges.of(self._workspace, bundle, recommender)
