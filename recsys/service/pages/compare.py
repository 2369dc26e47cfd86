"""Opens the bundle that the page compares with the one in use."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from recsys.artifacts.bundle import Bundle, check_layout
from recsys.recommend.open import open_recommender

if TYPE_CHECKING:
    from recsys.recommend.recommender import Recommender
    from recsys.workspace.workspace import Workspace


@dataclass
class ComparedBundle:
    """Keeps one compared bundle open, its large files mapped: opening one takes seconds, and each takes memory."""

    workspace: Workspace
    _opened: Recommender | None = field(default=None, init=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False)

    def of(self, bundle_id: str) -> Recommender:
        """Return the recommender of a bundle; opens the bundle unless it is open already.

        Raises
        ------
        BundleError
            The bundle is missing, damaged or of another version.
        """
        with self._lock:
            opened, self._opened = self._opened, None
            # Checked each time: an erasure may have removed the open one.
            check_layout(Bundle.open(self.workspace.bundles, bundle_id), "choose another")
            if opened is not None and opened.bundle_id == bundle_id:
                self._opened = opened
            else:
                del opened  # frees its memory before the next is read
                self._opened = open_recommender(self.workspace, bundle_id, shared=True)
            return self._opened
