"""Defines the routes of the search and of its suggestions."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import JSONResponse  # noqa: TC002  FastAPI reads the annotations of a route

from recsys.service.access.guard import needs
from recsys.service.answering import SearchRequest
from recsys.service.routes import PROBLEMS, LiveBundleOf, ServiceOf, TimesOf, check_k, respond
from recsys.service.search import schemas as s
from recsys.settings.names import Scope

if TYPE_CHECKING:
    from recsys.service.answering import StageTimes
    from recsys.service.container import Service
    from recsys.service.live_bundle import LiveBundle

search_router = APIRouter()
_READ = [Depends(needs(Scope.READ))]
_SUGGESTED = PROBLEMS | {200: {"model": s.Suggested}}


@search_router.post("/v1/search", dependencies=_READ, responses=PROBLEMS | {200: {"model": s.Searched}})
async def search(request: Request, body: s.SearchBody, service: ServiceOf, live: LiveBundleOf, times: TimesOf) -> JSONResponse:
    """Return the items that a query finds, each with a reason, and how the query was read."""
    check_k(request, body.k)
    noted, recommender = request.scope["noted"], live.recommender
    noted["user"] = service.pseudonym(body.user)
    if service.settings.serve.log_queries:
        noted["query"] = body.text
    asked = SearchRequest(live.search, body.text, body.user, body.options, lambda: service.recent(recommender, body.user))
    answer, degraded = await service.pipeline.answer(asked, times)
    service.searches.note(answer, service.pseudonym(None if body.user is None else recommender.snapshot.log.spelt(body.user)))
    return respond(request, live, times, answer.to_dict() | {"degraded": degraded})


@search_router.post("/v1/suggest", dependencies=_READ, responses=_SUGGESTED)
async def suggest(request: Request, body: s.SuggestBody, service: ServiceOf, live: LiveBundleOf, times: TimesOf) -> JSONResponse:
    """Complete what has been typed so far."""
    return await _suggested(request, body, service, live, times)


@search_router.get("/v1/suggest", dependencies=_READ, responses=_SUGGESTED)
async def suggest_by_address(
    request: Request,
    service: ServiceOf,
    live: LiveBundleOf,
    times: TimesOf,
    asked: Annotated[s.SuggestBody, Query()],
) -> JSONResponse:
    """Complete what has been typed so far. A proxy may log addresses: POST keeps the words out of them."""
    return await _suggested(request, asked, service, live, times)


async def _suggested(request: Request, body: s.SuggestBody, service: Service, live: LiveBundle, times: StageTimes) -> JSONResponse:
    found = await service.pipeline.run(lambda: live.search.suggest(body.prefix, body.n), times, "suggestion")
    return respond(request, live, times, {"suggestions": [asdict(one) for one in found]})
