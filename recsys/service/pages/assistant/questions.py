"""Defines the page of questions: what was asked, what was not answered, what a person must take over, and answers to add."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from fastapi import APIRouter, Depends, HTTPException, Request, Response
from fastapi.responses import RedirectResponse

from features.text.languages.names import ENGLISH_NAMES
from recsys.apps.assistant.operation.clusters import QuestionCluster, clusters, wording
from recsys.dialogue.conversations import AddedAnswer
from recsys.service.answering import StageTimes
from recsys.service.assistant.routes import handed_back
from recsys.service.pages.assistant.forms import QuestionForm, own_site, turn_key, turn_keys
from recsys.service.pages.html import PageRoute, page
from recsys.service.pages.session import editor
from recsys.service.routes import LiveBundleOf, ServiceOf  # noqa: TC001  FastAPI reads the annotations of a route

if TYPE_CHECKING:
    from collections.abc import Sequence

    from recsys.dialogue.conversations import Conversations, TurnRecord
    from recsys.dialogue.state import DialogueState
    from recsys.recommend.pipeline import Recommender
    from recsys.service.container import Service
    from recsys.service.live_bundle import LiveBundle

MOST = 500  # latest questions and hand-overs that the page reads
SHOWN = 50  # groups, and conversations of the queue
question_pages = APIRouter(route_class=PageRoute)
question_changes = APIRouter(route_class=PageRoute, include_in_schema=False, dependencies=[Depends(own_site), Depends(editor)])


@dataclass(frozen=True)
class Queued:
    """A conversation that a person must take over, and its messages since then."""

    user: str | None
    state: DialogueState
    turns: tuple[TurnRecord, ...]

    @property
    def seconds(self) -> float:
        """Seconds since its last message."""
        return time.time() - self.turns[0].time

    @property
    def understood(self) -> str:
        """What was understood, as JSON."""
        return self.state.model_dump_json(exclude={"transcript", "tried"}, exclude_none=True)

    @property
    def reason(self) -> str | None:
        """Why it was handed over."""
        return self.turns[-1].reason


@dataclass
class QuestionVectors:
    """Vectors of the questions that the page showed last."""

    _recommender: Recommender | None = None
    _known: dict[str, np.ndarray] = field(default_factory=dict)

    def of(self, recommender: Recommender, texts: Sequence[str]) -> np.ndarray:
        """Return vectors of unit norm, float32 (n, dim); only new texts are encoded."""
        known = self._known if self._recommender is recommender else {}
        new = [text for text in texts if text not in known]
        encoded = recommender.model.encode_queries(new).vectors if new else ()
        known = {**known, **dict(zip(new, encoded, strict=True))}
        self._recommender, self._known = recommender, {text: known[text] for text in texts}
        return np.stack(list(self._known.values())) if texts else np.zeros((0, 1), dtype=np.float32)


@question_pages.get("/assistant/questions")
async def questions(request: Request, service: ServiceOf, live: LiveBundleOf) -> Response:
    """Show counts, questions without an answer, the queue and the added answers."""
    return await _page(request, service, live, QuestionForm(), (200, ""))


@question_changes.post("/assistant/questions")
async def change(request: Request, service: ServiceOf, live: LiveBundleOf) -> Response:
    """Add an answer, take one away, take questions off a list, or give a conversation back; then show the page."""
    form, wrong = QuestionForm.of(await request.body())
    if wrong := wrong or form.lacks:
        return await _page(request, service, live, form, (422, wrong))
    if form.act == "back" and form.conversation:
        return await _given_back(request, service, live, form, form.conversation)
    kept = service.workspace.conversations

    def changed() -> int:
        number = 0
        if form.act == "add":
            added = AddedAnswer(form.question, form.answer, form.language, form.link)
            number = kept.add_answer(added, int(time.time()))
        elif form.act == "remove" and form.number is not None:
            kept.remove_answer(form.number)
        kept.done(form.turns)
        return number

    number = await service.pipeline.run(changed, _times(request), "storing")
    # Sent again by a reload, the form would add the answer twice.
    return RedirectResponse(f"/assistant/questions?added={number}#added" if number else "/assistant/questions", 303)


async def _given_back(request: Request, service: Service, live: LiveBundle, form: QuestionForm, conversation: str) -> Response:
    try:
        await handed_back(service, live, conversation, _times(request))
    except HTTPException as error:
        return await _page(request, service, live, form, (error.status_code, str(error.detail)))
    return RedirectResponse("/assistant/questions?back=1#back", 303)


async def _page(request: Request, service: Service, live: LiveBundle, form: QuestionForm, problem: tuple[int, str]) -> Response:
    vectors: QuestionVectors = request.app.state.views.questions
    number = request.query_params.get("added", "")

    def read() -> dict[str, Any]:
        kept = service.workspace.conversations
        answers = kept.answers()
        return {
            "counts": kept.counts(),
            "groups": _grouped(kept, live, vectors),
            "queue": _queue(kept),
            "answers": answers[::-1],
            "added": next((one for one in answers if str(one.number) == number), None),
        }

    found = await service.pipeline.run(read, _times(request), "page")
    languages = sorted({*service.settings.assistant.languages, *live.recommender.snapshot.help.pages.language} - {""})
    names = {code: ENGLISH_NAMES.get(code, code) for code in languages}
    status, wrong = problem
    keys = {"turn_key": turn_key, "keys_of": turn_keys}
    back = "back" in request.query_params
    return page(request, "questions", status, **found, **keys, form=form, problem=wrong, back=back, languages=names, most=SHOWN)


def _grouped(kept: Conversations, live: LiveBundle, vectors: QuestionVectors) -> list[QuestionCluster]:
    turns = kept.turns("unanswered", MOST)
    wordings = list(dict.fromkeys(map(wording, turns)))
    return clusters(turns, wordings, vectors.of(live.recommender, wordings))


def _queue(kept: Conversations) -> list[Queued]:
    """Return conversations that were handed over, the latest first."""
    turns: dict[str, list[TurnRecord]] = {}
    for turn in kept.turns("handed_over", MOST):
        turns.setdefault(turn.conversation, []).append(turn)
    queue = []
    for conversation, found in list(turns.items())[:SHOWN]:
        known = kept.kept(conversation)
        if known is not None:  # not erased meanwhile
            queue.append(Queued(*known, tuple(found)))
    return queue


def _times(request: Request) -> StageTimes:
    return StageTimes.of(request.scope["noted"])
