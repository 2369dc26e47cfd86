"""Serves pages in the arms of experiments, and stores what they showed."""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from recsys.apps.storefront.experiments.assignment import Assigned
from recsys.workspace.served_pages import ServedPage

if TYPE_CHECKING:
    from collections.abc import Mapping

    from recsys.apps.storefront.pipeline import Storefront
    from recsys.apps.storefront.request import PageRequest
    from recsys.service.answering import StageTimes
    from recsys.service.container import Service
    from recsys.service.live_bundle import LiveBundle
    from recsys.settings.apps.storefront import StorefrontConfig
    from recsys.workspace.served_pages import PageOutcome


@dataclass(frozen=True)
class PageInArms:
    """One page in its arms.

    Attributes
    ----------
    storefront : that of an arm's bundle, or the one in use.
    user : as the log spells the id.
    """

    service: Service
    storefront: Storefront
    asked: PageRequest
    assigned: Assigned
    user: str | None

    @classmethod
    def of(cls, service: Service, live: LiveBundle, asked: PageRequest) -> PageInArms:
        """Assign whoever asks."""
        user = None if asked.user is None else live.recommender.snapshot.log.spelt(asked.user)
        assigned = service.experiments.assign(asked.page, user, asked.session, int(time.time()))
        bundle_id, storefront = assigned.settings.bundle, live.storefront
        if bundle_id is not None and bundle_id != live.bundle.id:
            found = service.arm_bundles.storefront(bundle_id)
            if found is None:  # it went this very moment: the page is in no arm
                return cls(service, live.storefront, asked, Assigned(), user)
            storefront = found
        return cls(service, storefront, asked, assigned, user)

    @property
    def config(self) -> StorefrontConfig:
        """The storefront's settings in these arms."""
        return self.assigned.settings.over(self.storefront.config)

    def store(self, answer: Mapping[str, Any], times: StageTimes, *, degraded: bool) -> None:
        """Store what was shown, soon."""
        outcome: PageOutcome = "degraded" if degraded else "ok"
        shown = {**answer, "user_id": self.user}
        self.service.impressions.put(ServedPage.of_answer(shown, int(time.time()), outcome=outcome, **self._about(times)))

    def store_failure(self, times: StageTimes) -> None:
        """Store that the page failed, for the guardrails."""
        about = self._about(times)
        failed = ServedPage(uuid.uuid4().hex, self.asked.page, int(time.time()), (), self.user, outcome="failed", **about)
        self.service.impressions.put(failed)

    def _about(self, times: StageTimes) -> dict[str, Any]:
        about = {"session_id": self.asked.session, "context": self.asked.context, "exposures": self.assigned.exposures}
        return about | {"milliseconds": 1000 * times.elapsed}
