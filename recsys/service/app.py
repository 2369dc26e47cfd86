"""Builds the ASGI application: routes, pages, access and admission around one service."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastapi import FastAPI
from starlette.middleware.trustedhost import TrustedHostMiddleware

from recsys.service.access.guard import Access
from recsys.service.access.oidc import Provider
from recsys.service.access.public import StorefrontOrigins
from recsys.service.admission import Admission
from recsys.service.assistant.routes import assistant_router
from recsys.service.catalogue.routes import catalogue_router
from recsys.service.container import Service
from recsys.service.customers.routes import customers_router
from recsys.service.pages.routes import Views, pages
from recsys.service.problems import add_problem_handlers
from recsys.service.reviews.routes import reviews_router
from recsys.service.routes import router
from recsys.service.schemas import Problem
from recsys.service.search.routes import search_router
from recsys.service.storefront.action_routes import actions_router
from recsys.service.storefront.routes import storefront_router
from recsys.service.storefront.script import script_router
from recsys.service.traces.spans import Traces, traced
from recsys.settings.serve import LOOPBACK

if TYPE_CHECKING:
    from recsys.settings.settings import Settings
    from recsys.workspace.workspace import Workspace

# numpy releases the interpreter lock at each step of an answer, and waits this long to get it back while another thread
# opens a bundle.
SWITCH_SECONDS = 0.0005


def application(workspace: Workspace, settings: Settings, traces: Traces | None = None) -> Admission:
    """Return the service of a workspace as an ASGI application; `traces` takes the spans of its requests."""
    config = settings.serve
    service = Service(workspace, settings)
    app = FastAPI(
        title="Recommender",
        summary="What a user is most likely to buy, with probabilities and reasons.",
        version="1",
        lifespan=service.lifespan,
        generate_unique_id_function=lambda route: route.name,  # generated clients name their functions by it
        # FastAPI's own documentation pages load scripts from a CDN; /openapi.json holds the same.
        docs_url=None,
        redoc_url=None,
    )
    local, provider = config.host in LOOPBACK, Provider.of(config)
    app.state.service = service
    app.state.views = Views(service)
    app.state.access = Access(
        workspace.service / "keys.json", config.rate_per_minute, open_without_keys=local and provider is None, provider=provider
    )
    if local:  # a website open in a browser on this machine cannot send requests under another name
        app.add_middleware(TrustedHostMiddleware, allowed_hosts=[*LOOPBACK, "[::1]"])
    app.add_middleware(StorefrontOrigins, origins=config.origins)
    add_problem_handlers(app)
    app.include_router(router)
    app.include_router(catalogue_router)
    app.include_router(search_router)
    app.include_router(reviews_router)
    app.include_router(customers_router)
    app.include_router(assistant_router)
    app.include_router(storefront_router)
    app.include_router(actions_router)
    app.include_router(script_router)
    app.include_router(pages)
    app.openapi_schema = _described(app)
    return Admission(app, config, traces)


def _described(app: FastAPI) -> dict[str, Any]:
    """Return the description of the routes, with the one body that all errors have."""
    description = app.openapi()
    description["components"]["schemas"]["Problem"] = Problem.model_json_schema()
    return description


def make() -> Admission:
    """Return the application of a uvicorn worker; the environment names workspace and configuration."""
    import os
    import sys
    from pathlib import Path

    from recsys.service.logs import set_up_logs
    from recsys.settings.settings import load_settings
    from recsys.workspace.workspace import Workspace

    set_up_logs()
    sys.setswitchinterval(SWITCH_SECONDS)
    config = os.environ.get("RECSYS_CONFIG")
    settings = load_settings(Path(config) if config else None)
    return application(Workspace(Path(os.environ["RECSYS_WORKSPACE"])), settings, Traces.exported() if traced(settings.serve) else None)
