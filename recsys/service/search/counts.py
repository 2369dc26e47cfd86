"""Counts searches for the metrics: without results, with mended words or relaxed filters, and those that were put in other words."""

from __future__ import annotations

import time
from collections import OrderedDict
from typing import TYPE_CHECKING

from recsys.service.metrics import SEARCH_FINDINGS, SEARCHES

if TYPE_CHECKING:
    from collections.abc import Callable

    from recsys.apps.search.answers import SearchAnswer

SECONDS = 120.0  # within which another search of the same user is a reformulation
KEPT = 10_000  # users whose latest search is remembered


class SearchCounts:
    """Counts the searches of one worker. It remembers hashes alone: of a user, and of the words. Not thread-safe.

    Parameters
    ----------
    clock
        Returns seconds; differences alone matter.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._latest: OrderedDict[str, tuple[float, int]] = OrderedDict()  # user -> when, and a hash of the words

    def note(self, answer: SearchAnswer, user: str | None) -> None:
        """Count an answer.

        Parameters
        ----------
        user
            The user's pseudonym. Searches of unknown visitors are no reformulations of each other.
        """
        SEARCHES.inc()
        relaxed = any(one.relaxed for one in answer.filters)
        found = {
            "zero_results": not answer.items or (answer.fallback is not None and not relaxed),
            "mended": bool(answer.corrections),
            "relaxed": relaxed,
            "reformulated": user is not None and self._reformulates(user, answer.query),
        }
        for kind, true in found.items():
            if true:
                SEARCH_FINDINGS.labels(kind).inc()

    def acted(self, user: str | None) -> None:
        """Forget a user's latest search: what was found has led to an event."""
        if user is not None:
            self._latest.pop(user, None)

    def _reformulates(self, user: str, query: str) -> bool:
        now, words = self._clock(), hash(" ".join(query.casefold().split()))
        before = self._latest.pop(user, None)
        self._latest[user] = (now, words)
        while self._latest and (len(self._latest) > KEPT or now - next(iter(self._latest.values()))[0] > SECONDS):
            self._latest.popitem(last=False)
        return before is not None and now - before[0] <= SECONDS and words != before[1]
