"""Reading pages, and a shop that attacks them."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from typing import Any

from recsys.dialogue.conversations import AddedAnswer, TurnRecord
from recsys.dialogue.state import DialogueState, Turn
from tests.recsys.conftest import Place

# Known elements go when a title is read; an element of nobody's stays text.
HOSTILE = '<script>alert("1")</script>\u202e"><img src=x onerror=alert(2)><x onclick=alert(4)>'
ODD = "a/b ?#%&é'\"<"  # an item's id
PATHS = (
    *("/", "/map", "/map?group=0", "/items/sku-07", "/data", "/evaluation", "/searches", "/refreshes", "/simulations", "/items/nothing"),
    *("/customers", "/experiments", "/login"),
)


class Seen(HTMLParser):
    """Elements, the addresses that they hold, their attributes, and the text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: set[str] = set()
        self.addresses: list[str] = []
        self.attributes: set[str] = set()
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.add(tag)
        self.attributes |= {name for name, _ in attrs}
        self.addresses += [value or "" for name, value in attrs if name in ("href", "src", "action", "formaction")]

    def handle_data(self, data: str) -> None:
        self.text += f" {' '.join(data.split())}"


def seen(response: Any, status: int = 200) -> str:
    """The words of a page."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    return " ".join(Seen(response.text).text.split())


def write_reports(place: Place) -> None:
    """What `recsys evaluate` and `recsys simulate` write, as far as pages read it."""
    figure = {"value": 0.25, "low": 0.2, "high": 0.3, "users": 40}
    evaluation = {
        "metrics": {"ndcg@10": figure, "coverage@10": figure | {"low": None, "high": None}},
        "slices": {"new": {"ndcg@10": figure | {"value": None}}},
        "baselines": {"recent_popular": {"metrics": {"ndcg@10": figure}, "slices": {}}},
        "split": {"cut": "2024-06-20T00:00:00", "users": 60, "items": 40},
        "bundle_id": "20240101T000000000000Z-000000000000",
        "reasons": {"all": figure | {"value": 0.981}},
        "exposure": {"brand": [{"name": HOSTILE, "shown": 0.5, "bought": 0.25, "catalogue": 0.125}]},
    }
    paired = {"a": 0.1, "b": 0.2, "difference": 0.1, "low": 0.05, "high": 0.15, "users": 9}
    simulation = {
        "start": "2024-06-01",
        "days": 7,
        "users": 50,
        "visits": 90,
        "alike": 0.5,
        "a": {"name": "popular", "note": ""},
        "b": {"name": HOSTILE, "note": HOSTILE},
        "rows": [{"segment": "all", "metric": "ndcg@10", "paired": paired}],
    }
    place.workspace.reports.mkdir(exist_ok=True)
    for name, report in (("evaluation", evaluation), ("simulation-popular-x", simulation)):
        (place.workspace.reports / f"{name}.json").write_text(json.dumps(report))
        (place.workspace.reports / f"{name}.html").write_text("<!doctype html><title>plots</title><script>alert(3)</script>")


def ask_questions(place: Place) -> None:
    """Conversations that the page of questions shows: one without an answer, one that was handed over, and an added answer."""
    kept = place.workspace.conversations
    for name, question, reason in (("asked", "do you engrave rings?", None), ("waits", "I was charged twice", "money")):
        turn = Turn(customer=question, assistant="a reply")
        state = DialogueState().told(turn, ("clarify",)).model_copy(update={"handed_over": reason})
        kept.save("user-05", state, TurnRecord(name, 1, 1_700_000_000, "en", question, "handed_over" if reason else "unanswered", reason))
    kept.add_answer(AddedAnswer("is it free?", "Yes.", "en", "https://shop.example/help"), 0)
