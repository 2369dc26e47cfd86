"""The pages, and what each of them shows."""

from __future__ import annotations

import asyncio
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Depends, Request, Response

from features.errors import BundleError, DataError
from features.names import BUYERS, BUYERS_EVER
from recsys.recommend.answers import Match
from recsys.recommend.pipeline import recent_histories
from recsys.service.answering import Stages
from recsys.service.pages import reports
from recsys.service.pages.compare import Second
from recsys.service.pages.form import Asking, fields_of
from recsys.service.pages.html import PageRoute, page
from recsys.service.pages.overview import Sights
from recsys.service.pages.report_routes import told
from recsys.service.pages.session import signed_in, signed_out, visitor
from recsys.service.pages.trace import SOURCES, Looked, look, subjects
from recsys.service.routes import ServiceOf, ServingOf  # noqa: TC001  FastAPI reads the annotations of a route

if TYPE_CHECKING:
    from fastapi.responses import HTMLResponse

    from recsys.recommend.recommender import Recommender
    from recsys.service.container import Service

FOUND, NEAREST, LISTED = 12, 12, 200

pages = APIRouter(route_class=PageRoute, include_in_schema=False)
inside = APIRouter(route_class=PageRoute, include_in_schema=False, dependencies=[Depends(visitor)])


class Views:
    """What pages hold on to between requests."""

    def __init__(self, service: Service) -> None:
        self.second = Second(service.workspace)
        self._sights: Sights | None = None

    def sights(self, recommender: Recommender) -> Sights:
        """Of the bundle in use."""
        if self._sights is None or self._sights.recommender is not recommender:
            self._sights = Sights(recommender)
        return self._sights


def _views(request: Request) -> Views:
    return request.app.state.views


ViewsOf = Annotated[Any, Depends(_views)]


@pages.get("/page.css")
async def style() -> Response:
    """How pages look."""
    return Response(_style(), media_type="text/css; charset=utf-8", headers={"Cache-Control": "max-age=300"})


@cache
def _style() -> bytes:
    return files("recsys.service.pages").joinpath("page.css").read_bytes()


@pages.get("/login")
async def login(request: Request) -> Response:
    """Where a key is given."""
    return page(request, "login", said="")


@pages.post("/login")
async def give_key(request: Request) -> Response:
    """A key for a session."""
    keys = fields_of(await request.body()).get("key", [""])
    return signed_in(request, keys[-1].strip())


@pages.post("/logout")
async def logout() -> Response:
    """The end of a session."""
    return signed_out()


@inside.get("/")
async def first(request: Request, service: ServiceOf, serving: ServingOf, views: ViewsOf) -> Response:
    """What a visitor of whom nothing is known would be shown."""
    return await _recommendations(request, service, serving.recommender, views, Asking())


@inside.post("/")
async def recommendations(request: Request, service: ServiceOf, serving: ServingOf, views: ViewsOf) -> Response:
    """What the form asks for."""
    asking, said = Asking.of(await request.body())
    return await _recommendations(request, service, serving.recommender, views, asking, said)


async def _recommendations(
    request: Request, service: Service, recommender: Recommender, views: Views, asking: Asking, said: str = ""
) -> HTMLResponse:
    request.scope["noted"] |= {"user": service.pseudonym(asking.user), "bundle_id": recommender.bundle_id}
    stages = Stages(request.scope["noted"]["arrived"])
    second, problem = None, ""
    if asking.beside:
        try:
            second = await asyncio.to_thread(views.second.of, asking.beside)
        except BundleError as error:
            problem = str(error)

    def lists() -> tuple[list[Looked], str]:
        if said:  # a list that leaves a rule out would be taken for one that keeps it
            return [], said
        try:
            return [_look(service, one, asking) for one in (recommender, second) if one is not None], ""
        except DataError as error:
            return [], str(error)

    looked, wrong = await service.pipeline.run(lists, stages, "page")
    found = await service.pipeline.run(lambda: _found(recommender, asking.words), stages, "page") if asking.words else []
    rows = recommender.snapshot.catalog.rows([*asking.basket, *asking.exclude])
    known = {item: title for item, title, _, _ in recommender.facts(rows[rows >= 0])}
    return page(
        request,
        "recommendations",
        422 if wrong else 200,
        asking=asking,
        problems=[line for line in (wrong, problem) if line],
        looked=looked,
        found=found,
        titles={item: known.get(item, "not in the catalogue") for item in (*asking.basket, *asking.exclude)},
        sights=views.sights(recommender),
        bundles=[one for one in reports.published(service.workspace, recommender.bundle_id) if not one.current],
        sources=SOURCES,
        subjects=subjects,
        snapshot=recommender.snapshot,
        idle=recommender.ranker is not None and recommender.ranker.cross_encoder is None,
    )


def _look(service: Service, recommender: Recommender, asking: Asking) -> Looked:
    recent = None
    if asking.user is not None:
        events = service.workspace.events.of_user(asking.user)
        recent = recent_histories(recommender.snapshot, asking.user, events, service.settings.events)
    return look(recommender, asking.options, recent)


def _found(recommender: Recommender, words: str) -> list[Match]:
    """Items by their words; one whose id was given comes first."""
    near = recommender.search(words, FOUND).items
    row = recommender.snapshot.catalog.rows([words])
    if row[0] < 0:
        return list(near)
    return [Match(0, *recommender.facts(row)[0], 1.0), *(match for match in near if match.item_id != words)]


@inside.get("/map")
async def catalogue_map(request: Request, service: ServiceOf, serving: ServingOf, views: ViewsOf) -> Response:
    """Items by their vectors, all or one category."""
    stages = Stages(request.scope["noted"]["arrived"])
    sights = views.sights(serving.recommender)
    whole = await service.pipeline.run(lambda: sights.map, stages, "page")
    asked = request.query_params.get("group", "")
    group = int(asked) if asked.isdecimal() and len(asked) < 3 and int(asked) < len(whole.groups) else None
    shown = whole if group is None else whole.of_group(group)
    count = len(serving.recommender.snapshot.catalog)
    return page(request, "map", whole=whole, shown=shown, group=group, count=count, listed=LISTED)


@inside.get("/items/{item_id:path}")
async def item(request: Request, item_id: str, service: ServiceOf, serving: ServingOf) -> Response:
    """An item and its nearest neighbours."""
    recommender, stages = serving.recommender, Stages(request.scope["noted"]["arrived"])
    row = int(recommender.snapshot.catalog.rows_or_raise([item_id])[0])
    near = await service.pipeline.run(lambda: recommender.similar(item_id, NEAREST), stages, "page")
    stats = recommender.snapshot.stats.columns
    return page(
        request,
        "item",
        item=recommender.snapshot.catalog.frame.row(row, named=True),
        price=recommender.facts(recommender.snapshot.catalog.rows([item_id]))[0][3],
        near=near.items,
        buyers={days: int(stats[BUYERS.format(days)][row]) for days in (7, 28)},
        buyers_ever=int(stats[BUYERS_EVER][row]),
    )


inside.include_router(told)
pages.include_router(inside)
