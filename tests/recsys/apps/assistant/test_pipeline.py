"""Conversations with the assistant over the tiny shop."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pytest

from features.errors import DataError
from features.names import PRICE
from recsys.apps.assistant.answers import Answer, HandedOver, Question
from recsys.apps.assistant.pipeline import Assistant
from recsys.apps.assistant.request import MOST_CHARACTERS, AssistantRequest
from recsys.apps.search.pipeline import Search
from recsys.dialogue.conversations import AddedAnswer, Conversations
from recsys.recommend import open
from recsys.settings.apps.assistant import AssistantConfig

if TYPE_CHECKING:
    from pathlib import Path

    from recsys.apps.assistant.answers import Reply

NOW = 1_720_000_000.0  # in July 2024, after the log's end


@dataclass
class Chat:
    """One conversation."""

    assistant: Assistant
    user: str | None = None
    name: str = "c1"

    def __call__(self, text: str) -> Reply:
        return self.assistant.answer(AssistantRequest(text, self.name, self.user))


@pytest.fixture(scope="module")
def search(ready: Any) -> Search:
    return Search(open.open_recommender(ready.workspace))


@pytest.fixture
def assistant(search: Search, tmp_path: Path) -> Assistant:
    return Assistant(search, AssistantConfig(), Conversations(tmp_path / "conversations.sqlite"), clock=lambda: NOW)


@pytest.fixture
def chat(assistant: Assistant) -> Chat:
    return Chat(assistant)


def prices(reply: Reply) -> list[float]:
    assert isinstance(reply.content, Answer)
    return [fact.value for one in reply.content.statements for fact in one.message.facts if fact.name == PRICE]  # type: ignore[misc]


def items(reply: Reply) -> tuple[str, ...]:
    assert isinstance(reply.content, Answer)
    return reply.content.items


def test_products_are_found_narrowed_and_asked_about(chat: Chat) -> None:
    found = chat("I'm looking for tea")
    assert items(found)[0].startswith("sku-0")
    cheaper = chat("cheaper please")
    assert max(prices(cheaper)) < sorted(prices(found))[len(prices(found)) // 2]
    second = chat("the second one")
    assert items(second) == (items(cheaper)[1],)
    assert second.state.product == items(cheaper)[1]
    cost = chat("how much is it?")
    assert str(prices(cheaper)[1]) in cost.text
    brand = chat("which brand is it?")
    assert items(brand) == items(second)


def test_more_never_shows_a_product_twice(chat: Chat) -> None:
    first = chat("tea")
    second = chat("show me more")
    assert not set(items(first)) & set(items(second))
    assert second.state.focus is not None
    assert second.state.focus.shown == items(first) + items(second)


def test_what_is_not_wanted_is_left_out_and_said(chat: Chat) -> None:
    chat("tea")
    reply = chat("without green")
    assert "green" not in reply.text.split("I have left out")[0]
    assert "I have left out products whose texts mention green" in reply.text


def test_products_are_compared_by_their_numbers(chat: Chat) -> None:
    shown = items(chat("bread"))
    reply = chat("compare the first and the second")
    assert items(reply) == shown[:2]
    assert "cheaper by" in reply.text


def test_every_fact_of_a_product_has_a_source(chat: Chat) -> None:
    reply = chat("rye bread")
    facts = [fact for one in reply.to_dict()["answer"]["statements"] for fact in one["facts"]]
    assert {"catalogue", "search"} >= {fact["source"] for fact in facts}
    assert any(fact["name"] == "price" for fact in facts)


@pytest.mark.parametrize(
    ("text", "reason"),
    [("a human please", "human"), ("this is a scam", "angry"), ("it caught fire", "safety"), ("I was charged twice", "money")],
)
def test_a_person_takes_over_and_stays(text: str, reason: str, chat: Chat) -> None:
    reply = chat(text)
    assert isinstance(reply.content, HandedOver)
    assert reply.content.reason == reason
    told = reply.to_dict()
    assert (told["answer"], told["question"]) == (None, None)
    assert isinstance(chat("tea").content, HandedOver)
    (turn, *_) = chat.assistant.conversations.turns("handed_over")
    assert turn.reason == reason


def test_the_third_failure_is_handed_over(chat: Chat) -> None:
    replies = [chat(text) for text in ("xyzzy", "plugh plugh", "grzmk")]
    assert [type(one.content) for one in replies] == [Question, Question, HandedOver]
    assert replies[-1].to_dict()["hand_over"]["reason"] == "failures"


def test_something_understood_sets_failures_back(chat: Chat) -> None:
    failures = [chat(text).state.failures for text in ("xyzzy", "plugh", "tea", "grzmk")]
    assert failures == [1, 2, 0, 1]


def test_what_the_shop_does_not_say_is_said_so(assistant: Assistant) -> None:
    chat = Chat(replace(assistant, config=AssistantConfig(evidence_from=1.0)))
    chat("seed roll")
    chat("the first one")
    reply = chat("is it dishwasher safe?")
    assert reply.text.startswith("The shop does not say that about seed roll")
    assert not reply.answered
    assert [one.question for one in chat.assistant.conversations.turns("unanswered")] == ["is it dishwasher safe?"]


def test_a_flow_needs_who_is_signed_in_and_serves_nobody_else(assistant: Assistant) -> None:
    visitor, customer = Chat(assistant), Chat(assistant, "user-07", "c2")
    assert "sign in" in visitor("show me my last order").text
    reply = customer("show me my last order")
    assert reply.text.startswith("Your order of 2024-")
    other = Chat(assistant, "user-08", "c3")("show me the last order of user-07")
    assert other.text != reply.text


def test_an_added_answer_is_live_at_once(chat: Chat) -> None:
    question = "Do you wrap presents?"
    assert "ribbon" not in chat(question).text
    chat.assistant.conversations.add_answer(AddedAnswer(question, "Yes, with a ribbon.", "en", "/wrapping"), now=1)
    pages = chat.assistant.help(_message(question))
    assert pages[0][1] == question


def _message(text: str) -> Any:
    from recsys.dialogue.phrases import Message

    return Message.of(text)


def test_the_language_of_the_customer_is_answered(chat: Chat) -> None:
    assert chat("guten Tag").text.startswith("Guten Tag")
    assert chat("hola").text.startswith("Hola")


def test_personal_data_is_stored_masked(chat: Chat) -> None:
    reply = chat("xyzzy write to anna.smith@example.com")
    assert "anna.smith" not in reply.state.model_dump_json()
    (turn,) = chat.assistant.conversations.turns("unanswered")
    assert turn.question == "xyzzy write to [mail]"


def test_a_conversation_of_another_customer_is_refused(assistant: Assistant) -> None:
    Chat(assistant, "user-01")("hello")
    with pytest.raises(DataError, match="begin a new one"):
        Chat(assistant, "user-02")("hello")


def test_messages_at_once_are_all_answered_or_refused(assistant: Assistant) -> None:
    def ask(_: int) -> int | None:
        try:
            return Chat(assistant)("hello").state.turn
        except DataError:
            return None

    with ThreadPoolExecutor(4) as threads:
        turns = [turn for turn in threads.map(ask, range(8)) if turn is not None]
    assert sorted(turns) == list(range(1, len(turns) + 1))
    assert assistant.conversations.state("c1", None).turn == len(turns)


@pytest.mark.parametrize(
    "text", ["?", "🍓🍓🍓", "\x1b[31m{price}{{7*7}}", "<script>alert(1)</script>", "' OR 1=1 --", "أهلا", "a" * MOST_CHARACTERS]
)
def test_any_message_gets_a_reply_without_markup(text: str, chat: Chat) -> None:
    reply = chat(text)
    assert "\x1b" not in reply.text
    assert "<script>" not in reply.text


@pytest.mark.parametrize(
    ("text", "conversation", "said"),
    [("  ", "c1", "empty"), ("a" * 50_000, "c1", "50,000 characters, expected at most 2,000"), ("hi", "c 1", "letters, digits")],
)
def test_a_request_that_cannot_be_read_is_refused(text: str, conversation: str, said: str) -> None:
    with pytest.raises(DataError, match=said):
        AssistantRequest(text, conversation)


def test_a_long_conversation_stays_small(assistant: Assistant) -> None:
    chat = Chat(replace(assistant, config=AssistantConfig(failures=10_000)))
    reply = [chat("hello") for _ in range(100)][-1]
    assert reply.state.turn == 100
    assert len(reply.state.model_dump_json()) < 10_000
