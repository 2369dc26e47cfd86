"""The chat and the page of questions: what they show, what they change, and that nothing on them is more than text."""

from __future__ import annotations

import numpy as np
import pytest
from starlette.testclient import TestClient

from recsys.apps.assistant.answers import Answer, Reply, Statement
from recsys.apps.assistant.pipeline import Assistant
from recsys.dialogue.conversations import AddedAnswer, Conversations, TurnRecord
from recsys.dialogue.state import DialogueState, Turn
from recsys.service.access.keys import Keys
from recsys.service.pages.assistant.forms import ChatForm, QuestionForm
from recsys.service.pages.assistant.questions import QuestionVectors
from recsys.settings.names import Scope
from recsys.wording.facts import Fact, FactKind
from recsys.wording.message import Message, Piece
from tests.recsys.conftest import Place
from tests.recsys.service.conftest import Serve
from tests.recsys.service.pages import HOSTILE, ODD, Seen, seen

pytestmark = pytest.mark.usefixtures("no_flows")


@pytest.fixture(autouse=True)
def _empty(place: Place) -> None:
    """Each test begins without conversations and added answers."""
    kept = place.workspace.conversations
    kept.expire(2**60)
    for added in kept.answers():
        kept.remove_answer(added.number)


def turn(
    store: Conversations, name: str, question: str, outcome: str = "unanswered", reason: str | None = None, user: str | None = None
) -> None:
    """Stores a turn as the assistant does."""
    before = store.state(name, user)
    state = before.told(Turn(customer=question, assistant="a reply"), ("clarify",)).model_copy(update={"handed_over": reason})
    assert store.save(user, state, TurnRecord(name, state.turn, 1_700_000_000 + state.turn, "en", question, outcome, reason))  # type: ignore[arg-type]


def hidden(page: str, name: str) -> str:
    return page.split(f'name="{name}" value="')[1].split('"', maxsplit=1)[0]


def test_a_conversation_by_form_posts(client: TestClient) -> None:
    assert "Nothing was said yet" in seen(client.get("/assistant"))
    page = client.post("/assistant", data={"text": "herbal infusion"})
    words = seen(page)
    assert "Customer herbal infusion Assistant" in words
    assert "Sources" in words
    assert 'href="/items/sku-0' in page.text
    assert "find_products" in words
    conversation = hidden(page.text, "conversation")
    words = seen(client.post("/assistant", data={"text": "I want a human", "conversation": conversation}))
    assert "Customer herbal infusion" in words
    assert "Handed over to a person human" in words
    assert "Nothing was said yet" in seen(
        client.post("/assistant", data={"text": "x", "conversation": conversation, "user": "user-01", "new": "true"})
    )


def test_the_sources_stand_with_each_statement(client: TestClient) -> None:
    words = seen(client.post("/assistant", data={"text": "herbal infusion"}))
    assert "Catalogue, sku-0" in words
    assert "price “" in words
    assert "name “" in words


def test_another_customer_begins_a_new_conversation(client: TestClient, place: Place) -> None:
    first = hidden(client.post("/assistant", data={"text": "hello", "user": "user-01"}).text, "conversation")
    form = {"text": "hello", "conversation": first, "user": "user-02", "asked_for": "user-01"}
    second = hidden(client.post("/assistant", data=form).text, "conversation")
    assert second != first
    assert place.workspace.conversations.kept(first)[0] == "user-01"  # type: ignore[index]
    page = client.post("/assistant", data=form | {"asked_for": "user-02"})  # forged
    assert "begin a new one" in seen(page, 409)


def test_thumbs(client: TestClient, place: Place) -> None:
    conversation = hidden(client.post("/assistant", data={"text": "hello"}).text, "conversation")
    page = client.post("/assistant", data={"conversation": conversation, "turn": "1", "thumb": "up"})
    assert 'value="up" aria-label="Helpful: answer 1" aria-pressed="true"' in page.text
    assert 'value="down" aria-label="Not helpful: answer 1" aria-pressed="false"' in page.text
    assert place.workspace.conversations.counts()["thumbs_up"] == 1
    assert "has no turn 9" in seen(client.post("/assistant", data={"conversation": conversation, "turn": "9", "thumb": "up"}), 404)
    assert "for no answer" in seen(client.post("/assistant", data={"thumb": "up"}), 422)


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ({}, "the message is empty"),
        ({"text": "   "}, "the message is empty"),
        ({"text": "x" * 2_001}, "message is 'xxx"),
        ({"text": "x" * 50_000}, "should have at most 2000 characters"),
        ({"text": "hello", "conversation": "a b"}, "conversation is 'a b'"),
        ({"text": "hello", "nonsense": "1"}, "unknown key 'nonsense'"),
    ],
)
def test_mistakes_get_one_line(client: TestClient, form: dict[str, str], said: str) -> None:
    assert said in seen(client.post("/assistant", data=form), 422)


def test_forms_of_another_website_are_refused(client: TestClient, place: Place) -> None:
    for site, status in (("cross-site", 403), ("same-site", 403), ("same-origin", 303), ("none", 303)):
        form = {"act": "add", "question": "is it free?", "answer": "yes"}
        response = client.post("/assistant/questions", data=form, headers={"sec-fetch-site": site}, follow_redirects=False)
        assert response.status_code == status
    assert len(place.workspace.conversations.answers()) == 2
    assert "another website" in seen(client.post("/assistant", data={"text": "hello"}, headers={"sec-fetch-site": "cross-site"}), 403)


def test_questions_without_an_answer_come_in_groups(client: TestClient, place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    # To the tiny shop's random encoder all texts are alike.
    monkeypatch.setattr(QuestionVectors, "of", lambda _self, _recommender, texts: np.eye(len(texts), dtype=np.float32))
    kept = place.workspace.conversations
    for number, question in enumerate(["zqx wvu", "Zqx  wvu", "green tea large", "zqx wvu"]):
        turn(kept, f"c{number}", question)
    turn(kept, "c9", "I was charged twice", "handed_over", "money", "user-05")
    words = seen(client.get("/assistant/questions"))
    assert "Not answered 4" in words
    assert "Handed over 1" in words
    assert "3× zqx wvu" in words
    assert "1× green tea large" in words
    assert "I was charged twice money" in words
    assert "customer user-05" in words
    assert "Customer I was charged twice Assistant a reply" in words
    assert "What was tried clarify" in words


def test_an_added_answer_is_live_at_once_and_can_be_taken_away(client: TestClient, place: Place) -> None:
    kept = place.workspace.conversations
    for name in ("c1", "c2"):
        turn(kept, name, "do you engrave rings?")
    form = {
        "act": "add",
        "question": "do you engrave rings?",
        "answer": "Yes, for free.",
        "language": "en",
        "link": "https://shop.example/engraving",
    }
    page = client.post("/assistant/questions", data=form | {"turn": ["c1:1", "c2:1"]})
    words = seen(page)
    assert "is live: the next customer who asks gets it" in words
    assert "All questions were answered" in words
    page = client.post("/assistant", data={"text": "Do you engrave rings"})
    assert "Yes, for free." in seen(page)
    assert '<a href="https://shop.example/engraving" rel="noreferrer noopener">' in page.text
    (added,) = kept.answers()
    assert added == AddedAnswer("do you engrave rings?", "Yes, for free.", "en", "https://shop.example/engraving", added.number)
    words = seen(client.post("/assistant/questions", data={"act": "remove", "number": str(added.number)}))
    assert "None yet" in words
    assert "Yes, for free." not in seen(client.post("/assistant", data={"text": "Do you engrave rings"}))


def test_what_was_seen_to_leaves_the_queue(client: TestClient, place: Place) -> None:
    kept = place.workspace.conversations
    turn(kept, "c1", "I want a human", "handed_over", "human")
    turn(kept, "c1", "hello?", "handed_over", "human")
    assert "2 messages" in seen(client.get("/assistant/questions"))
    words = seen(client.post("/assistant/questions", data={"act": "done", "turn": ["c1:1", "c1:2"]}))
    assert "Nobody waits" in words
    assert "Handed over 2" in words


def test_a_conversation_is_given_back_on_the_page(client: TestClient, place: Place) -> None:
    kept = place.workspace.conversations
    form = {"text": "herbal infusion", "conversation": "c1"}
    client.post("/assistant", data=form | {"text": "I want a human"})
    assert "begin a new conversation" in seen(client.post("/assistant", data=form))
    page = client.get("/assistant/questions")
    assert "The assistant is silent in these conversations" in seen(page)
    assert hidden(page.text, "conversation") == "c1"
    words = seen(client.post("/assistant/questions", data={"act": "back", "conversation": "c1"}))
    assert "The assistant answers in that conversation again" in words
    assert "Nobody waits" in words
    assert kept.turns("handed_over") == []
    page = client.post("/assistant", data=form)
    words = seen(page)
    assert "Assistant My colleague has given this conversation back to me." in words
    assert 'aria-label="Helpful: answer 4"' in page.text
    assert 'aria-label="Helpful: answer 3"' not in page.text  # nobody asked anything in that turn
    again = client.post("/assistant/questions", data={"act": "back", "conversation": "c1"})
    assert "is not handed over" in seen(again, 409)
    assert "there is no conversation" in seen(client.post("/assistant/questions", data={"act": "back", "conversation": "c2"}), 404)
    assert "to give back is missing" in seen(client.post("/assistant/questions", data={"act": "back"}), 422)


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ({"question": "a?"}, "the answer is empty"),
        ({"answer": "b"}, "the question is empty"),
        ({}, "the question and the answer are empty"),
        ({"question": "a?", "answer": "b", "language": "xx"}, "expected a code such as en"),
        ({"question": "a?", "answer": "b", "link": "javascript:alert(1)"}, "expected an address that begins with https:// or /"),
        ({"question": "a?", "answer": "b", "link": "//evil.example"}, "expected an address"),
        ({"question": "a?", "answer": "b" * 4_001}, "should have at most 4000 characters"),
        ({"question": "a?", "answer": "b", "turn": "c1"}, "turn"),
        ({"question": "a?", "answer": "b", "act": "drop"}, "act is 'drop'"),
    ],
)
def test_an_answer_that_cannot_be_added_says_why_and_keeps_what_was_typed(
    client: TestClient, place: Place, form: dict[str, str], said: str
) -> None:
    page = client.post("/assistant/questions", data=form)
    assert said in seen(page, 422)
    assert place.workspace.conversations.answers() == []
    if len(form.get("question", "")) > 1:
        assert 'value="a?"' in page.text


def test_only_a_key_that_may_write_changes_what_customers_are_told(spare: Place, serve: Serve) -> None:
    client = serve(spare)
    path = spare.workspace.service / "keys.json"
    secrets = {}
    with Keys.changing(path):
        known = Keys.read(path)
        for scope in (Scope.READ, Scope.WRITE):
            known, secrets[scope] = known.added(str(scope), (Scope.READ, scope))
        known.write(path)
    form = {"act": "add", "question": "is it free?", "answer": "yes"}
    response = client.post("/assistant/questions", data=form, follow_redirects=False)
    assert (response.status_code, response.headers["location"]) == (303, "/login")
    client.post("/login", data={"key": secrets[Scope.READ]})
    assert "is it free?" not in seen(client.get("/assistant/questions"))
    assert "this needs write" in seen(client.post("/assistant/questions", data=form), 403)
    assert spare.workspace.conversations.answers() == []
    client.post("/login", data={"key": secrets[Scope.WRITE]})
    assert "is live" in seen(client.post("/assistant/questions", data=form))


def test_texts_that_attack_stay_texts(client: TestClient, place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    facts = [
        Fact("name", HOSTILE, FactKind.NAME, HOSTILE, ODD),
        Fact("link", "javascript:alert(5)", FactKind.LINK, "help page"),
        Fact("quote", HOSTILE, FactKind.QUOTE, "help page"),
    ]
    pieces = tuple(Piece(HOSTILE, fact) if fact.name != "link" else Piece("javascript:alert(5)", fact) for fact in facts)
    message = Message("help_answer", "en", (*pieces, Piece(HOSTILE)))
    state = DialogueState(turn=1, transcript=(Turn(customer=HOSTILE, assistant=HOSTILE),))
    reply = Reply(
        "c1", "b1", (), Answer((Statement(message), Statement(Message("x", "en", pieces, HOSTILE))), (ODD,)), state, answered=False
    )
    monkeypatch.setattr(Assistant, "answer", lambda *_: reply)
    kept = place.workspace.conversations
    turn(kept, "c2", HOSTILE)
    turn(kept, "c3", HOSTILE, "handed_over", "human", HOSTILE)
    kept.add_answer(AddedAnswer(HOSTILE, HOSTILE, "en", HOSTILE), 0)
    pages = [
        client.post("/assistant", data={"text": HOSTILE, "user": HOSTILE}),
        client.get("/assistant/questions"),
        client.post("/assistant/questions", data={"question": HOSTILE, "link": HOSTILE}),
    ]
    for response, scripts in zip(pages, (1, 0, 0), strict=True):
        assert response.text.count("<script") == scripts
        policy = response.headers["content-security-policy"]
        assert ("script-src 'self'" in policy) is bool(scripts)
        assert "unsafe" not in policy
        page = Seen(response.text)
        assert not page.elements & {"img", "iframe", "object", "embed", "style", "x"}
        assert not {name for name in page.attributes if name.startswith("on") or name == "style"}
        assert all(address.startswith(("/", "#")) and not address.startswith("//") for address in page.addresses), page.addresses
        assert "\u202e" not in page.text
    script = client.get("/chat.js")
    assert script.headers["content-type"] == "text/javascript; charset=utf-8"
    assert "innerHTML" not in script.text


def test_forms() -> None:
    assert ChatForm.model_validate({"text": ["a"], "conversation": ["c"]}).continued == "c"
    assert ChatForm.model_validate({"text": ["a"], "conversation": ["c"], "new": ["true"]}).continued is None
    assert QuestionForm.model_validate({"turn": ["a-_:1", "b:22"]}).turns == [("a-_", 1), ("b", 22)]
