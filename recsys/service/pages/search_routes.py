"""Defines the routes of the search page: form, results, and suggestions while typing."""

from __future__ import annotations

from dataclasses import asdict
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse

from features.errors import DataError
from recsys.service.answering import StageTimes
from recsys.service.pages.form import SearchForm, fields_of, price_range
from recsys.service.pages.html import HEADERS, PageRoute, page
from recsys.service.routes import LiveBundleOf, ServiceOf  # noqa: TC001  FastAPI reads the annotations of a route
from recsys.service.search.schemas import PREFIX_LENGTH

if TYPE_CHECKING:
    from fastapi.responses import HTMLResponse

    from recsys.apps.search.answers import SearchAnswer
    from recsys.service.container import Service
    from recsys.service.live_bundle import LiveBundle

search_pages = APIRouter(route_class=PageRoute)


@search_pages.get("/search")
async def empty(request: Request, service: ServiceOf, live: LiveBundleOf) -> Response:
    """Show the form."""
    return await _found(request, service, live, SearchForm())


@search_pages.post("/search")
async def found(request: Request, service: ServiceOf, live: LiveBundleOf) -> Response:
    """Show what the form's words find. Words and customers are sent in bodies: addresses are logged by proxies."""
    form, error = SearchForm.of(await request.body())
    return await _found(request, service, live, form, error)


async def _found(request: Request, service: Service, live: LiveBundle, form: SearchForm, error: str = "") -> HTMLResponse:
    request.scope["noted"] |= {"user": service.pseudonym(form.user), "bundle_id": live.bundle.id}
    times = StageTimes.of(request.scope["noted"])

    def searched() -> tuple[SearchAnswer | None, str]:
        if error or not form.words:  # a list made without the faulty field would look like one that respects it
            return None, error
        try:
            recent = service.recent(live.recommender, form.user)
            return live.search.answer(form.options, [(form.words, form.user)], recent)[0], ""
        except DataError as wrong:
            return None, str(wrong)

    answer, problem = await service.pipeline.run(searched, times, "page")
    return page(
        request,
        "search",
        422 if problem else 200,
        form=form,
        problem=problem,
        answer=answer,
        reread=answer is not None and _words(answer.read_as) not in ([], _words(answer.query)),
        is_range=lambda value: any(price_range(value)),
    )


def _words(text: str) -> list[str]:
    return text.casefold().split()


@search_pages.post("/search/suggest")
async def suggested(request: Request, service: ServiceOf, live: LiveBundleOf) -> Response:
    """Return completions of what has been typed, for the page's script."""
    prefix = fields_of(await request.body()).get("prefix", [""])[-1][:PREFIX_LENGTH]
    times = StageTimes.of(request.scope["noted"])
    texts = await service.pipeline.run(lambda: live.search.suggest(prefix), times, "suggestion")
    return JSONResponse([asdict(one) for one in texts], headers={"Cache-Control": HEADERS["Cache-Control"]})


@cache
def script() -> bytes:
    """Return the page's script."""
    return files("recsys.service.pages").joinpath("suggest.js").read_bytes()
