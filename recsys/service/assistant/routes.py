"""Defines the routes of the assistant, and what its page shares with them."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from fastapi import APIRouter, Depends, HTTPException, Request
from fastapi.responses import JSONResponse  # noqa: TC002  FastAPI reads the annotations of a route

from features.errors import DataError
from recsys.apps.assistant.pipeline import outcome_of
from recsys.apps.assistant.request import AssistantRequest
from recsys.dialogue.conversations import ConversationError, UnknownConversationError
from recsys.service import schemas as common
from recsys.service.access.guard import needs
from recsys.service.assistant import schemas as s
from recsys.service.metrics import ASSISTANT_TURNS, HAND_OVERS, THUMBS
from recsys.service.routes import PROBLEMS, LiveBundleOf, ServiceOf, TimesOf, respond
from recsys.settings.names import Scope

if TYPE_CHECKING:
    from recsys.apps.assistant.answers import Reply
    from recsys.apps.assistant.pipeline import Assistant
    from recsys.dialogue.state import DialogueState
    from recsys.service.answering import StageTimes
    from recsys.service.container import Service
    from recsys.service.live_bundle import LiveBundle

assistant_router = APIRouter()
_READ = [Depends(needs(Scope.READ))]
_REPLIED = PROBLEMS | {200: {"model": s.Replied}, 409: common.PROBLEM}
_WRITE = [Depends(needs(Scope.WRITE))]
_HANDED_BACK = PROBLEMS | {200: {"model": s.HandedBack}, 404: common.PROBLEM, 409: common.PROBLEM}
_RATED = PROBLEMS | {200: {"model": s.Rated}, 404: common.PROBLEM, 409: common.PROBLEM}


def new_conversation() -> str:
    """Return a name that nobody guesses: who knows a visitor's can continue the conversation."""
    return secrets.token_urlsafe(24)


def assistant_of(live: LiveBundle) -> Assistant:
    """Return the assistant of the bundle in use.

    Raises
    ------
    HTTPException
        503 where it could not be opened.
    """
    if live.assistant is None:
        raise HTTPException(503, "the assistant does not answer, because one of its files or tools is wrong: see the service's log")
    return live.assistant


async def replied(request: Request, service: Service, live: LiveBundle, asked: AssistantRequest, times: StageTimes) -> Reply:
    """Answer a message, and count and note what became of it.

    Raises
    ------
    HTTPException
        409 where the conversation is another customer's, another message of it is answered at this moment, or the customer has been
        erased; 503 where it cannot be stored.
    """
    assistant, noted = assistant_of(live), request.scope["noted"]
    noted["user"] = service.pseudonym(asked.user)
    if service.settings.serve.log_queries:
        noted["query"] = asked.text

    def answer() -> Reply | None:
        user = asked.user
        if user is not None and service.erased({user}):
            return None
        reply = assistant.answer(asked)
        if user is not None and service.erased({user}):  # an erasure that ran in between has not seen this turn
            service.workspace.conversations.erase([user])
            return None
        return reply

    try:
        reply = await service.pipeline.converse(answer, times)
    except ConversationError as error:
        raise HTTPException(409, str(error)) from None
    except DataError as error:
        raise HTTPException(503, str(error), {"Retry-After": "10"}) from None
    if reply is None:
        raise HTTPException(409, "the customer has been erased: send the message without the user")
    noted["outcome"] = outcome_of(reply)
    ASSISTANT_TURNS.labels(outcome_of(reply)).inc()
    if reply.newly_handed_over:
        HAND_OVERS.labels(reply.state.handed_over).inc()
    return reply


async def rated(service: Service, body: s.RatingBody, times: StageTimes) -> None:
    """Store what a customer thinks of an answer.

    Raises
    ------
    HTTPException
        404 where there is no such turn, 409 where the conversation is another customer's, 503 where it cannot be stored.
    """
    kept = service.workspace.conversations

    def store() -> bool:
        kept.state(body.conversation, body.user)
        return kept.rate(body.conversation, body.turn, 1 if body.thumb == "up" else -1)

    try:
        found = await service.pipeline.run(store, times, "storing")
    except ConversationError as error:
        raise HTTPException(409, str(error)) from None
    except DataError as error:
        raise HTTPException(503, str(error), {"Retry-After": "10"}) from None
    if not found:
        raise HTTPException(404, f"the conversation has no turn {body.turn}: send conversation and turn as the answer gave them")
    THUMBS.labels(body.thumb).inc()


async def handed_back(service: Service, live: LiveBundle, conversation: str, times: StageTimes) -> DialogueState:
    """Let the assistant answer again in a conversation that a person took over.

    Raises
    ------
    HTTPException
        404 where there is no such conversation, 409 where it is not handed over, 503 where it cannot be stored.
    """
    assistant = assistant_of(live)
    try:
        return await service.pipeline.run(lambda: assistant.hand_back(conversation), times, "storing")
    except UnknownConversationError as error:
        raise HTTPException(404, str(error)) from None
    except ConversationError as error:
        raise HTTPException(409, str(error)) from None
    except DataError as error:
        raise HTTPException(503, str(error), {"Retry-After": "10"}) from None


@assistant_router.post("/v1/assistant", dependencies=_READ, responses=_REPLIED)
async def assistant(request: Request, body: s.AssistantBody, service: ServiceOf, live: LiveBundleOf, times: TimesOf) -> JSONResponse:
    """Answer a customer's message from what the shop knows, ask back, or hand over to a person."""
    user = None if body.user is None else live.recommender.snapshot.log.spelt(body.user)
    asked = AssistantRequest(body.text, body.conversation or new_conversation(), user)
    reply = await replied(request, service, live, asked, times)
    return respond(request, live, times, reply.to_dict())


@assistant_router.post("/v1/assistant/rating", dependencies=_READ, responses=_RATED)
async def rating(request: Request, body: s.RatingBody, service: ServiceOf, live: LiveBundleOf, times: TimesOf) -> JSONResponse:
    """Store a thumb up or down for an answer; a second one replaces the first."""
    user = None if body.user is None else live.recommender.snapshot.log.spelt(body.user)
    request.scope["noted"]["user"] = service.pseudonym(user)
    await rated(service, body.model_copy(update={"user": user}), times)
    return respond(request, live, times, {"conversation": body.conversation, "turn": body.turn, "thumb": body.thumb})


@assistant_router.post("/v1/assistant/hand-back", dependencies=_WRITE, responses=_HANDED_BACK)
async def hand_back(request: Request, body: s.HandBackBody, service: ServiceOf, live: LiveBundleOf, times: TimesOf) -> JSONResponse:
    """Give a conversation that a person took over back to the assistant. It leaves the queue."""
    state = await handed_back(service, live, body.conversation, times)
    answer = {"conversation": body.conversation, "turn": state.turn, "text": state.transcript[-1].assistant}
    return respond(request, live, times, answer)
