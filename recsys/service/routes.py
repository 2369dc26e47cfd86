"""The ways in. Each answer names its bundle, whether it is degraded, and what its stages took."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Depends, HTTPException, Request, Response
from fastapi.responses import JSONResponse

from features.errors import BundleError, DataError
from recsys.recommend.recent_events import recent_histories
from recsys.service import schemas as s
from recsys.service.access import needs
from recsys.service.answering import Question, Stages
from recsys.service.metrics import EVENTS, FALLBACKS, page
from recsys.service.problems import problem
from recsys.settings.scopes import Scope
from recsys.workspace.events import DERIVED, Event

if TYPE_CHECKING:
    from recsys.recommend.answers import Answer
    from recsys.service.container import Service
    from recsys.service.live_bundle import Serving

DAY = 86_400
ERASE_SECONDS = 5.0  # to wait for a refresh: it takes minutes, and who waits holds one of the queue's places
_PROBLEMS: dict[int | str, dict[str, Any]] = dict.fromkeys((400, 401, 403, 408, 413, 422, 429, 503), s.PROBLEM)
_STORED = _PROBLEMS | {202: {"model": s.Stored}, 409: s.PROBLEM}
_ERASED = _PROBLEMS | {200: {"model": s.ErasedUser}, 404: s.PROBLEM}  # 404: no path can hold an id with a line break

router = APIRouter()


def _service(request: Request) -> Service:
    return request.app.state.service


def _serving(request: Request) -> Serving:
    serving = _service(request).current.serving
    if serving is None:
        raise HTTPException(503, "no bundle is in use: run `recsys build-index`", {"Retry-After": "10"})
    return serving


ServiceOf = Annotated[Any, Depends(_service)]
ServingOf = Annotated[Any, Depends(_serving)]


def _few(request: Request, k: int) -> None:
    most = _service(request).settings.serve.max_k
    if k > most:
        raise HTTPException(422, f"k is {k}, expected 1 to {most}")


def _answered(request: Request, serving: Serving, stages: Stages, body: dict[str, Any], status: int = 200) -> JSONResponse:
    about = {"bundle_id": serving.bundle.id, "degraded": False} | body | {"stages": stages.taken}
    request.scope["noted"].update({name: about[name] for name in ("bundle_id", "degraded", "stages")})
    return JSONResponse(about, status)


def _stages(request: Request) -> Stages:
    return Stages(request.scope["noted"]["arrived"])


StagesOf = Annotated[Any, Depends(_stages)]


@router.post("/v1/recommend", dependencies=[Depends(needs(Scope.READ))], responses=_PROBLEMS | {200: {"model": s.Recommended}})
async def recommend(request: Request, body: s.RecommendBody, service: ServiceOf, serving: ServingOf, stages: StagesOf) -> JSONResponse:
    """What a user is most likely to buy: each item with its probability and the reason."""
    _few(request, body.k)
    options = body.options

    def recent() -> Any:
        if body.user is None:
            return None
        return recent_histories(
            serving.recommender.snapshot, body.user, service.workspace.events.of_user(body.user), service.settings.events
        )

    request.scope["noted"]["user"] = service.pseudonym(body.user)
    answer, degraded = await service.pipeline.answer(Question(serving.recommender, options, recent), stages)
    _note(serving, answer)
    return _answered(request, serving, stages, answer.to_dict() | {"degraded": degraded})


def _note(serving: Serving, answer: Answer) -> None:
    if answer.fallback is not None:
        FALLBACKS.labels("unknown" if answer.items and answer.items[0].probability is not None else "untrained").inc()
    personal = [item.probability for item in answer.items if item.probability is not None] if answer.fallback is None else []
    serving.note([item.item_id for item in answer.items], personal)


@router.post("/v1/similar", dependencies=[Depends(needs(Scope.READ))], responses=_PROBLEMS | {200: {"model": s.Matched}})
async def similar(request: Request, body: s.SimilarBody, service: ServiceOf, serving: ServingOf, stages: StagesOf) -> JSONResponse:
    """Items nearest to an item."""
    _few(request, body.k)
    found = await service.pipeline.run(lambda: serving.recommender.similar(body.item, body.k), stages, "retrieval")
    return _answered(request, serving, stages, found.to_dict())


@router.post("/v1/search", dependencies=[Depends(needs(Scope.READ))], responses=_PROBLEMS | {200: {"model": s.Matched}})
async def search(request: Request, body: s.SearchBody, service: ServiceOf, serving: ServingOf, stages: StagesOf) -> JSONResponse:
    """Items nearest in meaning to some words."""
    _few(request, body.k)
    found = await service.pipeline.run(lambda: serving.recommender.search(body.text, body.k), stages, "retrieval")
    return _answered(request, serving, stages, found.to_dict())


@router.post(
    "/v1/events",
    status_code=202,
    dependencies=[Depends(needs(Scope.WRITE))],
    responses=_STORED,
)
async def events(request: Request, body: s.EventsBody, service: ServiceOf, serving: ServingOf, stages: StagesOf) -> JSONResponse:
    """What customers just did: on the disk before the answer, in the customer's next list, in the log at the next refresh or training."""
    told = [_event(number, event) for number, event in enumerate(body.events)]

    users = {event.user_id for event in told}

    def store() -> int | None:
        if service.erased(users):
            return None
        new = service.workspace.events.add(told)
        gone = service.erased(users)  # an erasure that came in between has not seen these events
        for user in gone:
            service.workspace.events.erase(user)
        return None if gone else new

    try:
        new = await service.pipeline.run(store, stages, "storing")
    except DataError as error:
        return problem(503, str(error), {"Retry-After": "10"})
    if new is None:
        return problem(409, "one of the users was erased, and stays so: leave their events out")
    EVENTS.inc(new)
    ids = [event.item_id for event in told]
    unknown = sorted({item for item, row in zip(ids, serving.recommender.snapshot.catalog.rows(ids).tolist(), strict=True) if row < 0})
    return _answered(request, serving, stages, {"accepted": len(told), "new": new, "unknown_items": unknown}, 202)


def _event(number: int, event: s.EventBody) -> Event:
    moment, now = event.timestamp, time.time()
    when = now if moment is None else (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    if not 0 <= when <= now + DAY:
        raise HTTPException(422, f"events.{number}.timestamp is {moment}, expected a time from 1970 until now")
    if (event.event_id or "").startswith(DERIVED):
        raise HTTPException(422, f"events.{number}.event_id begins with {DERIVED!r}, kept for ids made here: give another")
    return Event(event.user, event.item, event.event, int(when), event.quantity, event.value, event.event_id or "")


@router.delete("/v1/users/{user_id:path}", dependencies=[Depends(needs(Scope.ADMIN))], responses=_ERASED)
async def erase(request: Request, user_id: str, service: ServiceOf, serving: ServingOf, stages: StagesOf) -> JSONResponse:
    """Erase a user from events, log and every kept bundle. It takes as long as rewriting the bundles does; see docs/privacy.md."""
    from recsys.privacy.erasure import erase as erase_user

    request.scope["noted"]["user"] = service.pseudonym(user_id)
    try:
        with stages.timed("erasing"):
            erased = await asyncio.to_thread(partial(erase_user, service.workspace, user_id, patience=ERASE_SECONDS))
    except (DataError, BundleError) as error:
        return problem(503, str(error), {"Retry-After": "60"})
    body = {"events": erased.events, "rows": erased.rows, "bundles": erased.bundles, "models": erased.models}
    return _answered(request, serving, stages, body)


@router.get("/healthz")
async def healthz() -> dict[str, str]:
    """Whether the process answers."""
    return {"status": "ok"}


@router.get("/readyz", responses={503: s.PROBLEM})
async def readyz(serving: ServingOf) -> dict[str, str]:
    """Whether a bundle is in use, and which."""
    return {"status": "ready", "bundle_id": serving.bundle.id}


@router.get("/metrics", dependencies=[Depends(needs(Scope.READ))], response_class=Response)
async def metrics(service: ServiceOf) -> Response:
    """For Prometheus."""
    service.measure()
    return Response(page(), media_type="text/plain; version=0.0.4; charset=utf-8")
