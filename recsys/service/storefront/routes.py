"""Defines the routes of pages."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Depends, HTTPException, Request
from fastapi.responses import JSONResponse  # noqa: TC002  FastAPI reads the annotations of a route

from features.errors import DataError
from recsys.apps.storefront.pipeline import PageStages, TurnStages
from recsys.service.access.guard import check_named, needs
from recsys.service.routes import PROBLEMS, LiveBundleOf, ServiceOf, TimesOf, check_k, respond
from recsys.service.storefront import schemas as s
from recsys.service.storefront.serving import PageInArms
from recsys.settings.names import Scope

if TYPE_CHECKING:
    from features.data.histories import Histories
    from recsys.apps.storefront.answers import Row
    from recsys.apps.storefront.request import PageRequest, RowTurn
    from recsys.service.container import Service
    from recsys.service.live_bundle import LiveBundle

storefront_router = APIRouter()
_READ = [Depends(needs(Scope.READ))]


@dataclass(frozen=True)
class ForPage:
    """A request for a page, for `recsys.service.answering`."""

    page: PageInArms

    def stages(self) -> PageStages:
        """Look up what the request names."""
        return PageStages.of(self.page.storefront, self.page.asked, _recent(self.page), self.page.config)


@dataclass(frozen=True)
class ForTurn:
    """A request to turn a row of a page over."""

    page: PageInArms
    turn: RowTurn

    def stages(self) -> TurnStages:
        """Look up what the request names."""
        return TurnStages.of(self.page.storefront, self.turn, _recent(self.page))


@storefront_router.post("/v1/page", dependencies=_READ, responses=PROBLEMS | {200: {"model": s.Paged}})
async def page(request: Request, body: s.PageBody, service: ServiceOf, live: LiveBundleOf, times: TimesOf) -> JSONResponse:
    """Return a page: named rows of items, each with its reason, none of them twice."""
    for row in body.rows:
        check_k(request, row.k or 1)
    request.scope["noted"]["user"] = service.pseudonym(body.user)
    served = PageInArms.of(service, live, body.asked)
    try:
        answer, degraded = await service.pipeline.answer(ForPage(served), times)
    except DataError:
        if served.storefront is not live.storefront and await service.pipeline.run(lambda: _answers(served, live), times, "retrieval"):
            served.store_failure(times)  # what the arm's bundle lacks
        raise
    except Exception:
        served.store_failure(times)
        raise
    live.note([item.item_id for row in answer.rows for item in row.items], [])
    content = answer.to_dict() | {"rows": [_row(service, served.asked, row) for row in answer.rows]}
    served.store(content, times, degraded=degraded)
    return respond(request, live, times, content | {"degraded": degraded})


@storefront_router.post("/v1/page/turn", dependencies=_READ, responses=PROBLEMS | {200: {"model": s.Turned}})
async def turn(request: Request, body: s.TurnBody, service: ServiceOf, live: LiveBundleOf, times: TimesOf) -> JSONResponse:
    """Return the items that follow in a row. None is repeated or skipped, also where another bundle is in use by now."""
    check_k(request, body.k)
    try:
        asked = service.cursors.read(body.cursor, body.k)
    except DataError as error:
        raise HTTPException(422, str(error)) from None
    check_named(request, asked.request.user)
    request.scope["noted"]["user"] = service.pseudonym(asked.request.user)
    served = PageInArms.of(service, live, asked.request)
    answer, degraded = await service.pipeline.answer(ForTurn(served, asked), times)
    live.note([item.item_id for item in answer.row.items], [])
    content = answer.to_dict() | {"row": _row(service, asked.request, answer.row)}
    if answer.row.items:
        about = {"page_id": uuid.uuid4().hex, "page": asked.request.page, "rows": [content["row"]]}
        served.store(content | about, times, degraded=degraded)
    return respond(request, live, times, content | {"degraded": degraded})


def _answers(page: PageInArms, live: LiveBundle) -> bool:
    """Return whether the bundle in use has what a request names."""
    try:
        ForPage(replace(page, storefront=live.storefront)).stages()
    except DataError:
        return False
    return True


def _recent(page: PageInArms) -> Histories | None:
    return page.service.recent(page.storefront.recommender, page.asked.user)


def _row(service: Service, asked: PageRequest, row: Row) -> dict[str, Any]:
    return row.to_dict() | {"cursor": service.cursors.write(asked, row)}
