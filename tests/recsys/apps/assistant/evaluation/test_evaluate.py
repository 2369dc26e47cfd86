"""A replay of dialogues: what the file may hold, what a reply is judged by, and which facts nothing supports."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pytest

from features.errors import DataError
from features.reviews.scored import ScoredReviews
from recsys.apps.assistant.answers import Answer, HandedOver, Question, Reply, Statement
from recsys.apps.assistant.evaluation.audit import FactAudit
from recsys.apps.assistant.evaluation.dialogue_file import Dialogue, Expectation, read_dialogues
from recsys.apps.assistant.evaluation.evaluate import replay
from recsys.apps.assistant.evaluation.judge import TurnJudge
from recsys.apps.assistant.evaluation.report import AssistantReport, DialogueResult, TurnResult, share
from recsys.dialogue import commands as c
from recsys.dialogue.state import DialogueState, Flow, Focus
from recsys.wording.facts import Fact, FactKind
from recsys.wording.templates import Templates

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from recsys.apps.assistant.request import AssistantRequest

ITEMS = pl.DataFrame(
    {
        "item_id": ["a", "b", "c"],
        "title": ["Green tea", "Black tea", "Dog food 7"],
        "category": ["Tea", "Tea", "Pets"],
        "brand": ["Acme", None, "Wuff"],
        "description": ["A tea of 2 gardens.", "", None],
        "attributes": ["size: 40", None, None],
        "available": [True, True, False],
    }
)
PRICES = np.array([1.0, 2.5, 4.0])
PAGE = {"question": "What does delivery cost?", "answer": "Delivery costs £3.90.", "link": "/help#1", "language": "en"}
TEMPLATES = Templates.of()


@dataclass
class Catalogue:
    frame: pl.DataFrame = field(default_factory=lambda: ITEMS)


@dataclass
class Snapshot:
    catalog: Catalogue = field(default_factory=Catalogue)
    prices: np.ndarray = field(default_factory=lambda: PRICES)
    reviews: ScoredReviews = field(default_factory=ScoredReviews.empty)


@dataclass
class Recommender:
    snapshot: Snapshot = field(default_factory=Snapshot)
    bundle_id: str = "bundle"


class Desk:
    def __len__(self) -> int:
        return 1

    def page(self, row: int) -> dict[str, str]:
        return PAGE


class NoTools:
    def __iter__(self) -> Iterator[Any]:
        return iter(())

    def call(self, name: str, slots: Mapping[str, str], user: str | None) -> Mapping[str, Any]:
        return {}


@dataclass
class FakeAssistant:
    """Answers with the replies that it is given."""

    replies: list[Reply] = field(default_factory=list)
    recommender: Recommender = field(default_factory=Recommender)
    desk: Desk = field(default_factory=Desk)
    templates: Templates = TEMPLATES
    tools: Any = field(default_factory=NoTools)
    said: list[AssistantRequest] = field(default_factory=list)

    def row(self, item: str) -> int:
        return ITEMS["item_id"].to_list().index(item)

    def price(self, item: str) -> float | None:
        return float(PRICES[self.row(item)])

    def answer(self, request: AssistantRequest) -> Reply:
        self.said.append(request)
        return self.replies.pop(0)


def line(item: str, price: float | None = None, title: str | None = None) -> Statement:
    row = ITEMS["item_id"].to_list().index(item)
    facts = [Fact("name", title or ITEMS["title"][row], FactKind.NAME, "catalogue", item)]
    facts.append(Fact("price", PRICES[row] if price is None else price, FactKind.MONEY, "catalogue", item))
    return Statement(TEMPLATES.write("product_line", *facts))


def reply(content: Answer | Question | HandedOver, *commands: c.Command, answered: bool = True, **state: Any) -> Reply:
    return Reply("x", "bundle", commands or (c.FindProducts(words="tea"),), content, DialogueState(**state), answered)


def shown(*items: str, **state: Any) -> Reply:
    return reply(Answer(tuple(line(item) for item in items), items), **state)


def judged(one: Reply, before: tuple[str, ...] = (), **expect: Any) -> list[str]:
    return TurnJudge(FakeAssistant(), one, before).problems(Expectation(**expect))  # type: ignore[arg-type]


HUMAN = reply(HandedOver(TEMPLATES.write("hand_over_human"), "human"), c.HandOver(reason="human"))
THANKS = reply(Answer((Statement(TEMPLATES.write("thanks")),)), c.SmallTalk(kind="thanks"))
ASKS = reply(Question(TEMPLATES.write("ask_order_number"), "order"), c.StartFlow(flow="swap"), flow=Flow(name="swap", slots={"size": "M"}))
QUOTED = reply(
    Answer((Statement(TEMPLATES.write("help_answer", Fact("quote", PAGE["answer"], FactKind.QUOTE, "help page"))),)),
    c.AnswerQuestion(question="cost?", row=0, probability=0.9),
)
OFFERED = reply(Question(TEMPLATES.write("not_understood"), None, (PAGE["question"],)), c.Clarify(pages=(0,)), answered=False)


@pytest.mark.parametrize(
    ("one", "before", "expect"),
    [
        (shown("a", "b"), (), {"command": "find_products", "titles": "tea"}),
        (shown("a", "b"), (), {"command": ["show_product", "find_products"], "without": "dog", "max_price": 2.5, "min_price": 1}),
        (shown("a"), ("a", "b", "c"), {"cheaper": True}),
        (shown("c"), ("a", "b"), {"new": True}),
        (shown("b", product="b"), ("a", "b"), {"item": 2, "states": "price"}),
        (shown("b", product="b"), ("a", "b"), {"states": "title", "answered": True, "hand_over": None}),
        (reply(Answer((line("a"),)), c.CompareProducts(items=("c", "a"))), ("a", "b", "c"), {"compared": [1, 3]}),
        (HUMAN, (), {"hand_over": "human", "text": "colleague"}),
        (ASKS, (), {"flow": "swap", "slot": {"size": "M"}, "asked_slot": "order"}),
        (QUOTED, (), {"page": PAGE["question"]}),
        (THANKS, (), {"command": "small_talk", "flow": "", "not_text": r"\d"}),
    ],
)
def test_a_reply_that_is_as_expected(one: Reply, before: tuple[str, ...], expect: dict[str, Any]) -> None:
    assert judged(one, before, **expect) == []


@pytest.mark.parametrize(
    ("one", "before", "expect", "told"),
    [
        (shown("a", "c"), (), {"titles": "tea"}, "1 of 2 products do not match"),
        (shown("a", "b"), (), {"command": "clarify"}, "understood find_products, expected clarify"),
        (shown("a", "c"), (), {"without": "dog"}, "which matches 'dog'"),
        (shown("a", "b"), (), {"max_price": 2}, "expected at most 2"),
        (shown("a", "b"), (), {"min_price": 2}, "expected at least 2"),
        (shown("b"), ("a", "b", "c"), {"cheaper": True}, "expected below 2.5"),
        (shown("a", "c"), ("a", "b"), {"new": True}, "shows 1 products again"),
        (THANKS, (), {"titles": "tea"}, "no product is shown"),
        (shown("a", product="a"), ("a", "b"), {"item": 2}, "expected b, number 2"),
        (shown("a", product="b"), ("a", "b"), {"states": "price"}, "does not state '2.50'"),
        (reply(Answer((line("a"),)), c.CompareProducts(items=("a", "b"))), ("a", "b", "c"), {"compared": [1, 3]}, "compared"),
        (HUMAN, (), {"hand_over": None}, "handed over for human, expected None"),
        (THANKS, (), {"hand_over": "money"}, "handed over for None, expected money"),
        (ASKS, (), {"slot": {"size": "L"}}, "the slot size is 'M', expected 'L'"),
        (ASKS, (), {"flow": ""}, "the flow 'swap' runs"),
        (THANKS, (), {"asked_slot": "order"}, "asks for the slot None"),
        (OFFERED, (), {"page": PAGE["question"]}, "quoted the help page None"),
        (THANKS, (), {"answered": False}, "answered"),
        (THANKS, (), {"text": "colleague"}, "does not match"),
        (HUMAN, (), {"not_text": "colleague"}, "holds 'colleague'"),
    ],
)
def test_what_is_not_as_expected_is_told(one: Reply, before: tuple[str, ...], expect: dict[str, Any], told: str) -> None:
    (problem,) = judged(one, before, **expect)
    assert told in problem


def unsupported(one: Reply, **returned: Any) -> list[str]:
    return FactAudit(FakeAssistant(), [returned] if returned else []).unsupported(one)  # type: ignore[arg-type]


def fact(key: str, *facts: Fact) -> Reply:
    return reply(Answer((Statement(TEMPLATES.write(key, *facts)),)))


NAME = Fact("name", "Green tea", FactKind.NAME, "catalogue", "a")
BRAND = Fact("property", TEMPLATES.write("property_brand").text, FactKind.TEXT)


def of_tool(status: str) -> Reply:
    facts = [Fact("status", status, FactKind.TEXT, "tool parcel")]
    return reply(Answer((Statement(TEMPLATES.of_text("It is {status}.", "en", facts)),)))


def test_supported_facts() -> None:
    assert unsupported(shown("a", "b", "c")) == []
    assert unsupported(QUOTED) == []
    assert unsupported(fact("product_attribute", NAME, BRAND, Fact("value", "Acme", FactKind.NAME, "catalogue", "a"))) == []
    assert unsupported(fact("product_description", NAME, Fact("quote", "A tea of 2 gardens.", FactKind.QUOTE, "description", "a"))) == []
    assert unsupported(of_tool("on its way"), status="on its way") == []


@pytest.mark.parametrize(
    "one",
    [
        reply(Answer((line("a", price=1.01),))),
        reply(Answer((line("a", title="Black tea"),))),
        fact("product_attribute", NAME, BRAND, Fact("value", "Tea", FactKind.NAME, "catalogue", "a")),  # the category is no brand
        fact("product_attribute", NAME, BRAND, Fact("value", "Wuff", FactKind.NAME, "catalogue", "a")),  # of another product
        fact("help_answer", Fact("quote", "Delivery costs £2.90.", FactKind.QUOTE, "help page")),
        fact("help_answer", Fact("quote", PAGE["answer"], FactKind.QUOTE, "help page"), Fact("link", "/x", FactKind.LINK, "help page")),
        fact("product_description", NAME, Fact("quote", "A tea of 3 gardens.", FactKind.QUOTE, "description", "a")),
        fact("product_description", NAME, Fact("quote", "Good!", FactKind.QUOTE, "reviews", "a")),
        fact("product_description", NAME, Fact("quote", "Good!", FactKind.QUOTE, "hearsay", "a")),
        of_tool("lost"),
    ],
)
def test_facts_that_nothing_supports(one: Reply) -> None:
    assert len(unsupported(one)) == 1


def test_a_number_in_other_words_must_be_a_fact() -> None:
    message = replace(line("a").message, wording="Green tea, 1.00, now 20% off")
    assert unsupported(reply(Answer((Statement(message),)))) == ["product_line: the number 20 is no fact's"]


GOOD = {"name": "one", "turns": [{"say": "tea", "expect": {"titles": "tea"}}]}


def written(folder: Path, *lines: str) -> Path:
    file = folder / "dialogues.jsonl"
    file.write_text("\n".join(lines), "utf-8")
    return file


@pytest.mark.parametrize(
    ("bad", "told"),
    [
        ("{", "no JSON"),
        ('"a text"', "the line: "),
        ('{"name": "x"}', "turns: Field required"),
        ('{"name": "x", "turns": []}', "turns: Tuple should have at least 1 item"),
        ('{"name": "x", "turns": [{"say": ""}]}', "turns.0.say"),
        ('{"name": "x", "turns": [{"say": "a", "expect": {"comand": "clarify"}}]}', "expected one of command, titles"),
        ('{"name": "x", "turns": [{"say": "a", "expects": {}}]}', "expected one of say, expect"),
        ('{"name": "x", "turns": [{"say": "a"}], "who": "x"}', "expected one of name, kind"),
        ('{"name": "x", "turns": [{"say": "a", "expect": {"titles": "("}}]}', "no regular expression"),
        ('{"name": "x", "turns": [{"say": "a", "expect": {"hand_over": "boredom"}}]}', "turns.0.expect.hand_over"),
        ('{"name": "x", "turns": [{"say": "a", "expect": {"item": 0}}]}', "turns.0.expect.item"),
    ],
)
def test_bad_lines_are_named_and_left_out(tmp_path: Path, bad: str, told: str) -> None:
    dialogues, left_out = read_dialogues(written(tmp_path, json.dumps(GOOD), "", bad))
    assert [one.name for one in dialogues] == ["one"]
    (problem,) = left_out
    assert problem.startswith("line 3: ")
    assert told in problem


def test_a_file_without_a_dialogue(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds no dialogue.*line 1: no JSON"):
        read_dialogues(written(tmp_path, "{"))
    with pytest.raises(DataError, match="cannot be read"):
        read_dialogues(tmp_path / "none.jsonl")
    file = tmp_path / "latin.jsonl"
    file.write_bytes('{"name": "ü"}'.encode("latin-1"))
    with pytest.raises(DataError, match="not UTF-8"):
        read_dialogues(file)


def test_a_replay_keeps_dialogues_apart_and_names_what_failed() -> None:
    turns = [{"say": "tea", "expect": {"titles": "tea"}}, {"say": "cheaper", "expect": {"cheaper": True}}]
    first = Dialogue.model_validate({"name": "tea", "user": "u", "turns": turns})
    second = Dialogue(name="thanks", kind="courtesy", language="en", turns=({"say": "thanks", "expect": {"command": "small_talk"}},))  # type: ignore[arg-type]
    focus = Focus(words="tea", shown=("a", "b", "c"), page=3)
    assistant = FakeAssistant([shown("a", "b", focus=focus), shown("c", focus=focus), THANKS])
    report = replay(assistant, [first, second])  # type: ignore[arg-type]
    assert [(one.text, one.user) for one in assistant.said] == [("tea", "u"), ("cheaper", "u"), ("thanks", None)]
    assert len({one.conversation for one in assistant.said}) == 2
    assert [one.right for one in report.dialogues] == [False, True]
    content = json.loads(report.to_json())
    assert content["metrics"]["right"]["value"] == 0.5
    assert content["metrics"]["unsupported_facts"] == {"value": 0.0, "low": 0.0, "high": 0.0}
    assert content["slices"]["kind: courtesy"]["metrics"]["right"]["value"] == 1
    (failure,) = content["failures"]
    assert (failure["dialogue"], failure["turn"]) == ("tea", 2)
    assert "tea, turn 2 ('cheaper'): prices are [4.0], expected below 2.5" in report.failure_lines()


def test_the_customer_chooses_a_help_page_that_is_offered() -> None:
    dialogue = Dialogue(name="cost", turns=({"say": "cost?", "expect": {"page": PAGE["question"]}},))  # type: ignore[arg-type]
    assistant = FakeAssistant([OFFERED, QUOTED])
    assert replay(assistant, [dialogue]).dialogues[0].right  # type: ignore[arg-type]
    assert [one.text for one in assistant.said] == ["cost?", "1"]


def test_times_and_shares_have_intervals() -> None:
    turns = tuple(TurnResult("a", "b", "answered", seconds / 100) for seconds in range(1, 101))
    metrics = AssistantReport((DialogueResult("one", "dialogue", "en", turns),), "bundle").metrics
    assert metrics["seconds_p50"]["value"] == 0.5
    assert metrics["seconds_p50"]["low"] < 0.5 < metrics["seconds_p50"]["high"]
    assert metrics["answered"]["value"] == 1
    assert share(19, 20)["low"] == pytest.approx(0.764, abs=0.001)  # Wilson's interval, by hand
