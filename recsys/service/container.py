"""What the routes work with."""

from __future__ import annotations

import time
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from features.ingest.erased_users import ErasedUsers
from recsys.service.answering import Pipeline
from recsys.service.live_bundle import Current
from recsys.service.logs import pseudonym, salt_of
from recsys.service.metrics import BUNDLE_AGE, COVERAGE, DRIFT

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from fastapi import FastAPI

    from recsys.settings.settings import Settings
    from recsys.workspace.workspace import Workspace


@dataclass(frozen=True)
class Service:
    """A workspace, the bundle of it that is in use, and the way to an answer."""

    workspace: Workspace
    settings: Settings
    current: Current = field(init=False)
    pipeline: Pipeline = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "current", Current(self.workspace, self.settings.serve))
        object.__setattr__(self, "pipeline", Pipeline(self.settings.serve))

    @cached_property
    def _salt(self) -> bytes:
        return salt_of(self.workspace.service / "salt")

    def pseudonym(self, user_id: str | None) -> str | None:
        """A user in the log."""
        return None if user_id is None else pseudonym(user_id, self._salt)

    def erased(self, user_ids: set[str]) -> list[str]:
        """Those of them who were erased, and are to stay forgotten."""
        return ErasedUsers.read(self.workspace.erased).among(user_ids)

    def measure(self) -> None:
        """Gauges that are told when they are read."""
        serving = self.current.serving
        if serving is not None:
            BUNDLE_AGE.set(time.time() - serving.created)
            COVERAGE.set(serving.coverage)
            DRIFT.set(serving.drift)

    @asynccontextmanager
    async def running(self, _app: FastAPI) -> AsyncIterator[None]:
        """Open the bundle before the first request, stop watching after the last."""
        from threadpoolctl import threadpool_limits

        with threadpool_limits(1):  # requests are answered beside each other already
            self.current.start()
            yield
            self.current.stop()
            self.pipeline.stop()
