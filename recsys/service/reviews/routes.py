"""Defines the routes of reviews and of alerts."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import JSONResponse  # noqa: TC002  FastAPI reads the annotations of a route

from recsys.service.access.guard import needs
from recsys.service.reviews import schemas as s
from recsys.service.routes import PROBLEMS, LiveBundleOf, ServiceOf, TimesOf, respond
from recsys.settings.names import Scope

reviews_router = APIRouter()
_READ = [Depends(needs(Scope.READ))]


@reviews_router.get("/v1/reviews", dependencies=_READ, responses=PROBLEMS | {200: {"model": s.Reviewed}})
async def reviews(
    request: Request, service: ServiceOf, live: LiveBundleOf, times: TimesOf, asked: Annotated[s.ReviewsQuery, Query()]
) -> JSONResponse:
    """Return what customers say of an item, a brand, a category or the shop."""
    answer = await service.pipeline.run(lambda: live.reviews.answer(asked.request), times, "reviews")
    return respond(request, live, times, answer.to_dict())


@reviews_router.get("/v1/reviews/alerts", dependencies=_READ, responses=PROBLEMS | {200: {"model": s.RaisedAlerts}})
async def alerts(request: Request, service: ServiceOf, live: LiveBundleOf, times: TimesOf) -> JSONResponse:
    """Return the surges of complaints that have not ended, as the last refresh found them."""
    found = await service.pipeline.run(live.reviews.alerts, times, "alerts")
    return respond(request, live, times, {"alerts": [alert.to_dict() for alert in found]})
