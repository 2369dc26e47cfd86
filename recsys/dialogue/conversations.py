"""The store of conversations: their states, what was asked and not answered, what a person must take over, and answers that were added.

SQLite, as in `recsys.workspace.events`. Texts of customers are stored with personal data masked. A conversation that nobody continues is
deleted after `assistant.keep_days`.
"""

from __future__ import annotations

import logging
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from pydantic import ValidationError

from features.errors import DataError
from features.storage.sqlite_file import SqliteFile
from recsys.dialogue.state import DialogueState

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from features.ingest.erased_users import ErasedUsers

_log = logging.getLogger(__name__)
Outcome = Literal["answered", "asked", "unanswered", "handed_over"]
_TABLES = """
CREATE TABLE IF NOT EXISTS conversations (
    id TEXT PRIMARY KEY, user_id TEXT, state TEXT NOT NULL, turn INTEGER NOT NULL, updated INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS conversations_of_user ON conversations (user_id);
CREATE TABLE IF NOT EXISTS turns (
    conversation TEXT NOT NULL REFERENCES conversations (id) ON DELETE CASCADE, turn INTEGER NOT NULL, time INTEGER NOT NULL,
    language TEXT, question TEXT NOT NULL, outcome TEXT NOT NULL, reason TEXT, thumb INTEGER, done INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (conversation, turn)
);
CREATE INDEX IF NOT EXISTS turns_by_outcome ON turns (outcome, done);
CREATE TABLE IF NOT EXISTS answers (
    number INTEGER PRIMARY KEY AUTOINCREMENT, question TEXT NOT NULL, answer TEXT NOT NULL, language TEXT, link TEXT, time INTEGER NOT NULL
);
"""


class ConversationError(DataError):
    """A conversation cannot be continued as it was asked for."""


class UnknownConversationError(ConversationError):
    """There is no such conversation."""


@dataclass(frozen=True)
class TurnRecord:
    """One turn, for those who look after the assistant.

    Attributes
    ----------
    question : what the customer wrote, masked.
    reason : why a person has to take over; None otherwise.
    thumb : 1 or -1; None where the customer gave none.
    """

    conversation: str
    turn: int
    time: int
    language: str | None
    question: str
    outcome: Outcome
    reason: str | None = None
    thumb: int | None = None


@dataclass(frozen=True)
class AddedAnswer:
    """A question and its answer that a person added."""

    question: str
    answer: str
    language: str | None = None
    link: str | None = None
    number: int = 0


class Conversations:
    """The conversations of one workspace. Any number of threads and processes may use it at once.

    Raises
    ------
    DataError
        From any method, if the file cannot be read or written.
    """

    def __init__(self, path: Path) -> None:
        self._file = SqliteFile(path, "conversations", _make)

    @property
    def exists(self) -> bool:
        """Whether anybody ever wrote to the assistant; reading need not make the file."""
        return self._file.exists

    def state(self, conversation: str, user: str | None) -> DialogueState:
        """Return the state of a conversation; a new one if it is not known.

        Raises
        ------
        ConversationError
            It is another customer's.
        """
        with self._file.connected() as connection:
            found = connection.execute("SELECT user_id, state, turn FROM conversations WHERE id = ?", (conversation,)).fetchone()
        if found is None:
            return DialogueState()
        if found[0] is not None and found[0] != user:
            raise ConversationError(f"the conversation {conversation!r} cannot be continued: begin a new one")
        return _state(*found[1:])

    def save(self, user: str | None, state: DialogueState, record: TurnRecord) -> bool:
        """Store a turn and the state after it; False, and nothing stored, if another turn of the conversation was stored meanwhile."""
        values = (user, state.model_dump_json(), state.turn, record.time)
        with self._file.writing() as connection:
            connection.execute("BEGIN IMMEDIATE")
            known = connection.execute("SELECT turn FROM conversations WHERE id = ?", (record.conversation,)).fetchone()
            if (0 if known is None else known[0]) != state.turn - 1:
                return False
            if known is None:
                connection.execute(
                    "INSERT INTO conversations (user_id, state, turn, updated, id) VALUES (?, ?, ?, ?, ?)", (*values, record.conversation)
                )
            else:
                connection.execute(
                    "UPDATE conversations SET user_id = ?, state = ?, turn = ?, updated = ? WHERE id = ?", (*values, record.conversation)
                )
            connection.execute(
                "INSERT INTO turns (conversation, turn, time, language, question, outcome, reason) VALUES (?, ?, ?, ?, ?, ?, ?)",
                (record.conversation, record.turn, record.time, record.language, record.question, record.outcome, record.reason),
            )
        return True

    def kept(self, conversation: str) -> tuple[str | None, DialogueState] | None:
        """Return a conversation's customer and state, for those who look after the assistant; None where it is not kept."""
        with self._file.connected() as connection:
            found = connection.execute("SELECT user_id, state, turn FROM conversations WHERE id = ?", (conversation,)).fetchone()
        return None if found is None else (found[0], _state(*found[1:]))

    def hand_back(self, conversation: str, notice: Callable[[str | None], str], now: int) -> DialogueState:
        """Let the assistant answer in a conversation that a person took over, take it off the queue, and return its state.

        Parameters
        ----------
        notice : writes what the customer is told, in a language.

        Raises
        ------
        UnknownConversationError
            There is no such conversation.
        ConversationError
            It was not handed over.
        """
        with self._file.writing() as connection:
            connection.execute("BEGIN IMMEDIATE")
            found = connection.execute("SELECT state, turn FROM conversations WHERE id = ?", (conversation,)).fetchone()
            if found is None:
                raise UnknownConversationError(f"there is no conversation {conversation!r}: take the name from the queue or the webhook")
            state = _state(*found)
            if state.handed_over is None:
                raise ConversationError(f"the conversation {conversation!r} is not handed over: the assistant answers in it already")
            # It counts as a turn, so that a message that is answered at this moment is answered again, by the assistant.
            state = state.handed_back(notice(state.language))
            values = (state.model_dump_json(), state.turn, now, conversation)
            connection.execute("UPDATE conversations SET state = ?, turn = ?, updated = ? WHERE id = ?", values)
            connection.execute("UPDATE turns SET done = 1 WHERE conversation = ? AND outcome = 'handed_over'", (conversation,))
        return state

    def rate(self, conversation: str, turn: int, thumb: int) -> bool:
        """Store what a customer thinks of an answer, 1 or -1; False where there is no such turn."""
        with self._file.writing() as connection:
            done = connection.execute("UPDATE turns SET thumb = ? WHERE conversation = ? AND turn = ?", (thumb, conversation, turn))
        return done.rowcount > 0

    def turns(self, outcome: Outcome, most: int = 1_000) -> list[TurnRecord]:
        """Return the turns that ended in a certain way and are not done, the latest first."""
        query = (
            "SELECT conversation, turn, time, language, question, outcome, reason, thumb FROM turns "
            "WHERE outcome = ? AND NOT done ORDER BY time DESC, turn DESC LIMIT ?"
        )
        with self._file.connected() as connection:
            return [TurnRecord(*row) for row in connection.execute(query, (outcome, most))]

    def counts(self) -> dict[str, int]:
        """Return how many turns ended in each way, and how many thumbs went up and down."""
        with self._file.connected() as connection:
            outcomes = dict(connection.execute("SELECT outcome, count(*) FROM turns GROUP BY outcome"))
            up, down = connection.execute(
                "SELECT count(*) FILTER (WHERE thumb > 0), count(*) FILTER (WHERE thumb < 0) FROM turns"
            ).fetchone()
        return outcomes | {"thumbs_up": up, "thumbs_down": down}

    def done(self, turns: Sequence[tuple[str, int]]) -> None:
        """Take turns (conversation, turn) off the lists: somebody has seen to them."""
        with self._file.writing() as connection:
            connection.executemany("UPDATE turns SET done = 1 WHERE conversation = ? AND turn = ?", turns)

    def add_answer(self, added: AddedAnswer, now: int) -> int:
        """Store an answer, and return its number; the next question may already be answered by it."""
        values = (added.question, added.answer, added.language, added.link, now)
        with self._file.writing() as connection:
            stored = connection.execute("INSERT INTO answers (question, answer, language, link, time) VALUES (?, ?, ?, ?, ?)", values)
        return stored.lastrowid or 0

    def remove_answer(self, number: int) -> bool:
        """Delete an added answer; False where there is none of this number."""
        with self._file.writing() as connection:
            return connection.execute("DELETE FROM answers WHERE number = ?", (number,)).rowcount > 0

    def answers(self) -> list[AddedAnswer]:
        """Return the answers that were added, in order."""
        with self._file.connected() as connection:
            return [
                AddedAnswer(*row)
                for row in connection.execute("SELECT question, answer, language, link, number FROM answers ORDER BY number")
            ]

    def version(self) -> int:
        """Return a number that changes with the added answers."""
        with self._file.connected() as connection:
            return int(connection.execute("SELECT coalesce(max(number), 0) * 1000003 + count(*) FROM answers").fetchone()[0])

    def erase(self, user_ids: Sequence[str]) -> int:
        """Remove the conversations of customers from the file, its free pages and its write-ahead log. Returns how many."""
        return self._file.erase("DELETE FROM conversations WHERE user_id = ?", user_ids)

    def forget(self, erased_users: ErasedUsers) -> int:
        """Remove the conversations of all erased users, like `erase`. Returns how many."""
        return self.erase(self.among(erased_users))

    def among(self, erased_users: ErasedUsers) -> list[str]:
        """Return erased users that have conversations."""
        if not self._file.exists:
            return []
        with self._file.connected() as connection:
            found = connection.execute("SELECT DISTINCT user_id FROM conversations WHERE user_id IS NOT NULL").fetchall()
        return erased_users.among(user for (user,) in found)

    def expire(self, before: int) -> int:
        """Delete conversations that were last continued before a moment, in seconds since the epoch, and return how many there were."""
        if not self._file.exists:
            return 0
        with self._file.writing() as connection:
            return connection.execute("DELETE FROM conversations WHERE updated < ?", (before,)).rowcount


def _state(stored: str, turn: int) -> DialogueState:
    """Return a stored state; nothing but the number of turns where another version of the program stored it."""
    try:
        return DialogueState.model_validate_json(stored)
    except ValidationError:
        _log.warning("the state of a conversation is of another version: the conversation begins anew")
        return DialogueState(turn=turn)


def _make(connection: sqlite3.Connection) -> None:
    with closing(connection.cursor()) as cursor:
        cursor.executescript(_TABLES)
