"""Defines the routes of the page of reviews: figures, aspects with quotes, and alerts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Query, Request, Response

from features.errors import DataError
from recsys.apps.reviews.request import ReviewsRequest
from recsys.service.answering import StageTimes
from recsys.service.pages.html import PageRoute, page
from recsys.service.routes import LiveBundleOf, ServiceOf  # noqa: TC001  FastAPI reads the annotations of a route

if TYPE_CHECKING:
    from recsys.apps.reviews.answers import ReviewAlert, ReviewsAnswer

review_pages = APIRouter(route_class=PageRoute)
Asked = Annotated[str, Query(max_length=256)]


@review_pages.get("/reviews")
async def reviews(
    request: Request, service: ServiceOf, live: LiveBundleOf, item: Asked = "", brand: Asked = "", category: Asked = "", aspect: Asked = ""
) -> Response:
    """Show what customers say of an item, a brand, a category or the shop, and the alerts."""
    form = {"item": item.strip(), "brand": brand.strip(), "category": category.strip(), "aspect": aspect.strip()}

    def read() -> tuple[ReviewsAnswer | None, list[ReviewAlert], str]:
        alerts = live.reviews.alerts()
        try:
            return live.reviews.answer(ReviewsRequest(**{name: value or None for name, value in form.items()})), alerts, ""
        except DataError as error:
            return None, alerts, str(error)

    times = StageTimes.of(request.scope["noted"])
    answer, alerts, problem = await service.pipeline.run(read, times, "page")
    status = 422 if problem and len(live.recommender.snapshot.reviews) else 200
    return page(request, "reviews", status, form=form, answer=answer, alerts=alerts, watched=live.reviews.watched, problem=problem)
