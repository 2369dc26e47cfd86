"""The store of conversations."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from features.errors import DataError
from recsys.dialogue.conversations import AddedAnswer, ConversationError, Conversations, TurnRecord, UnknownConversationError
from recsys.dialogue.state import MOST_TURNS, DialogueState, Focus, Turn

if TYPE_CHECKING:
    from pathlib import Path

    from recsys.dialogue.conversations import Outcome


def _record(turn: int, outcome: Outcome = "answered", conversation: str = "c1", time: int = 100) -> TurnRecord:
    return TurnRecord(conversation, turn, time, "en", f"question {turn}", outcome, "human" if outcome == "handed_over" else None)


def _after(state: DialogueState) -> DialogueState:
    return state.told(Turn(customer="q", assistant="a"), ("small_talk",))


@pytest.fixture
def store(tmp_path: Path) -> Conversations:
    return Conversations(tmp_path / "service" / "conversations.sqlite")


def test_a_state_comes_back_as_it_was_stored(store: Conversations) -> None:
    state = _after(DialogueState(language="de", focus=Focus(words="tee", max_price=3.5, shown=("a", "b"), page=2)))
    assert store.save("u1", state, _record(1))
    assert store.state("c1", "u1") == state
    assert store.state("c2", "u1") == DialogueState()


def test_another_customer_cannot_continue_it(store: Conversations) -> None:
    store.save("u1", _after(DialogueState()), _record(1))
    for user in ("u2", None):
        with pytest.raises(DataError, match="cannot be continued: begin a new one") as refused:
            store.state("c1", user)
        assert "u1" not in str(refused.value)


def test_a_visitor_who_signs_in_goes_on(store: Conversations) -> None:
    store.save(None, _after(DialogueState()), _record(1))
    assert store.state("c1", "u1").turn == 1


def test_of_two_turns_at_once_one_is_stored(store: Conversations) -> None:
    state = _after(DialogueState())
    with ThreadPoolExecutor(4) as threads:
        stored = list(threads.map(lambda _: store.save("u1", state, _record(1)), range(8)))
    assert sum(stored) == 1


def test_a_transcript_keeps_the_last_turns(store: Conversations) -> None:
    state = DialogueState()
    for _ in range(MOST_TURNS + 5):
        state = _after(state)
    assert (state.turn, len(state.transcript), len(state.tried)) == (MOST_TURNS + 5, MOST_TURNS, MOST_TURNS)


def test_turns_are_listed_by_outcome_until_they_are_done(store: Conversations) -> None:
    state = DialogueState()
    for turn, outcome in enumerate(("answered", "unanswered", "handed_over"), 1):
        state = _after(state)
        store.save("u1", state, _record(turn, outcome, time=100 + turn))
    assert [one.question for one in store.turns("unanswered")] == ["question 2"]
    assert store.turns("handed_over")[0].reason == "human"
    assert store.rate("c1", 1, -1)
    assert not store.rate("c1", 9, 1)
    assert store.counts() == {"answered": 1, "unanswered": 1, "handed_over": 1, "thumbs_up": 0, "thumbs_down": 1}
    store.done([("c1", 2)])
    assert store.turns("unanswered") == []


def test_added_answers_change_the_version(store: Conversations) -> None:
    before = store.version()
    store.add_answer(AddedAnswer("Do you gift-wrap?", "Yes, for 2.", "en"), now=1)
    added = store.version()
    (answer,) = store.answers()
    assert (answer.question, answer.answer, answer.language, answer.link) == ("Do you gift-wrap?", "Yes, for 2.", "en", None)
    assert store.remove_answer(answer.number)
    assert not store.remove_answer(answer.number)
    assert len({before, added}) == 2
    assert store.answers() == []


def test_what_is_old_and_whom_is_erased_goes(store: Conversations) -> None:
    for conversation, user, time in (("old", "u1", 10), ("new", "u1", 100), ("other", "u2", 100)):
        store.save(user, _after(DialogueState()), _record(1, conversation=conversation, time=time))
    assert store.expire(50) == 1
    assert store.erase(["u1"]) == 1
    assert store.state("other", "u2").turn == 1
    assert store.counts()["answered"] == 1


def _waiting(store: Conversations) -> DialogueState:
    """A conversation in German, two turns after it was handed over."""
    state = DialogueState(language="de", focus=Focus(words="tee"), failures=2, handed_over="human")
    for turn in (1, 2):
        state = _after(state)
        store.save("u1", state, _record(turn, "handed_over"))
    return state


def test_a_conversation_is_given_back_and_leaves_the_queue(store: Conversations) -> None:
    before = _waiting(store)
    state = store.hand_back("c1", lambda language: f"wieder da ({language})", now=500)
    assert store.state("c1", "u1") == state
    assert (state.handed_over, state.failures, state.focus, state.turn) == (None, 0, before.focus, 3)
    assert state.transcript[-1] == Turn(customer="", assistant="wieder da (de)")
    assert store.turns("handed_over") == []
    assert store.counts()["handed_over"] == 2
    assert store.expire(400) == 0  # it counts as continued


def test_a_message_that_was_answered_meanwhile_does_not_undo_the_giving_back(store: Conversations) -> None:
    before = _waiting(store)
    store.hand_back("c1", lambda _: "back", now=500)
    assert not store.save("u1", _after(before), _record(3, "handed_over"))
    assert store.state("c1", "u1").handed_over is None


def test_only_what_was_handed_over_is_given_back(store: Conversations) -> None:
    with pytest.raises(UnknownConversationError, match="there is no conversation 'c1'"):
        store.hand_back("c1", lambda _: "back", now=500)
    state = _after(DialogueState())
    store.save("u1", state, _record(1))
    with pytest.raises(ConversationError, match="is not handed over: the assistant answers in it already"):
        store.hand_back("c1", lambda _: "back", now=500)
    assert store.state("c1", "u1") == state
