"""Defines the route of actions on impressions."""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import TYPE_CHECKING

from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse  # noqa: TC002  FastAPI reads the annotations of a route

from features.errors import DataError
from recsys.service.access.guard import needs
from recsys.service.metrics import ACTIONS
from recsys.service.problems import problem
from recsys.service.routes import PROBLEMS, LiveBundleOf, ServiceOf, TimesOf, respond
from recsys.service.storefront import action_schemas as s
from recsys.settings.names import Scope

if TYPE_CHECKING:
    from recsys.workspace.served_pages import StoredActions

actions_router = APIRouter()
FLUSH_SECONDS = 0.2  # usually a page is stored within milliseconds; an action on one that is not is told as unknown
_OUTCOMES = ("new", "repeated", "unknown", "not_shown", "too_many")


@actions_router.post(
    "/v1/actions", status_code=202, dependencies=[Depends(needs(Scope.WRITE))], responses=PROBLEMS | {202: {"model": s.StoredBody}}
)
async def actions(request: Request, body: s.ActionsBody, service: ServiceOf, live: LiveBundleOf, times: TimesOf) -> JSONResponse:
    """Store what customers did with items that a page showed them; what was not shown is not stored, and counted."""
    spelt = live.recommender.snapshot.catalog.spelt
    batch = [action.action(spelt(action.object_id)) for action in body.actions]

    def store() -> StoredActions:
        service.impressions.flush(FLUSH_SECONDS)  # a page of this worker may still wait
        return service.workspace.impressions.add_actions(batch, int(time.time()))

    try:
        stored = await service.pipeline.store_actions(store, times)
    except DataError as error:
        return problem(503, str(error), {"Retry-After": "10"})
    for outcome in _OUTCOMES:
        ACTIONS.labels(outcome).inc(getattr(stored, outcome))
    counts = {name: value for name, value in asdict(stored).items() if name != "examples"}
    return respond(request, live, times, counts | {"notes": list(stored.notes)}, 202)
