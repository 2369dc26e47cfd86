"""Defines the routes of the page of customers: segments, cohorts, movements, and one customer."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Query, Request, Response

from features.errors import DataError
from recsys.service.answering import StageTimes
from recsys.service.customers.routes import known_customer
from recsys.service.pages.form import fields_of
from recsys.service.pages.html import PageRoute, page
from recsys.service.routes import LiveBundleOf, ServiceOf  # noqa: TC001  FastAPI reads the annotations of a route

if TYPE_CHECKING:
    from recsys.apps.customers.answers import CohortsAnswer, CustomerAnswer, CustomersAnswer, MovementsAnswer, SegmentsAnswer
    from recsys.service.container import Service
    from recsys.service.live_bundle import LiveBundle

customer_pages = APIRouter(route_class=PageRoute)
LISTED, MOVED, MONTHS = 50, 15, 12


@dataclass
class Shown:
    """What the page shows; `problem` is what is wrong with the request or the bundle."""

    user: str = ""
    segments: SegmentsAnswer | None = None
    listed: CustomersAnswer | None = None
    cohorts: CohortsAnswer | None = None
    movements: MovementsAnswer | None = None
    customer: CustomerAnswer | None = None
    problems: list[str] = field(default_factory=list)


@customer_pages.get("/customers")
async def customers(
    request: Request, service: ServiceOf, live: LiveBundleOf, segment: Annotated[str, Query(max_length=256)] = ""
) -> Response:
    """Show the segments, the customers of one of them, cohorts and movements."""
    return await _shown(request, service, live, segment.strip(), "")


@customer_pages.post("/customers")
async def one_customer(request: Request, service: ServiceOf, live: LiveBundleOf) -> Response:
    """Show one customer. The id is not part of an address, which browsers and proxies keep."""
    user = fields_of(await request.body()).get("user", [""])[-1].strip()
    request.scope["noted"]["user"] = service.pseudonym(user or None)
    return await _shown(request, service, live, "", user)


async def _shown(request: Request, service: Service, live: LiveBundle, segment: str, user: str) -> Response:
    times = StageTimes.of(request.scope["noted"])
    shown = await service.pipeline.run(lambda: _read(service, live, segment, user), times, "page")
    status = 422 if shown.problems and shown.segments is not None else 200
    return page(request, "customers", status, shown=shown, moved=MOVED, months=MONTHS)


def _read(service: Service, live: LiveBundle, segment: str, user: str) -> Shown:
    shown, reader = Shown(user), live.customers
    try:
        shown.segments, shown.cohorts, shown.movements = reader.segments(), reader.cohorts(), reader.movements()
        if segment:
            shown.listed = reader.of_segment(segment, LISTED, service.erased)
        if user:
            shown.customer = known_customer(service, live, user)
    except DataError as error:
        shown.problems.append(str(error))
    return shown
