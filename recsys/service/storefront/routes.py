"""Defines the routes of pages."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Depends, HTTPException, Request
from fastapi.responses import JSONResponse  # noqa: TC002  FastAPI reads the annotations of a route

from features.errors import DataError, RecsysError
from recsys.apps.storefront.pipeline import PageStages, TurnStages
from recsys.service.access.guard import needs
from recsys.service.routes import PROBLEMS, LiveBundleOf, ServiceOf, TimesOf, check_k, respond
from recsys.service.storefront import schemas as s
from recsys.service.storefront.serving import PageInArms
from recsys.settings.names import Scope

if TYPE_CHECKING:
    from collections.abc import Callable

    from features.data.histories import Histories
    from recsys.apps.storefront.answers import Row
    from recsys.apps.storefront.pipeline import Storefront
    from recsys.apps.storefront.request import PageRequest, Turn
    from recsys.service.container import Service

storefront_router = APIRouter()
_READ = [Depends(needs(Scope.READ))]


@dataclass(frozen=True)
class ForPage:
    """A request for a page, for `recsys.service.answering`; `recent` as in `RecommendRequest`."""

    storefront: Storefront
    asked: PageRequest
    recent: Callable[[], Histories | None]

    def stages(self) -> PageStages:
        """Look up what the request names."""
        return PageStages.of(self.storefront, self.asked, self.recent())


@dataclass(frozen=True)
class ForTurn:
    """A request to turn a row over."""

    storefront: Storefront
    asked: Turn
    recent: Callable[[], Histories | None]

    def stages(self) -> TurnStages:
        """Look up what the request names."""
        return TurnStages.of(self.storefront, self.asked, self.recent())


@storefront_router.post("/v1/page", dependencies=_READ, responses=PROBLEMS | {200: {"model": s.Paged}})
async def page(request: Request, body: s.PageBody, service: ServiceOf, live: LiveBundleOf, times: TimesOf) -> JSONResponse:
    """Return a page: named rows of items, each with its reason, none of them twice."""
    for row in body.rows:
        check_k(request, row.k or 1)
    request.scope["noted"]["user"] = service.pseudonym(body.user)
    page = PageInArms.of(service, live, body.asked, body.context)
    recommender = page.storefront.recommender
    recent = lambda: service.recent(recommender, body.user)  # noqa: E731
    try:
        answer, degraded = await service.pipeline.answer(ForPage(page.storefront, page.asked, recent), times)
    except RecsysError:
        raise
    except Exception:
        page.store_failure(times)
        raise
    live.note([item.item_id for row in answer.rows for item in row.items], [])
    content = answer.to_dict()
    page.store(content, times, degraded=degraded)
    rows = [_row(service, page.asked, row) for row in answer.rows]
    return respond(request, live, times, content | {"rows": rows, "degraded": degraded})


@storefront_router.post("/v1/page/turn", dependencies=_READ, responses=PROBLEMS | {200: {"model": s.Turned}})
async def turn(request: Request, body: s.TurnBody, service: ServiceOf, live: LiveBundleOf, times: TimesOf) -> JSONResponse:
    """Return the items that follow in a row. None is repeated or skipped, also where another bundle is in use by now."""
    check_k(request, body.k)
    try:
        asked = service.cursors.read(body.cursor, body.k)
    except DataError as error:
        raise HTTPException(422, str(error)) from None
    request.scope["noted"]["user"] = service.pseudonym(asked.request.user)
    recent = lambda: service.recent(live.recommender, asked.request.user)  # noqa: E731
    answer, degraded = await service.pipeline.answer(ForTurn(live.storefront, asked, recent), times)
    live.note([item.item_id for item in answer.row.items], [])
    content = answer.to_dict()
    about = {"page_id": uuid.uuid4().hex, "page": asked.request.page, "user_id": asked.request.user, "rows": [content["row"]]}
    PageInArms.of(service, live, asked.request).store(content | about, times, degraded=degraded)
    return respond(request, live, times, content | {"row": _row(service, asked.request, answer.row), "degraded": degraded})


def _row(service: Service, asked: PageRequest, row: Row) -> dict[str, Any]:
    return row.to_dict() | {"cursor": service.cursors.write(asked, row)}
