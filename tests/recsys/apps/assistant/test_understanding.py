"""Understanding: from a message and the state to commands of the closed set."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys.apps.assistant.understanding import Understanding
from recsys.dialogue import commands as c
from recsys.dialogue.knowledge import Guess
from recsys.dialogue.phrases import Message
from recsys.dialogue.state import DialogueState, Flow, Focus
from recsys.dialogue.tools import Slot

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

SOLD = {"tea", "green", "milk", "dog", "food", "shampoo", "vegan", "bread", "chocolate"}
LIST = DialogueState(focus=Focus(words="tea", shown=("a", "b", "c"), page=3))
ABOUT_A = LIST.model_copy(update={"product": "a"})


@dataclass
class Shop:
    """A shop that knows a few words; a test sets what it finds."""

    flow_found: Guess | None = None
    act_found: Guess | None = None
    pages: Sequence[tuple[int, str, float]] = ()
    named: dict[str, str] = field(default_factory=dict)
    prices: dict[str, float] = field(default_factory=lambda: {"a": 1.0, "b": 2.0, "c": 4.0})

    def flow(self, message: Message) -> Guess | None:
        return self.flow_found

    def acts(self, message: Message) -> Mapping[str, float]:
        return {} if self.act_found is None else {self.act_found.name: self.act_found.probability, "else": 1 - self.act_found.probability}

    def is_flow(self, act: str) -> bool:
        return act == "order_contents"

    def slots(self, flow: str) -> Sequence[Slot]:
        return (Slot("order", "order_number"), Slot("day", "date", required=False))

    def help(self, message: Message) -> Sequence[tuple[int, str, float]]:
        return self.pages

    def sold(self, words: str) -> float:
        tokens = [word for word in words.split() if word not in {"is", "the", "for", "a"}]
        return sum(token in SOLD for token in tokens) / len(tokens) if tokens else 0.0

    def product(self, words: str, user: str | None) -> str | None:
        return next((item for name, item in self.named.items() if name in words), None)

    def price(self, item: str) -> float | None:
        return self.prices.get(item)


def understood(text: str, state: DialogueState | None = None, shop: Shop | None = None) -> tuple[c.Command, ...]:
    return Understanding(shop or Shop(), 0.5, 0.5, date(2026, 11, 29)).commands(Message.of(text), state or DialogueState())


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("let me talk to a human about tea", "human"),
        ("my child swallowed the green tea", "safety"),
        ("you charged me twice for tea", "money"),
        ("this shop is a scam", "angry"),
        ("ich will einen Mitarbeiter", "human"),
    ],
)
def test_reasons_to_hand_over_go_before_all_else(text: str, reason: str) -> None:
    found = Shop(flow_found=Guess("parcel", 1.0), pages=[(0, "q", 1.0)])
    assert understood(text, ABOUT_A, found) == (c.HandOver(reason=reason),)  # type: ignore[arg-type]


def test_what_was_handed_over_stays_so() -> None:
    assert understood("green tea", DialogueState(handed_over="money")) == (c.HandOver(reason="money"),)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("I'm looking for green tea", c.FindProducts(words="green tea")),
        ("milk", c.FindProducts(words="milk")),
        ("recommend something", c.FindProducts()),
        ("thanks a lot", c.SmallTalk(kind="thanks")),
        ("hallo", c.SmallTalk(kind="greeting")),
        ("xyzzy plugh", c.Clarify()),
        ("?", c.Clarify()),
    ],
)
def test_a_request_of_its_own(text: str, expected: c.Command) -> None:
    assert understood(text) == (expected,)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("cheaper", c.FindProducts(max_price=1.99, refines=True)),
        ("etwas billiger", c.FindProducts(max_price=1.99, refines=True)),
        ("more expensive please", c.FindProducts(min_price=2.01, refines=True)),
        ("under 3 dollars", c.FindProducts(max_price=3.0, refines=True)),
        ("without milk", c.FindProducts(without=("milk",), refines=True)),
        ("show me more", c.FindProducts(more=True, refines=True)),
        ("only what is in stock", c.FindProducts(in_stock=True, refines=True)),
        ("and for my dog?", c.FindProducts(words="tea dog")),
        ("the second one", c.ShowProduct(item="b")),
        ("das dritte", c.ShowProduct(item="c")),
        ("the last one", c.ShowProduct(item="c")),
        ("the cheapest", c.ShowProduct(item="a")),
        ("how much is the second one?", c.AskProduct(item="b", question="how much is the second one?", attribute="price")),
        ("compare the first and the third", c.CompareProducts(items=("a", "c"))),
        ("compare them", c.CompareProducts(items=("a", "b"))),
        ("is it vegan?", c.Clarify(items=("a", "b", "c"), question="is it vegan?")),
    ],
)
def test_after_a_list(text: str, expected: c.Command) -> None:
    assert understood(text, LIST) == (expected,)


@pytest.mark.parametrize(
    ("text", "attribute"),
    [("is it vegan?", None), ("how much is it?", "price"), ("what do people say about it", "reviews"), ("in stock", "stock")],
)
def test_questions_about_the_product_in_hand(text: str, attribute: c.Attribute | None) -> None:
    assert understood(text, ABOUT_A) == (c.AskProduct(item="a", question=text, attribute=attribute),)


def test_the_last_question_is_asked_of_the_next_product() -> None:
    state = ABOUT_A.model_copy(update={"pending": "is it vegan?"})
    assert understood("and the second?", state) == (c.AskProduct(item="b", question="is it vegan?"),)


def test_a_named_product_is_asked_about() -> None:
    shop = Shop(named={"green tea": "g"})
    text = "how much is the green tea"
    assert understood(text, shop=shop) == (c.AskProduct(item="g", question=text, attribute="price"),)


def test_two_named_products_are_compared() -> None:
    shop = Shop(named={"green tea": "g", "milk": "m"})
    assert understood("compare green tea and milk", shop=shop) == (c.CompareProducts(items=("g", "m")),)


@pytest.mark.parametrize(
    ("probability", "expected"),
    [
        (0.9, c.AnswerQuestion(question="how long does shipping take", row=7, probability=0.9)),
        (0.3, c.Clarify(pages=(7,))),
        (0.001, c.Clarify()),
    ],
)
def test_help_pages_answer_are_offered_or_left_out(probability: float, expected: c.Command) -> None:
    assert understood("how long does shipping take", shop=Shop(pages=[(7, "Shipping time?", probability)])) == (expected,)


def test_an_offered_page_is_chosen_by_its_number() -> None:
    state = DialogueState(offered=(7, 3))
    assert understood("2", state) == (c.AnswerQuestion(question="2", row=3, probability=1.0),)


def test_a_flow_begins_with_the_slots_that_are_stated() -> None:
    shop = Shop(flow_found=Guess("parcel", 0.9))
    assert understood("where is order 4711", shop=shop) == (c.StartFlow(flow="parcel"), c.SetSlot(slot="order", value="4711"))


RUNNING = DialogueState(flow=Flow(name="parcel", asking="order"))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("4711", (c.SetSlot(slot="order", value="4711"),)),
        ("it is AB-12", (c.SetSlot(slot="order", value="AB-12"),)),
        ("never mind", (c.CancelFlow(),)),
        ("vergiss es", (c.CancelFlow(),)),
        ("do you have milk", (c.FindProducts(words="milk"),)),  # a digression
    ],
)
def test_in_a_flow(text: str, expected: tuple[c.Command, ...]) -> None:
    assert understood(text, RUNNING) == expected


def test_a_slot_is_corrected() -> None:
    state = DialogueState(flow=Flow(name="parcel", slots={"order": "4711"}, asking="day"))
    assert understood("sorry, I meant order 4712", state) == (c.SetSlot(slot="order", value="4712", corrects=True),)


@given(st.text(max_size=80))
def test_any_text_gives_a_command_in_any_state(text: str) -> None:
    for state in (DialogueState(), ABOUT_A, RUNNING):
        assert understood(text, state)


@pytest.mark.parametrize(
    ("act", "expected"),
    [
        ("more", c.FindProducts(more=True, refines=True)),
        ("cheaper", c.FindProducts(max_price=1.99, refines=True)),
        ("human", c.HandOver(reason="human")),
        ("thanks", c.SmallTalk(kind="thanks")),
        ("recommend", c.FindProducts()),
        ("cancel", c.Clarify()),  # nothing runs
    ],
)
def test_a_message_does_what_the_examples_do_that_it_is_like(act: str, expected: c.Command) -> None:
    assert understood("xyzzy plugh", LIST, Shop(act_found=Guess(act, 0.9))) == (expected,)
    assert understood("xyzzy plugh", LIST, Shop(act_found=Guess(act, 0.3))) == (c.Clarify(),)


def test_a_known_slot_is_corrected_in_any_words() -> None:
    state = DialogueState(flow=Flow(name="parcel", slots={"order": "4711"}, asking="day"))
    assert understood("hmm 4712 then", state) == (c.SetSlot(slot="order", value="4712", corrects=True),)


@pytest.mark.parametrize(
    ("text", "act", "state", "expected"),
    [
        ("can you do that for a smaller sum", "cheaper", LIST, c.FindProducts(max_price=1.99, refines=True)),
        ("spend 3 at the very most", "below", LIST, c.FindProducts(max_price=3.0, refines=True)),
        ("3 or upwards", "above", LIST, c.FindProducts(min_price=3.0, refines=True)),
        ("give us the rest", "more", LIST, c.FindProducts(more=True, refines=True)),
        ("whatever you can ship", "in_stock", LIST, c.FindProducts(in_stock=True, refines=True)),
        ("chocolate is out of the question", "without", LIST, c.FindProducts(without=("chocolate question",), refines=True)),
        ("the zweite would do", "nth", LIST, c.ShowProduct(item="b")),
        ("money for the 3rd", "nth_price", LIST, c.AskProduct(item="c", question="money for the 3rd", attribute="price")),
        ("third against first", "compare", LIST, c.CompareProducts(items=("c", "a"))),
        ("whose is it", "its_brand", ABOUT_A, c.AskProduct(item="a", question="whose is it", attribute="brand")),
        ("does it taste", "ask_about", ABOUT_A, c.AskProduct(item="a", question="does it taste")),
        ("does it taste", "ask_about", LIST, c.Clarify(items=("a", "b", "c"), question="does it taste")),
        ("somebody help", "human", LIST, c.HandOver(reason="human")),
        ("ta very much", "thanks", LIST, c.SmallTalk(kind="thanks")),
        ("got a fancy for green tea", "find", LIST, c.FindProducts(words="green tea")),
        ("who is the king", "chat", LIST, c.Clarify()),
    ],
)
def test_the_classifier_decides_where_it_is_sure(text: str, act: str, state: DialogueState, expected: c.Command) -> None:
    assert understood(text, state, Shop(act_found=Guess(act, 0.9))) == (expected,)


@pytest.mark.parametrize("act", ["more", "nth", "compare", "cheaper", "its_price", "size"])
def test_nothing_of_a_list_is_wanted_without_one(act: str) -> None:
    assert understood("xyzzy plugh", DialogueState(), Shop(act_found=Guess(act, 0.99))) == (c.Clarify(),)


def test_a_flow_that_the_classifier_reads_starts() -> None:
    assert understood("my former basket", LIST, Shop(act_found=Guess("order_contents", 0.9))) == (c.StartFlow(flow="order_contents"),)


def test_a_page_that_surely_answers_goes_before_products() -> None:
    shop = Shop(act_found=Guess("find", 0.9), pages=[(3, "q", 0.95)])
    assert isinstance(understood("do you have green tea vouchers", LIST, shop)[0], c.AnswerQuestion)
