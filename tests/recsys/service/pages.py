"""Reading pages, and a shop that attacks them."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from html.parser import HTMLParser
from typing import Any

from recsys.apps.storefront.experiments.assignment import ExperimentBook
from recsys.apps.storefront.experiments.definition import day
from recsys.apps.storefront.rule_check import PRICES
from recsys.dialogue.conversations import AddedAnswer, TurnRecord
from recsys.dialogue.state import DialogueState, Turn
from recsys.workspace.served_pages import Action, Impression, ServedPage, ShownItem
from tests.recsys.conftest import Place

# Known elements go when a title is read; an element of nobody's stays text.
HOSTILE = '<script>alert("1")</script>\u202e"><img src=x onerror=alert(2)><x onclick=alert(4)>'
DAY = 86_400
ODD = "a/b ?#%&é'\"<"  # an item's id
PATHS = (
    *("/", "/map", "/map?group=0", "/items/sku-07", "/data", "/evaluation", "/searches", "/refreshes", "/simulations", "/items/nothing"),
    *("/customers", "/experiments", "/storefront", "/rules", "/login"),
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


def rules_with_prices(place: Place) -> None:
    """Rules of several kinds, a blocklist, the report of `recsys rules price`, and two pages that were served."""
    workspace, now = place.workspace, int(time.time())
    begin = datetime.fromtimestamp(now - 3_600, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    workspace.merchandising.write_text(
        f'[[pin]]\nname = "sku-33 first"\nitem = "sku-33"\nposition = 1\nfrom = {begin}\n'
        'where = { pages = ["home"], rows = ["popular"] }\n'
        '[[bury]]\nname = "acme less"\nbrands = ["acme"]\nfactor = 0.5\n'
        '[[campaign]]\nname = "later"\ncategories = ["tea"]\nfrom = 2099-01-01\n',
        encoding="utf-8",
    )
    workspace.rules.write_text('items = ["sku-01"]\n')
    changes = {
        "ndcg@10": {"value": -0.03, "low": -0.05, "high": -0.01, "users": 40},
        "revenue@10": {"value": 0.2, "low": -0.1, "high": 0.5, "users": 40},
    }
    metrics = {name: {"before": change, "change": change} for name, change in changes.items()}
    prices = [
        {"rule": name, "kind": kind, "lists_changed": 0.25, "places_changed": 0.05, "metrics": metrics}
        for name, kind in (("sku-33 first", "pin"), ("acme less", "bury"), ("all rules", "all"))
    ]
    workspace.reports.mkdir(exist_ok=True)
    report = {"cut": "2024-06-20T00:00:00+00:00", "users": 40, "rules": prices, "notes": []}
    (workspace.reports / PRICES).write_text(json.dumps(report))
    rows = [ShownItem("sku-33", rule="sku-33 first"), ShownItem("sku-07")], [ShownItem("sku-33", rule="sku-33 first"), ShownItem("sku-02")]
    pages = [
        ServedPage(f"ruled-{ago}", "home", now - ago, (Impression(f"ruled-{ago}", "popular", tuple(shown)),), "user-05")
        for ago, shown in zip((7_200, 60), rows, strict=True)
    ]
    workspace.impressions.add_served(pages)


def running_experiment(place: Place) -> str:
    """A running experiment whose arm b earns more clicks; the text of its file."""
    workspace, now = place.workspace, int(time.time())
    today = now - now % DAY
    span = f"from = {day(today - 5 * DAY)}\nto = {day(today + 5 * DAY)}\nunits = 400"
    text = f"[experiments.diverse]\n{span}\n[experiments.diverse.arms]\na = {{}}\nb = {{settings = {{diversity = 0.5}}}}\n"
    workspace.experiments.write_text(text)
    book, pages, clicks = ExperimentBook(workspace), [], []
    book.catch_up(now)
    for number in range(400):
        when = today - 4 * DAY + 500 * number
        (exposure,) = book.assign("home", f"visitor-{number}", None, when).exposures
        row = Impression(f"e{number}", "for_you", (ShownItem("sku-07"),))
        pages.append(ServedPage(f"e{number}", "home", when, (row,), f"visitor-{number}", exposures=(exposure,)))
        clicks += [Action(f"e{number}", "sku-07", "click", when)] if exposure.arm == "b" else []
    workspace.impressions.add_served(pages)
    workspace.impressions.add_actions(clicks, now)
    return text
