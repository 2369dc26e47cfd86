"""Serves pages in the arms of experiments, and stores what they showed."""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from recsys.apps.storefront.experiments.assignment import Assigned
from recsys.apps.storefront.request import RowRequest
from recsys.workspace.served_pages import ServedPage

if TYPE_CHECKING:
    from collections.abc import Mapping

    from recsys.apps.storefront.pipeline import Storefront
    from recsys.apps.storefront.request import PageRequest
    from recsys.service.answering import StageTimes
    from recsys.service.container import Service
    from recsys.service.live_bundle import LiveBundle
    from recsys.workspace.served_pages import PageOutcome


@dataclass(frozen=True)
class PageInArms:
    """One page with what its arms make of it: the storefront that answers and the request as it answers it."""

    service: Service
    storefront: Storefront
    asked: PageRequest
    assigned: Assigned
    context: str = ""

    @classmethod
    def of(cls, service: Service, live: LiveBundle, asked: PageRequest, context: str = "") -> PageInArms:
        """Assign whoever asks. Rows that a request names itself stay."""
        user = None if asked.user is None else live.recommender.snapshot.log.spelt(asked.user)
        assigned = service.experiments.assign(asked.page, user, asked.session, int(time.time()))
        settings, storefront = assigned.settings, live.storefront
        if settings.bundle is not None and settings.bundle != live.bundle.id:
            found = service.arm_bundles.storefront(settings.bundle)
            if found is None:  # it went this very moment: the page is in no arm
                return cls(service, live.storefront, asked, Assigned(), context)
            storefront = found
        rows = asked.rows or tuple(RowRequest(row) for row in (settings.rows or {}).get(asked.page, ()))
        drawn, rules = settings.exploration or 0.0, settings.merchandising is not False
        asked = replace(asked, rows=rows, diversity=settings.diversity or 0.0, merchandising=rules, exploration=drawn)
        return cls(service, storefront, asked, assigned, context)

    def store(self, answer: Mapping[str, Any], times: StageTimes, *, degraded: bool) -> None:
        """Store what was shown, soon."""
        outcome: PageOutcome = "degraded" if degraded else "ok"
        self.service.impressions.put(ServedPage.of_answer(answer, int(time.time()), outcome=outcome, **self._about(times)))

    def store_failure(self, times: StageTimes) -> None:
        """Store that the page failed, for the guardrails."""
        about = self._about(times)
        failed = ServedPage(uuid.uuid4().hex, self.asked.page, int(time.time()), (), self.asked.user, outcome="failed", **about)
        self.service.impressions.put(failed)

    def _about(self, times: StageTimes) -> dict[str, Any]:
        milliseconds, exposures = 1000 * times.elapsed, self.assigned.exposures
        return {"session_id": self.asked.session, "context": self.context, "milliseconds": milliseconds, "exposures": exposures}
