"""Defines the routes of customers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import JSONResponse  # noqa: TC002  FastAPI reads the annotations of a route

from features.data.ids import normal_id
from recsys.apps.customers.reader import UnknownCustomerError, unknown
from recsys.service import schemas as common
from recsys.service.access.guard import needs
from recsys.service.customers import schemas as s
from recsys.service.problems import problem
from recsys.service.routes import PROBLEMS, LiveBundleOf, ServiceOf, TimesOf, check_k, respond
from recsys.settings.names import Scope

if TYPE_CHECKING:
    from recsys.apps.customers.answers import CohortsAnswer, CustomerAnswer, CustomersAnswer, MovementsAnswer, SegmentsAnswer
    from recsys.service.container import Service
    from recsys.service.live_bundle import LiveBundle

customers_router = APIRouter()
_READ = [Depends(needs(Scope.READ))]
_LISTED = PROBLEMS | {200: {"model": s.Segments | s.SegmentCustomers}}
_COHORTS, _MOVEMENTS = PROBLEMS | {200: {"model": s.Cohorts}}, PROBLEMS | {200: {"model": s.Movements}}
_KNOWN = PROBLEMS | {200: {"model": s.Customer}, 404: common.PROBLEM}


def known_customer(service: Service, live: LiveBundle, user_id: str) -> CustomerAnswer:
    """Return one customer. Who has been erased is unknown at once, before the bundle without them is in use.

    Raises
    ------
    UnknownCustomerError
        There is none of this id, or they have been erased or have bought nothing.
    DataError
        The bundle cannot say anything of customers.
    """
    user_id = normal_id(user_id)
    if service.erased({user_id}):
        raise UnknownCustomerError(unknown(user_id))
    return live.customers.customer(user_id)


@customers_router.get("/v1/customers", dependencies=_READ, responses=_LISTED)
async def customers(
    request: Request, service: ServiceOf, live: LiveBundleOf, times: TimesOf, asked: Annotated[s.CustomersQuery, Query()]
) -> JSONResponse:
    """Return the segments, or the customers of one with the largest expected spend."""
    check_k(request, asked.k)

    def read() -> SegmentsAnswer | CustomersAnswer:
        if asked.segment is None:
            return live.customers.segments()
        return live.customers.of_segment(asked.segment, asked.k, service.erased)

    answer = await service.pipeline.run(read, times, "customers")
    return respond(request, live, times, answer.to_dict())


@customers_router.get("/v1/customers/{user_id:path}", dependencies=_READ, responses=_KNOWN)
async def customer(request: Request, user_id: str, service: ServiceOf, live: LiveBundleOf, times: TimesOf) -> JSONResponse:
    """Return what is known and expected of one customer."""
    request.scope["noted"]["user"] = service.pseudonym(user_id)
    try:
        answer = await service.pipeline.run(lambda: known_customer(service, live, user_id), times, "customers")
    except UnknownCustomerError as error:
        return problem(404, str(error))
    return respond(request, live, times, answer.to_dict())


# Not below /v1/customers/, where they would hide customers of these ids.
@customers_router.get("/v1/cohorts", dependencies=_READ, responses=_COHORTS)
async def cohorts(request: Request, service: ServiceOf, live: LiveBundleOf, times: TimesOf) -> JSONResponse:
    """Return customers by the month of their first purchase: who came back, and what they spent."""

    def read() -> CohortsAnswer:
        return live.customers.cohorts()

    answer = await service.pipeline.run(read, times, "customers")
    return respond(request, live, times, answer.to_dict())


@customers_router.get("/v1/movements", dependencies=_READ, responses=_MOVEMENTS)
async def movements(request: Request, service: ServiceOf, live: LiveBundleOf, times: TimesOf) -> JSONResponse:
    """Return who moved between segments since the refresh before, and alerts that have not ended."""

    def read() -> MovementsAnswer:
        return live.customers.movements()

    answer = await service.pipeline.run(read, times, "customers")
    return respond(request, live, times, answer.to_dict())
