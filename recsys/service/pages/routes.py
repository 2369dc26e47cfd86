"""Defines the routes of the pages, except those of reports."""

from __future__ import annotations

import asyncio
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Depends, Request, Response

from features.errors import BundleError, DataError
from recsys.apps.search.request import SearchOptions
from recsys.service.answering import StageTimes
from recsys.service.pages import reports
from recsys.service.pages.assistant.chat import chat_pages, chat_script
from recsys.service.pages.assistant.questions import QuestionVectors, question_changes, question_pages
from recsys.service.pages.compare import ComparedBundle
from recsys.service.pages.customers.routes import customer_pages
from recsys.service.pages.form import RecommendForm, fields_of
from recsys.service.pages.html import PageRoute, page
from recsys.service.pages.oidc_routes import oidc_pages
from recsys.service.pages.overview import Overview
from recsys.service.pages.report_routes import report_pages
from recsys.service.pages.review_routes import review_pages
from recsys.service.pages.search_routes import script, search_pages
from recsys.service.pages.session import signed_in, signed_out, visitor
from recsys.service.pages.storefront.experiment_routes import experiment_pages
from recsys.service.pages.storefront.routes import storefront_pages
from recsys.service.pages.storefront.rule_routes import rule_pages
from recsys.service.pages.trace import SOURCES, Trace, subjects, trace
from recsys.service.routes import LiveBundleOf, ServiceOf  # noqa: TC001  FastAPI reads the annotations of a route

if TYPE_CHECKING:
    from fastapi.responses import HTMLResponse

    from recsys.apps.search.answers import Hit
    from recsys.recommend.pipeline import Recommender
    from recsys.service.container import Service
    from recsys.service.live_bundle import LiveBundle

FOUND, NEAREST, LISTED = 12, 12, 200

pages = APIRouter(route_class=PageRoute, include_in_schema=False)
inside = APIRouter(route_class=PageRoute, include_in_schema=False, dependencies=[Depends(visitor)])


class Views:
    """Objects that pages keep between requests."""

    def __init__(self, service: Service) -> None:
        self.compared = ComparedBundle(service.workspace)
        self.questions = QuestionVectors()
        self._overview: Overview | None = None

    def overview(self, recommender: Recommender) -> Overview:
        """Return the overview of a bundle, computed once."""
        if self._overview is None or self._overview.recommender is not recommender:
            self._overview = Overview(recommender)
        return self._overview


def _views(request: Request) -> Views:
    return request.app.state.views


ViewsOf = Annotated[Any, Depends(_views)]


@pages.get("/page.css")
async def style() -> Response:
    """Return the style sheet."""
    return Response(_style(), media_type="text/css; charset=utf-8", headers={"Cache-Control": "max-age=300"})


@cache
def _style() -> bytes:
    return files("recsys.service.pages").joinpath("page.css").read_bytes()


@pages.get("/suggest.js")
async def suggestions() -> Response:
    """Return the script of the search page."""
    return Response(script(), media_type="text/javascript; charset=utf-8", headers={"Cache-Control": "max-age=300"})


@pages.get("/chat.js")
async def chat() -> Response:
    """Return the script of the chat."""
    return Response(chat_script(), media_type="text/javascript; charset=utf-8", headers={"Cache-Control": "max-age=300"})


@pages.get("/login")
async def login(request: Request) -> Response:
    """Show the form that takes a key."""
    return page(request, "login", detail="")


@pages.post("/login")
async def give_key(request: Request) -> Response:
    """Start a session, if the key is valid."""
    keys = fields_of(await request.body()).get("key", [""])
    return signed_in(request, keys[-1].strip())


@pages.post("/logout")
async def logout() -> Response:
    """End the session."""
    return signed_out()


@inside.get("/")
async def first(request: Request, service: ServiceOf, live: LiveBundleOf, views: ViewsOf) -> Response:
    """Show the list of an unknown visitor."""
    return await _recommendations(request, service, live, views, RecommendForm())


@inside.post("/")
async def recommendations(request: Request, service: ServiceOf, live: LiveBundleOf, views: ViewsOf) -> Response:
    """Show the lists that the form asks for."""
    form, form_error = RecommendForm.of(await request.body())
    return await _recommendations(request, service, live, views, form, form_error)


async def _recommendations(
    request: Request, service: Service, live: LiveBundle, views: Views, form: RecommendForm, form_error: str = ""
) -> HTMLResponse:
    recommender = live.recommender
    request.scope["noted"] |= {"user": service.pseudonym(form.user), "bundle_id": recommender.bundle_id}
    times = StageTimes.of(request.scope["noted"])
    compared, bundle_error = None, ""
    if form.beside:
        try:
            compared = await asyncio.to_thread(views.compared.of, form.beside)
        except BundleError as error:
            bundle_error = str(error)

    def lists() -> tuple[list[Trace], str]:
        if form_error:  # a list made without the faulty field would look like one that respects it
            return [], form_error
        try:
            return [_trace(service, one, form) for one in (recommender, compared) if one is not None], ""
        except DataError as error:
            return [], str(error)

    traces, error = await service.pipeline.run(lists, times, "page")
    hits = await service.pipeline.run(lambda: _hits(service, live, form), times, "page") if form.words else ()
    rows = recommender.snapshot.catalog.rows([*form.basket, *form.exclude])
    titles = {item: title for item, title, _, _ in recommender.facts(rows[rows >= 0])}
    return page(
        request,
        "recommendations",
        422 if error else 200,
        form=form,
        problems=[line for line in (error, bundle_error) if line],
        traces=traces,
        hits=hits,
        titles={item: titles.get(item, "not in the catalogue") for item in (*form.basket, *form.exclude)},
        overview=views.overview(recommender),
        bundles=[one for one in reports.published(service.workspace, recommender.bundle_id) if not one.current],
        sources=SOURCES,
        subjects=subjects,
        snapshot=recommender.snapshot,
        idle=recommender.ranker is not None and recommender.ranker.cross_encoder is None,
    )


def _trace(service: Service, recommender: Recommender, form: RecommendForm) -> Trace:
    return trace(recommender, form.user, form.options, service.recent(recommender, form.user))


def _hits(service: Service, live: LiveBundle, form: RecommendForm) -> tuple[Hit, ...]:
    recent = service.recent(live.recommender, form.user)
    return live.search.answer(SearchOptions(k=FOUND), [(form.words, form.user)], recent)[0].items


@inside.get("/map")
async def catalogue_map(request: Request, service: ServiceOf, live: LiveBundleOf, views: ViewsOf) -> Response:
    """Show items by their vectors, all of them or one category."""
    times = StageTimes.of(request.scope["noted"])
    overview = views.overview(live.recommender)
    full_map = await service.pipeline.run(lambda: overview.map, times, "page")
    number = request.query_params.get("group", "")
    group = int(number) if number.isdecimal() and len(number) < 3 and int(number) < len(full_map.groups) else None
    shown = full_map if group is None else full_map.of_group(group)
    count = len(live.recommender.snapshot.catalog)
    return page(request, "map", full_map=full_map, shown=shown, group=group, count=count, listed=LISTED)


@inside.get("/items/{item_id:path}")
async def item(request: Request, item_id: str, service: ServiceOf, live: LiveBundleOf) -> Response:
    """Show an item and its nearest neighbours."""
    recommender, times = live.recommender, StageTimes.of(request.scope["noted"])
    buyers = recommender.buyers
    row = int(recommender.snapshot.catalog.rows_or_raise([item_id])[0])
    near = await service.pipeline.run(lambda: recommender.similar(item_id, NEAREST), times, "page")
    return page(
        request,
        "item",
        item=recommender.snapshot.catalog.frame.row(row, named=True),
        price=recommender.facts(recommender.snapshot.catalog.rows([item_id]))[0][3],
        near=near.items,
        week=None if buyers.week is None else int(buyers.week[row]),
        month=None if buyers.month is None else int(buyers.month[row]),
        ever=int(buyers.ever[row]),
    )


inside.include_router(report_pages)
inside.include_router(search_pages)
inside.include_router(review_pages)
inside.include_router(customer_pages)
inside.include_router(storefront_pages)
inside.include_router(rule_pages)
inside.include_router(experiment_pages)
inside.include_router(chat_pages)
inside.include_router(question_pages)
pages.include_router(inside)
pages.include_router(question_changes)
pages.include_router(oidc_pages)
