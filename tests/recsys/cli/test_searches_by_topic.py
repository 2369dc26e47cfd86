"""`recsys reviews --searches`: what it prints, and what it says where the log or the options do not allow it."""

from __future__ import annotations

from datetime import datetime

import polars as pl
import pytest

from recsys.apps.search.topics import NO_LOG
from recsys.dialogue.conversations import TurnRecord
from tests.recsys.calls import Command
from tests.recsys.conftest import Place

LOG = pl.DataFrame(
    [
        (datetime(2026, 1, 5, 9), "quiet [b]qwzx[/b]", None, None, "u"),
        (datetime(2026, 1, 5, 12), "rye bread", "sku-10", "shown", "u"),
        (datetime(2026, 1, 5, 13), "rye bread", "sku-10", "shown", "v"),
        (datetime(2026, 1, 5, 15), "rye bread", "sku-10", "click", "w"),
    ],
    schema=["timestamp", "query", "item_id", "event", "user_id"],
    orient="row",
)


def logged(monkeypatch: pytest.MonkeyPatch, log: pl.DataFrame | None) -> None:
    monkeypatch.setattr("features.ingest.table_store.load_optional", lambda _folder, _name: log)


def test_people_see_topics_with_counts_and_examples(ready: Place, command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    logged(monkeypatch, LOG)
    said = command("reviews", "--searches", workspace=ready.workspace.root)
    assert said.code == 0, said
    lines = said.out.splitlines()
    assert lines[0] == "3 of 4 searches failed: without results, without a click, or put in other words soon"
    assert [line.split()[:1] for line in lines if line.startswith(("Categories", "Aspects"))] == [["Categories"], ["Aspects"]]
    assert any(line.split() == ["bakery", "2", "0", "0", "2", "rye", "bread"] for line in lines), lines
    assert any("[b]qwzx[/b]" in line and line.startswith("performance") for line in lines), lines


def test_json_is_stable(ready: Place, command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    logged(monkeypatch, LOG)
    answer = command("reviews", "--searches", "--json", workspace=ready.workspace.root).answer
    assert (answer["searches"], answer["failed"], answer["sorted"], answer["queries"]) == (4, 3, 3, 2)
    assert answer["categories"][0] == {
        "topic": "bakery",
        "failed": 2,
        "no_results": 0,
        "reformulated": 0,
        "users": 2,
        "queries": 1,
        "examples": ["rye bread"],
    }
    assert [row["topic"] for row in answer["aspects"]] == ["performance"]


def test_what_is_left_out_is_said(ready: Place, command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    logged(monkeypatch, LOG)
    monkeypatch.setattr("recsys.apps.search.topics.MOST_QUERIES", 1)
    out = command("reviews", "--searches", workspace=ready.workspace.root).out
    assert "by topic: 2 failed searches, those of the 1 queries that failed most often" in out
    assert "aspects: none of these queries names one" in out


def test_a_shop_without_a_search_log_is_told_how_to_get_one(ready: Place, command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    logged(monkeypatch, None)
    assert command("reviews", "--searches", workspace=ready.workspace.root).error == f"error: {NO_LOG}"


QUESTIONS = ("Do you have rye bread without salt?", "do you have  RYE bread without salt?", "How quiet is the qwzx?", "opening hours")


@pytest.mark.parametrize("log", [LOG, None], ids=["with a search log", "without"])
def test_messages_without_an_answer_are_a_second_source(
    spare: Place, command: Command, monkeypatch: pytest.MonkeyPatch, log: pl.DataFrame | None
) -> None:
    logged(monkeypatch, log)
    kept = spare.workspace.conversations
    for number, question in enumerate(QUESTIONS):
        state = kept.state(f"c{number}", None).model_copy(update={"turn": 1})
        outcome = "answered" if question == "opening hours" else "unanswered"
        assert kept.save(None, state, TurnRecord(f"c{number}", 1, 1_700_000_000, "en", question, outcome))
    answer = command("reviews", "--searches", "--json", workspace=spare.workspace.root).answer
    assert answer["searches"] == (0 if log is None else 4)
    messages = answer["messages"]
    assert (messages["searches"], messages["failed"], messages["sorted"], messages["queries"]) == (4, 3, 3, 2)
    bakery = next(row for row in messages["categories"] if row["topic"] == "bakery")
    assert (bakery["failed"], bakery["users"], bakery["no_results"]) == (2, 2, None)
    assert bakery["examples"] == ["do you have rye bread without salt?"]
    assert [row["topic"] for row in messages["aspects"]] == ["performance"]
    said = command("reviews", "--searches", workspace=spare.workspace.root).out
    assert "3 of 4 messages to the assistant have no answer" in said
    assert ("There is no search log." in said) == (log is None)


@pytest.mark.parametrize("other", [("--item", "sku-01"), ("--brand", "acme"), ("--category", "tea"), ("--aspect", "price"), ("--alerts",)])
def test_it_goes_alone(command: Command, other: tuple[str, ...]) -> None:
    said = command("reviews", "--searches", *other)
    assert (said.code, said.out) == (2, "")
    assert "--searches" in said.err


@pytest.mark.parametrize("other", [("--item", "sku-01"), ("--aspect", "price"), ("--propose-terms",)])
def test_alerts_go_alone_too(command: Command, other: tuple[str, ...]) -> None:
    said = command("reviews", "--alerts", *other)
    assert (said.code, said.out) == (2, "")
    assert "--alerts: goes without" in said.err
