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
from recsys.settings.serve import LOOPBACK

if TYPE_CHECKING:
    from recsys.service.traces.spans import Traces
    from recsys.settings.settings import Settings
    from recsys.workspace.workspace import Workspace


def application(workspace: Workspace, settings: Settings, traces: Traces | None = None) -> Admission:
    """Return the service of a workspace as an ASGI application; `traces` takes the spans of its requests."""
    return Admission(routed(Service(workspace, settings)), settings.serve, traces)


def routed(service: Service, *, keys_required: bool = False) -> FastAPI:
    """Return the routes around a service.

    Parameters
    ----------
    keys_required
        Whether requests need a key even where none exists; see `recsys.service.access.guard.Access`.
    """
    workspace, config = service.workspace, service.settings.serve
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
    free = local and provider is None and not keys_required
    app.state.access = Access(workspace.service / "keys.json", config.rate_per_minute, open_without_keys=free, provider=provider)
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
    return app


def _described(app: FastAPI) -> dict[str, Any]:
    """Return the description of the routes, with the one body that all errors have."""
    description = app.openapi()
    description["components"]["schemas"]["Problem"] = Problem.model_json_schema()
    return description
