"""Defines the routes of the page that shows the storefront as a customer sees it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Depends, Request, Response

from features.errors import DataError
from ranking.merchandising.place import PAGE_KINDS
from recsys.service.answering import StageTimes
from recsys.service.pages.html import PageRoute, page
from recsys.service.pages.storefront.form import StorefrontForm
from recsys.service.routes import LiveBundleOf, ServiceOf  # noqa: TC001  FastAPI reads the annotations of a route

if TYPE_CHECKING:
    from recsys.apps.storefront.answers import PageAnswer
    from recsys.service.container import Service
    from recsys.service.live_bundle import LiveBundle
    from recsys.service.pages.overview import Overview

storefront_pages = APIRouter(route_class=PageRoute)


def _overview(request: Request, live: LiveBundleOf) -> Overview:
    return request.app.state.views.overview(live.recommender)


OverviewOf = Annotated[Any, Depends(_overview)]


@storefront_pages.get("/storefront")
async def home(request: Request, service: ServiceOf, live: LiveBundleOf, overview: OverviewOf) -> Response:
    """Show the home page of an unknown visitor."""
    return await _shown(request, service, live, overview, StorefrontForm.model_validate({"in_stock": ["true"]}))


@storefront_pages.post("/storefront")
async def any_page(request: Request, service: ServiceOf, live: LiveBundleOf, overview: OverviewOf) -> Response:
    """Show the page that the form asks for. Customer ids are sent in bodies: addresses are logged by proxies."""
    form, error = StorefrontForm.of(await request.body())
    return await _shown(request, service, live, overview, form, error)


async def _shown(
    request: Request, service: Service, live: LiveBundle, overview: Overview, form: StorefrontForm, error: str = ""
) -> Response:
    request.scope["noted"] |= {"user": service.pseudonym(form.user), "bundle_id": live.bundle.id}

    def answered() -> tuple[PageAnswer | None, str]:
        if error:  # a page made without the faulty field would look like one that respects it
            return None, error
        try:
            return live.storefront.answer(form.asked, service.recent(live.recommender, form.user)), ""
        except DataError as wrong:
            return None, str(wrong)

    answer, problem = await service.pipeline.run(answered, StageTimes.of(request.scope["noted"]), "page")
    places = live.storefront.places
    return page(
        request,
        "storefront",
        422 if problem else 200,
        form=form,
        problem=problem,
        answer=answer,
        kinds=PAGE_KINDS,
        overview=overview,
        places=sorted(set(places.of.values())) if places else None,
        exploration=live.storefront.config.exploration,
    )
