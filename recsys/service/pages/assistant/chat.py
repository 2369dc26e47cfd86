"""Defines the routes of the chat with the assistant."""

from __future__ import annotations

from functools import cache, partial
from importlib.resources import files
from typing import TYPE_CHECKING

from fastapi import APIRouter, Depends, HTTPException, Request, Response

from features.errors import DataError
from recsys.apps.assistant.request import AssistantRequest
from recsys.dialogue.state import DialogueState
from recsys.service.answering import StageTimes
from recsys.service.assistant.routes import new_conversation, rated, replied
from recsys.service.assistant.schemas import RatingBody
from recsys.service.pages.assistant.forms import ChatForm, own_site
from recsys.service.pages.assistant.told import earlier_turns, last_turn
from recsys.service.pages.html import PageRoute, page
from recsys.service.routes import LiveBundleOf, ServiceOf  # noqa: TC001  FastAPI reads the annotations of a route

if TYPE_CHECKING:
    from collections.abc import Callable

    from recsys.apps.assistant.answers import Reply
    from recsys.service.container import Service
    from recsys.service.live_bundle import LiveBundle

chat_pages = APIRouter(route_class=PageRoute)


@chat_pages.get("/assistant")
async def empty(request: Request) -> Response:
    """Show the form."""
    return page(request, "assistant", form=ChatForm(), conversation=None, turns=[], problem="", rated=None)


@chat_pages.post("/assistant", dependencies=[Depends(own_site)])
async def said(request: Request, service: ServiceOf, live: LiveBundleOf) -> Response:
    """Answer the form's message, or take its thumb, and show the conversation."""
    form, wrong = ChatForm.of(await request.body())
    if form.user is not None:
        form = form.model_copy(update={"user": live.recommender.snapshot.log.spelt(form.user)})
    conversation, reply, status = form.continued, None, 200
    request.scope["noted"] |= {"user": service.pseudonym(form.user), "bundle_id": live.bundle.id}
    if form.new:
        return page(
            request,
            "assistant",
            form=ChatForm().model_copy(update={"user": form.user}),
            conversation=None,
            turns=[],
            problem="",
            rated=None,
        )
    try:
        if wrong:
            raise HTTPException(422, wrong)
        if form.thumb is not None:
            await _rate(request, service, form, conversation)
        elif not form.text:
            raise HTTPException(422, "the message is empty: ask something")
        else:
            reply = await _reply(request, service, live, form, conversation or new_conversation())
            conversation = reply.conversation
    except HTTPException as error:
        wrong, status = str(error.detail), error.status_code
    except DataError as error:
        wrong, status = str(error), 422
    state = reply.state if reply else await _state(service, request, form, conversation)
    turns = earlier_turns(state)
    if reply:
        turns = [*turns[:-1], last_turn(reply)]
    thumb = (form.turn, form.thumb) if form.thumb and not wrong else None
    kept = form if wrong else form.model_copy(update={"text": ""})
    return page(request, "assistant", status, form=kept, conversation=conversation, turns=turns, problem=wrong, rated=thumb)


async def _reply(request: Request, service: Service, live: LiveBundle, form: ChatForm, conversation: str) -> Reply:
    asked = AssistantRequest(form.text, conversation, form.user)
    return await replied(request, service, live, asked, _times(request))


async def _rate(request: Request, service: Service, form: ChatForm, conversation: str | None) -> None:
    if conversation is None or form.turn is None:
        raise HTTPException(422, "the thumb is for no answer: send it from the page")
    body = RatingBody(conversation=conversation, turn=form.turn, thumb=form.thumb or "up", user=form.user)
    await rated(service, body, _times(request))


async def _state(service: Service, request: Request, form: ChatForm, conversation: str | None) -> DialogueState:
    """Return what is known of the conversation; nothing where it is another customer's or cannot be read."""
    if conversation is None:
        return DialogueState()
    look: Callable[[], DialogueState] = partial(service.workspace.conversations.state, conversation, form.user)
    try:
        return await service.pipeline.run(look, _times(request), "page")
    except DataError:
        return DialogueState()


def _times(request: Request) -> StageTimes:
    return StageTimes.of(request.scope["noted"])


@cache
def chat_script() -> bytes:
    """Return the script of the chat."""
    return files("recsys.service.pages").joinpath("chat.js").read_bytes()
