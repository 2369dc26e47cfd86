"""Defines the routes of pages."""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Depends, HTTPException, Request
from fastapi.responses import JSONResponse  # noqa: TC002  FastAPI reads the annotations of a route

from features.errors import DataError
from recsys.apps.storefront.pipeline import PageStages, TurnStages
from recsys.service.access.guard import needs
from recsys.service.routes import PROBLEMS, LiveBundleOf, ServiceOf, TimesOf, check_k, respond
from recsys.service.storefront import schemas as s
from recsys.settings.names import Scope
from recsys.workspace.served_pages import ServedPage

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from features.data.histories import Histories
    from recsys.apps.storefront.answers import Row
    from recsys.apps.storefront.experiments.assignment import Assigned
    from recsys.apps.storefront.pipeline import Storefront
    from recsys.apps.storefront.request import PageRequest, Turn
    from recsys.service.answering import StageTimes
    from recsys.service.container import Service
    from recsys.service.live_bundle import LiveBundle
    from recsys.settings.apps.storefront import StorefrontConfig

storefront_router = APIRouter()
_READ = [Depends(needs(Scope.READ))]


@dataclass(frozen=True)
class PageAsked:
    """A request for a page, for `recsys.service.answering`; `recent` as in `RecommendRequest`, `config` that of the visitor's arms."""

    storefront: Storefront
    asked: PageRequest
    recent: Callable[[], Histories | None]
    config: StorefrontConfig

    def stages(self) -> PageStages:
        """Look up what the request names."""
        return PageStages.of(self.storefront, self.asked, self.recent(), self.config)


@dataclass(frozen=True)
class TurnAsked:
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
    asked = body.asked
    arms = service.experiments.assign(asked.page, body.user, body.session, int(time.time()))
    storefront = _storefront(service, live, arms)
    page_asked = PageAsked(storefront, asked, _recent(service, storefront, body.user), arms.settings.over(storefront.config))
    try:
        answer, degraded = await service.pipeline.answer(page_asked, times)
    except (DataError, HTTPException):
        raise
    except Exception:
        service.impressions.put(ServedPage(uuid.uuid4().hex, asked.page, int(time.time()), outcome="failed", **_visit(asked, arms, times)))
        raise
    live.note([item.item_id for row in answer.rows for item in row.items], [])
    content = answer.to_dict() | {"rows": [_row(service, asked, row) for row in answer.rows], "degraded": degraded}
    _store(service, content, asked, arms, times)
    return respond(request, live, times, content)


@storefront_router.post("/v1/page/turn", dependencies=_READ, responses=PROBLEMS | {200: {"model": s.Turned}})
async def turn(request: Request, body: s.TurnBody, service: ServiceOf, live: LiveBundleOf, times: TimesOf) -> JSONResponse:
    """Return the items that follow in a row. None is repeated or skipped, also where another bundle is in use by now."""
    check_k(request, body.k)
    try:
        turned = service.cursors.read(body.cursor, body.k)
    except DataError as error:
        raise HTTPException(422, str(error)) from None
    asked = turned.request
    request.scope["noted"]["user"] = service.pseudonym(asked.user)
    arms = service.experiments.assign(asked.page, asked.user, asked.session, int(time.time()))
    storefront = _storefront(service, live, arms)
    answer, degraded = await service.pipeline.answer(TurnAsked(storefront, turned, _recent(service, storefront, asked.user)), times)
    live.note([item.item_id for item in answer.row.items], [])
    row = _row(service, asked, answer.row)
    about = {"page_id": uuid.uuid4().hex, "page": asked.page, "user_id": asked.user, "bundle_id": answer.bundle_id, "rows": [row]}
    _store(service, about | {"degraded": degraded}, asked, arms, times)
    return respond(request, live, times, {"bundle_id": answer.bundle_id, "row": row, "degraded": degraded})


def _storefront(service: Service, live: LiveBundle, arms: Assigned) -> Storefront:
    """Return the storefront that answers: that of an arm's bundle, else the one in use."""
    bundle = arms.settings.bundle
    return (None if bundle is None else service.arm_bundles.storefront(bundle)) or live.storefront


def _recent(service: Service, storefront: Storefront, user: str | None) -> Callable[[], Histories | None]:
    return lambda: service.recent(storefront.recommender, user)


def _row(service: Service, asked: PageRequest, row: Row) -> dict[str, Any]:
    return row.to_dict() | {"cursor": service.cursors.write(asked, row)}


def _store(service: Service, content: Mapping[str, Any], asked: PageRequest, arms: Assigned, times: StageTimes) -> None:
    """Have the page stored as impressions, in the background."""
    served = ServedPage.of_answer(content, int(time.time()), **_visit(asked, arms, times))
    service.impressions.put(replace(served, outcome="degraded" if content["degraded"] else "ok"))


def _visit(asked: PageRequest, arms: Assigned, times: StageTimes) -> dict[str, Any]:
    about = {"session_id": asked.session, "context": asked.context, "exposures": arms.exposures}
    return about | {"milliseconds": round(1000 * times.elapsed, 3)}
