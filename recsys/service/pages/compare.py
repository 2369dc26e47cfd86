"""The bundle that is shown beside the one in use."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from recsys.artifacts.bundle import Bundle, check_layout
from recsys.recommend.open import open_recommender

if TYPE_CHECKING:
    from recsys.recommend.pipeline import Recommender
    from recsys.workspace.workspace import Workspace


@dataclass
class Second:
    """One is held at a time, its large files mapped: it costs memory, and opening it costs seconds."""

    workspace: Workspace
    _held: Recommender | None = field(default=None, init=False)
    _opening: threading.Lock = field(default_factory=threading.Lock, init=False)

    def of(self, bundle_id: str) -> Recommender:
        """Open it, or take the one that is open.

        Raises
        ------
        BundleError: it is missing, damaged, or of another version.
        """
        with self._opening:
            held, self._held = self._held, None
            # Each time: an erasure may have removed the one that is held.
            check_layout(Bundle.open(self.workspace.bundles, bundle_id), "choose another")
            if held is not None and held.bundle_id == bundle_id:
                self._held = held
            else:
                del held  # before the next is read: not both at once
                self._held = open_recommender(self.workspace, bundle_id, shared=True)
            return self._held
