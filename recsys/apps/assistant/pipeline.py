"""One turn of a conversation, from top to bottom: load the state, understand, do what the commands say, write, store."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import polars as pl

from features.ingest.values.personal_data import masked
from recsys.apps.assistant.answers import Answer, HandedOver, Question, Reply, Statement
from recsys.apps.assistant.components import AssistantComponents
from recsys.apps.assistant.turn import TurnRunner
from recsys.apps.assistant.understanding import Understanding
from recsys.dialogue.conversations import ConversationError, TurnRecord
from recsys.dialogue.knowledge import AskedOnce
from recsys.dialogue.phrases import Message
from recsys.dialogue.state import DialogueState, Turn

if TYPE_CHECKING:
    from collections.abc import Callable

    from recsys.apps.assistant.request import AssistantRequest
    from recsys.dialogue.conversations import Outcome

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
        ConversationError
            The conversation is another customer's, or several messages of it arrive at once.
        DataError
            It cannot be stored.
        """
        if request.user is not None:
            request = replace(request, user=self.recommender.snapshot.log.spelt(request.user))
        for _ in range(TRIES):
            before = self.conversations.state(request.conversation, request.user)
            reply = self._turn(request, before)
            if self.conversations.save(request.user, reply.state, self._record(request, reply)):
                if reply.newly_handed_over:
                    self.hand_overs.tell(request.conversation, reply.state)
                return reply
        raise ConversationError(f"several messages of the conversation {request.conversation!r} arrived at once: send one after the other")

    def hand_back(self, conversation: str) -> DialogueState:
        """Answer again in a conversation that a person took over. Raises like `recsys.dialogue.conversations.Conversations.hand_back`."""

        def notice(language: str | None) -> str:
            return self.templates.write("handed_back", language=language).text

        return self.conversations.hand_back(conversation, notice, int(self.clock()))

    def warm(self) -> None:
        """Read and encode what the first message needs.

        Raises
        ------
        RecsysError
            A file of templates, or a tool, is wrong.
        """
        self._understanding.commands(Message.of("wärmt es?"), DialogueState())  # beyond ASCII the vocabulary's scripts are counted
        self.templates.write("not_understood", language=None)

    def _turn(self, request: AssistantRequest, before: DialogueState) -> Reply:
        message = Message.of(request.text, self.search.words.spelling.knows)
        state = before.model_copy(update={"language": message.language or before.language})
        commands = self._understanding.commands(message, state, request.user)
        done = TurnRunner(self, request, state.model_copy(update={"offered": (), "pending": None, "last_flow": None})).run(commands)
        reply = Reply(request.conversation, self.recommender.bundle_id, commands, self._worded(done.content), done.state, done.answered)
        turn = Turn(customer=without_personal_data(request.text), assistant=reply.text)
        return replace(reply, state=done.state.told(turn, tuple(command.command for command in commands)))

    def _worded(self, content: Answer | Question | HandedOver) -> Answer | Question | HandedOver:
        """Let a language model reword what is said, if one is configured."""
        if isinstance(content, Answer):
            return replace(content, statements=tuple(Statement(self.rephraser.reword(one.message)) for one in content.statements))
        return replace(content, message=self.rephraser.reword(content.message))

    @property
    def _understanding(self) -> Understanding:
        today = datetime.fromtimestamp(self.clock(), UTC).date()
        return Understanding(AskedOnce(self), self.config.answer_from, self.config.flow_from, today)

    def _record(self, request: AssistantRequest, reply: Reply) -> TurnRecord:
        reason = reply.content.reason if isinstance(reply.content, HandedOver) else None
        question, now = reply.state.transcript[-1].customer, int(self.clock())  # masked
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
