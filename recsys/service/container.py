"""Holds what all routes share: the workspace, the bundle in use and the answer pipeline."""

from __future__ import annotations

import time
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from features.data.ids import normal_id
from features.ingest.erased_users import ErasedUsers
from recsys.apps.storefront.experiments.assignment import ExperimentBook
from recsys.recommend.recent_events import recent_histories
from recsys.service.answering import AnswerPipeline
from recsys.service.live_bundle import OpenBundle
from recsys.service.logs import pseudonym, salt_of
from recsys.service.metrics import BUNDLE_AGE, COVERAGE, DRIFT
from recsys.service.search.counts import SearchCounts
from recsys.service.storefront.arm_bundles import ArmBundles
from recsys.service.storefront.cursor import Cursors
from recsys.service.storefront.impression_writer import ImpressionWriter

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from fastapi import FastAPI

    from features.data.histories import Histories
    from recsys.recommend.pipeline import Recommender
    from recsys.settings.settings import Settings
    from recsys.workspace.workspace import Workspace


@dataclass(frozen=True)
class Service:
    """A workspace, its bundle in use, and the pipeline that answers.

    Attributes
    ----------
    long_tasks : set of object
        Tasks that run and take longer than a request may; the process is not ended meanwhile.
    """

    workspace: Workspace
    settings: Settings
    bundles: OpenBundle = field(init=False)
    pipeline: AnswerPipeline = field(init=False)
    impressions: ImpressionWriter = field(init=False)
    arm_bundles: ArmBundles = field(init=False)
    experiments: ExperimentBook = field(init=False)
    searches: SearchCounts = field(init=False, default_factory=SearchCounts)
    long_tasks: set[object] = field(init=False, default_factory=set)

    def __post_init__(self) -> None:
        object.__setattr__(self, "arm_bundles", ArmBundles(self.workspace, self.settings, self._live_id))
        object.__setattr__(self, "bundles", OpenBundle(self.workspace, self.settings, self.catch_up))
        object.__setattr__(self, "pipeline", AnswerPipeline(self.settings.serve))
        writer = ImpressionWriter(self.workspace.impressions, self.settings.impressions, self.erased)
        object.__setattr__(self, "impressions", writer)
        object.__setattr__(self, "experiments", ExperimentBook(self.workspace, self.arm_bundles.ready))

    def open(self, bundle_id: str | None = None) -> None:
        """Open the bundle to answer from and those of running experiments; see `OpenBundle.open`."""
        from threadpoolctl import threadpool_limits

        now = int(time.time())
        with threadpool_limits(1):  # requests already run in parallel
            self.bundles.open(bundle_id)
            self.experiments.catch_up(now)
            self.arm_bundles.open(self.experiments.bundles(now))

    def catch_up(self) -> None:
        """Take changed experiments into use, and keep the bundles of their arms up to date."""
        now = int(time.time())
        self.experiments.catch_up(now)
        self.arm_bundles.catch_up(self.experiments.bundles(now))

    def _live_id(self) -> str | None:
        return None if self.bundles.live is None else self.bundles.live.bundle.id

    @cached_property
    def _salt(self) -> bytes:
        return salt_of(self.workspace.service / "salt")

    def pseudonym(self, user_id: str | None) -> str | None:
        """Return the salted hash that stands for a user in the log."""
        return None if user_id is None else pseudonym(user_id, self._salt)

    def recent(self, recommender: Recommender, user: str | None) -> Histories | None:
        """Return what a user did since the recommender's bundle was built; None for nothing, or for an unknown visitor."""
        if user is None:
            return None
        snapshot = recommender.snapshot
        events = self.workspace.events.of_user(snapshot.log.spelt(user))
        return recent_histories(snapshot, user, events, self.settings.events)

    @cached_property
    def cursors(self) -> Cursors:
        """Of the rows of pages."""
        return Cursors(self._salt)

    @cached_property
    def guests(self) -> frozenset[str]:
        """User ids that stand for everybody without an account."""
        return frozenset(map(normal_id, self.settings.source.get("guests", ())))

    def erased(self, user_ids: set[str]) -> list[str]:
        """Return the ids among these that have been erased; their events are refused."""
        return ErasedUsers.read(self.workspace.erased).among(user_ids)

    @contextmanager
    def long_task(self) -> Iterator[None]:
        """Let this process go on until a task has ended, also where a new bundle replaces it."""
        task = object()
        self.long_tasks.add(task)
        try:
            yield
        finally:
            self.long_tasks.discard(task)

    def measure(self) -> None:
        """Set the gauges, when the metrics are read."""
        live = self.bundles.live
        if live is not None:
            BUNDLE_AGE.set(time.time() - live.created)
            COVERAGE.set(live.coverage)
            DRIFT.set(live.drift)

    @asynccontextmanager
    async def lifespan(self, _app: FastAPI) -> AsyncIterator[None]:
        """Open the bundle before the first request, unless it is open; stop all threads after the last."""
        from threadpoolctl import threadpool_limits

        if self.bundles.live is None and not self.bundles.refused:
            self.open()
        with threadpool_limits(1):
            self.bundles.start()
            yield
            self.bundles.stop()
            self.pipeline.stop()
            self.impressions.stop()
