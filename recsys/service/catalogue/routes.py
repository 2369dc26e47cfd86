"""Defines the route by which a shop's software tells of new prices and stock."""

from __future__ import annotations

import time
from datetime import UTC
from typing import TYPE_CHECKING

from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse  # noqa: TC002  FastAPI reads the annotations of a route

from features.errors import DataError
from recsys.service.access.guard import needs
from recsys.service.catalogue import schemas as s
from recsys.service.metrics import ITEM_CHANGES
from recsys.service.problems import problem
from recsys.service.routes import PROBLEMS, LiveBundleOf, ServiceOf, TimesOf, respond
from recsys.settings.names import Scope
from recsys.workspace.item_changes import ItemChange

if TYPE_CHECKING:
    from features.data.catalog import Catalog

catalogue_router = APIRouter()
_STORED = PROBLEMS | {202: {"model": s.ItemsStored}}


@catalogue_router.post("/v1/items", status_code=202, dependencies=[Depends(needs(Scope.WRITE))], responses=_STORED)
async def items(request: Request, body: s.ItemsBody, service: ServiceOf, live: LiveBundleOf, times: TimesOf) -> JSONResponse:
    """Store new prices and stock: on disk before the answer, and in all answers within a second, without a refresh."""
    catalog = live.recommender.snapshot.catalog
    changes = [_change(item, catalog) for item in body.items]

    def store() -> int:
        new = service.workspace.item_changes.add(changes)
        live.changes.catch_up()
        return new

    try:
        new = await service.pipeline.run(store, times, "storing")
    except DataError as error:
        return problem(503, str(error), {"Retry-After": "10"})
    ITEM_CHANGES.inc(new)
    outdated = sum(max(change.price_time, change.stock_time) <= live.changes.items.as_of for change in changes)
    ids = [change.item_id for change in changes]
    unknown = sorted({item for item, row in zip(ids, catalog.rows(ids).tolist(), strict=True) if row < 0})
    return respond(request, live, times, {"accepted": len(changes), "new": new, "outdated": outdated, "unknown_items": unknown}, 202)


def _change(item: s.ItemBody, catalog: Catalog) -> ItemChange:
    now = time.time()
    when = now if item.timestamp is None else min(now, item.timestamp.replace(tzinfo=UTC).timestamp())
    return ItemChange.at(catalog.spelt(item.item), when, item.price, item.available, item.stock)
