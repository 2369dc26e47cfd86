"""The application: what is asked over HTTP, and the service that answers."""

from __future__ import annotations

import time
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from fastapi import FastAPI
from starlette.middleware.trustedhost import TrustedHostMiddleware

from features.tombstones import Tombstones
from recsys.serve_config import LOOPBACK
from recsys.service.access import Access
from recsys.service.gate import Gate
from recsys.service.logs import pseudonym, salt_of
from recsys.service.metrics import BUNDLE_AGE, COVERAGE, DRIFT
from recsys.service.pipeline import Pipeline
from recsys.service.problems import tell_problems
from recsys.service.routes import router
from recsys.service.serving import Current

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from recsys.config import Settings
    from recsys.workspace import Workspace


@dataclass(frozen=True)
class Service:
    """What the routes work with."""

    workspace: Workspace
    settings: Settings
    current: Current = field(init=False)
    pipeline: Pipeline = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "current", Current(self.workspace, self.settings.serve))
        object.__setattr__(self, "pipeline", Pipeline(self.settings.serve))

    @cached_property
    def weights(self) -> dict[str, float]:
        """What an event of each kind counts."""
        return self.settings.events.model_dump()

    @cached_property
    def _salt(self) -> bytes:
        return salt_of(self.workspace.service / "salt")

    def pseudonym(self, user_id: str | None) -> str | None:
        """A user in the log."""
        return None if user_id is None else pseudonym(user_id, self._salt)

    def erased(self, user_ids: set[str]) -> bool:
        """Whether one of them was erased, and is to stay forgotten."""
        return bool(Tombstones.read(self.workspace.erased).among(user_ids))

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


def application(workspace: Workspace, settings: Settings) -> Gate:
    """The service of a workspace, as an ASGI application."""
    config = settings.serve
    service = Service(workspace, settings)
    app = FastAPI(
        title="Recommender",
        summary="What a user is most likely to buy, with probabilities and reasons.",
        version="1",
        lifespan=service.running,
        # Their pages load scripts from elsewhere; /openapi.json is what such a page is made of.
        docs_url=None,
        redoc_url=None,
    )
    local = config.host in LOOPBACK
    app.state.service = service
    app.state.access = Access(workspace.service / "keys.json", config.rate_per_minute, open_without_keys=local)
    if local:  # so that no page in a browser on this machine asks in its user's name
        app.add_middleware(TrustedHostMiddleware, allowed_hosts=list(LOOPBACK))
    tell_problems(app)
    app.include_router(router)
    return Gate(app, config)


def make() -> Gate:
    """For uvicorn, which starts each worker anew: workspace and configuration are those of the environment."""
    import os
    from pathlib import Path

    from recsys.config import load_settings
    from recsys.service.logs import set_up_logs
    from recsys.workspace import Workspace

    set_up_logs()
    config = os.environ.get("RECSYS_CONFIG")
    return application(Workspace(Path(os.environ["RECSYS_WORKSPACE"])), load_settings(Path(config) if config else None))
