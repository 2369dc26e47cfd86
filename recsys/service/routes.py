"""Defines the routes of the API. Each answer names its bundle, whether it is degraded, and what its stages took."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Depends, HTTPException, Request, Response
from fastapi.responses import JSONResponse

from features.errors import BundleError, DataError, StorageError
from features.ingest.values.placeholders import NO_ID
from features.ingest.values.visitors import GUEST
from recsys.service import schemas as s
from recsys.service.access.guard import needs
from recsys.service.answering import RecommendRequest, StageTimes
from recsys.service.metrics import EVENTS, FALLBACKS, page
from recsys.service.problems import problem
from recsys.settings.names import Scope
from recsys.workspace.events import DERIVED, Event

if TYPE_CHECKING:
    from recsys.recommend.answers import Answer
    from recsys.service.container import Service
    from recsys.service.live_bundle import LiveBundle
    from recsys.snapshot.snapshot import Snapshot

ERASE_SECONDS = 5.0  # to wait for a refresh: it takes minutes, and a waiting request occupies a place in the queue
PROBLEMS: dict[int | str, dict[str, Any]] = dict.fromkeys((400, 401, 403, 408, 413, 422, 429, 503), s.PROBLEM)
_STORED = PROBLEMS | {202: {"model": s.Stored}, 409: s.PROBLEM}
_ERASED = PROBLEMS | {200: {"model": s.ErasedUser}, 404: s.PROBLEM}  # 404: no path can hold an id with a line break

router = APIRouter()


def _service(request: Request) -> Service:
    return request.app.state.service


def _serving(request: Request) -> LiveBundle:
    live = _service(request).bundles.live
    if live is None:
        raise HTTPException(503, "no bundle is in use: run `recsys build-index`", {"Retry-After": "10"})
    return live


ServiceOf = Annotated[Any, Depends(_service)]
LiveBundleOf = Annotated[Any, Depends(_serving)]


def check_k(request: Request, k: int) -> None:
    """Refuse a list longer than `serve.max_k`."""
    largest = _service(request).settings.serve.max_k
    if k > largest:
        raise HTTPException(422, f"k is {k}, expected 1 to {largest}")


def respond(request: Request, live: LiveBundle, times: StageTimes, body: dict[str, Any], status: int = 200) -> JSONResponse:
    """Return an answer with the keys that every answer has, and note them for the log."""
    content = {"bundle_id": live.bundle.id, "degraded": False} | body | {"stages": times.milliseconds}
    request.scope["noted"].update({name: content[name] for name in ("bundle_id", "degraded", "stages")})
    return JSONResponse(content, status)


def _times(request: Request) -> StageTimes:
    return StageTimes.of(request.scope["noted"])


TimesOf = Annotated[Any, Depends(_times)]


@router.post("/v1/recommend", dependencies=[Depends(needs(Scope.READ))], responses=PROBLEMS | {200: {"model": s.Recommended}})
async def recommend(request: Request, body: s.RecommendBody, service: ServiceOf, live: LiveBundleOf, times: TimesOf) -> JSONResponse:
    """Return the items that a user is most likely to buy, each with its probability and a reason."""
    check_k(request, body.k)
    request.scope["noted"]["user"] = service.pseudonym(body.user)
    recent = partial(service.recent, live.recommender, body.user)
    answer, degraded = await service.pipeline.answer(RecommendRequest(live.recommender, body.user, body.options, recent), times)
    _count(live, answer)
    return respond(request, live, times, answer.to_dict() | {"degraded": degraded})


def _count(live: LiveBundle, answer: Answer) -> None:
    if answer.fallback is not None:
        FALLBACKS.labels("unknown" if answer.items and answer.items[0].probability is not None else "untrained").inc()
    personal = [item.probability for item in answer.items if item.probability is not None] if answer.fallback is None else []
    live.note([item.item_id for item in answer.items], personal)


@router.post("/v1/similar", dependencies=[Depends(needs(Scope.READ))], responses=PROBLEMS | {200: {"model": s.Matched}})
async def similar(request: Request, body: s.SimilarBody, service: ServiceOf, live: LiveBundleOf, times: TimesOf) -> JSONResponse:
    """Return the items nearest to an item."""
    check_k(request, body.k)
    near = lambda: live.recommender.similar(body.item, body.k, body.max_per_group, variants=body.variants)  # noqa: E731
    matches = await service.pipeline.run(near, times, "retrieval")
    return respond(request, live, times, matches.to_dict())


@router.post(
    "/v1/events",
    status_code=202,
    dependencies=[Depends(needs(Scope.WRITE))],
    responses=_STORED,
)
async def events(request: Request, body: s.EventsBody, service: ServiceOf, live: LiveBundleOf, times: TimesOf) -> JSONResponse:
    """Store what customers just did: on disk before the answer, and counted in the customer's next list."""
    batch = [_event(number, event, service.guests, live.recommender.snapshot) for number, event in enumerate(body.events)]
    users = {event.user_id for event in batch}

    def store() -> int | None:
        if service.erased(users):
            return None
        new = service.workspace.events.add(batch)
        erased = service.erased(users)  # an erasure that ran in between has not seen these events
        for user in erased:
            service.workspace.events.erase(user)
        return None if erased else new

    try:
        new = await service.pipeline.run(store, times, "storing")
    except DataError as error:
        return problem(503, str(error), {"Retry-After": "10"})
    if new is None:
        return problem(409, "one of the users has been erased: leave out their events")
    EVENTS.inc(new)
    for user in users:
        service.searches.acted(service.pseudonym(user))
    ids = [event.item_id for event in batch]
    unknown = sorted({item for item, row in zip(ids, live.recommender.snapshot.catalog.rows(ids).tolist(), strict=True) if row < 0})
    return respond(request, live, times, {"accepted": len(batch), "new": new, "unknown_items": unknown}, 202)


def _event(number: int, event: s.EventBody, guests: frozenset[str], snapshot: Snapshot) -> Event:
    when = time.time() if event.timestamp is None else event.timestamp.replace(tzinfo=UTC).timestamp()
    if event.user in NO_ID and event.user not in guests:
        raise HTTPException(422, f"events.{number}.user is {event.user!r}, which stands for no user: leave out events without one")
    if (event.event_id or "").startswith(DERIVED):
        raise HTTPException(422, f"events.{number}.event_id begins with {DERIVED!r}, which is reserved: use another id")
    # As ingest reads a guest's order: everybody without an account is not one visitor.
    user = f"{GUEST}{event.event_id or int(when)}" if event.user in guests else snapshot.log.spelt(event.user)
    return Event(user, snapshot.catalog.spelt(event.item), event.event, int(when), event.quantity, event.value, event.event_id or "")


@router.delete("/v1/users/{user_id:path}", dependencies=[Depends(needs(Scope.ADMIN))], responses=_ERASED)
async def erase(request: Request, user_id: str, service: ServiceOf, live: LiveBundleOf, times: TimesOf) -> JSONResponse:
    """Erase a user from events, conversations, impressions, log and all stored bundles, which are rewritten; see docs/privacy.md."""
    from recsys.remote.publishing import erase_everywhere

    request.scope["noted"]["user"] = service.pseudonym(user_id)
    try:
        with times.timed("erasing"), service.long_task():
            erase_user = partial(erase_everywhere, service.workspace, service.settings, user_id, patience=ERASE_SECONDS)
            erased, _ = await asyncio.to_thread(erase_user)
    except (DataError, BundleError, StorageError) as error:
        return problem(503, str(error), {"Retry-After": "60"})
    body = {
        "events": erased.events,
        "conversations": erased.conversations,
        "pages": erased.pages,
        "rows": erased.rows,
        "bundles": erased.bundles,
        "models": erased.models,
    }
    return respond(request, live, times, body)


@router.get("/healthz")
async def healthz() -> dict[str, str]:
    """Report that the process answers."""
    return {"status": "ok"}


@router.get("/readyz", responses={503: s.PROBLEM})
async def readyz(live: LiveBundleOf) -> dict[str, str]:
    """Report which bundle is in use; 503 until there is one."""
    return {"status": "ready", "bundle_id": live.bundle.id}


@router.get("/metrics", dependencies=[Depends(needs(Scope.READ))], response_class=Response)
async def metrics(service: ServiceOf) -> Response:
    """Return the metrics in Prometheus' text format."""
    service.measure()
    return Response(page(), media_type="text/plain; version=0.0.4; charset=utf-8")
