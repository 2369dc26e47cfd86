"""One turn of a conversation, from top to bottom: load the state, understand, do what the commands say, write, store."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING

import polars as pl

from features.errors import DataError
from features.ingest.values.personal_data import masked
from recsys.apps.assistant.answers import HandedOver, Question, Reply
from recsys.apps.assistant.components import AssistantComponents
from recsys.apps.assistant.turn import TurnRunner
from recsys.apps.assistant.understanding import Understanding
from recsys.dialogue.conversations import TurnRecord
from recsys.dialogue.phrases import Message
from recsys.dialogue.state import Turn

if TYPE_CHECKING:
    from collections.abc import Callable

    from recsys.apps.assistant.request import AssistantRequest
    from recsys.dialogue.conversations import Outcome
    from recsys.dialogue.state import DialogueState

TRIES = 3  # at a turn that another one of the same conversation overtakes
REGIONS = ("US", "DE", "FR", "ES", "GB", "CN")  # whose phone numbers are masked


@dataclass(frozen=True)
class Assistant(AssistantComponents):
    """Answers messages over one bundle.

    Attributes
    ----------
    clock : seconds since the epoch.
    """

    clock: Callable[[], float] = time.time

    def answer(self, request: AssistantRequest) -> Reply:
        """Answer a message, and store the turn.

        Raises
        ------
        DataError
            The conversation is another customer's, cannot be stored, or several messages of it arrive at once.
        """
        for _ in range(TRIES):
            before = self.conversations.state(request.conversation, request.user)
            reply = self._turn(request, before)
            if self.conversations.save(request.user, reply.state, self._record(request, reply)):
                return reply
        raise DataError(f"several messages of the conversation {request.conversation!r} arrived at once: send one after the other")

    def _turn(self, request: AssistantRequest, before: DialogueState) -> Reply:
        message = Message.of(request.text, self.search.words.spelling.knows)
        state = before.model_copy(update={"language": message.language or before.language})
        commands = self._understanding.commands(message, state, request.user)
        done = TurnRunner(self, request, state.model_copy(update={"offered": (), "pending": None, "last_flow": None})).run(commands)
        reply = Reply(request.conversation, self.recommender.bundle_id, commands, done.content, done.state, done.answered)
        turn = Turn(customer=without_personal_data(request.text), assistant=reply.text)
        return replace(reply, state=done.state.told(turn, tuple(command.command for command in commands)))

    @cached_property
    def _understanding(self) -> Understanding:
        today = datetime.fromtimestamp(self.clock(), UTC).date()
        return Understanding(self, self.config.answer_from, self.config.flow_from, today)

    def _record(self, request: AssistantRequest, reply: Reply) -> TurnRecord:
        reason = reply.content.reason if isinstance(reply.content, HandedOver) else None
        question, now = without_personal_data(request.text), int(self.clock())
        return TurnRecord(request.conversation, reply.state.turn, now, reply.state.language, question, outcome_of(reply), reason)


def outcome_of(reply: Reply) -> Outcome:
    """Return how a turn ended."""
    if isinstance(reply.content, HandedOver):
        return "handed_over"
    if isinstance(reply.content, Question) and (reply.content.slot or reply.content.options):
        return "asked"
    return "answered" if reply.answered else "unanswered"


def without_personal_data(text: str) -> str:
    """Return a text with mails, phone numbers, card numbers and names replaced by what they are."""
    return masked(pl.Series([text], dtype=pl.String), REGIONS).struct.field("text")[0]
