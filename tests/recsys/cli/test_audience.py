"""`recsys audience` and `recsys campaign copy`: their options, what they print, and the file of customers."""

from __future__ import annotations

import json
import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import polars as pl
import pytest

from recsys.apps.campaigns.copy.answers import Copy
from recsys.apps.campaigns.copy.request import CopyRequest
from recsys.apps.campaigns.copy.writer import CopyWriter
from recsys.apps.customers.audience.answers import Audience, Member
from recsys.apps.customers.audience.model import Sales
from recsys.apps.customers.audience.request import AudienceRequest
from recsys.apps.customers.groups import Gap
from recsys.cli.main import run
from tests.recsys.conftest import FakeShop

MEMBERS = (Member(1, "u1", 0.25, "bought 3 times"), Member(2, "=cmd()", 0.125, "[red]x\x1b[31m[/red]"))
GAPS = (Gap("age", "old", 30, 0.5, 0.25, 0.125, 0.375), Gap("age", "[b]young", 30, 0.25, -0.25, math.nan, math.nan))
FOUND = Audience("Green tea", "sold", "b1", 28, MEMBERS, Sales(0.375, 0, 1), 9, {"opted out": 4}, ("consent is not known",), GAPS, 0.1)


@pytest.fixture
def asked(fake_shop: Any, monkeypatch: pytest.MonkeyPatch) -> list[AudienceRequest]:
    seen: list[AudienceRequest] = []
    opened = SimpleNamespace(answer=lambda request: seen.append(request) or FOUND)
    monkeypatch.setattr(FakeShop, "recommender", None, raising=False)
    monkeypatch.setattr("recsys.apps.customers.audience.open.open_audience", lambda *_: opened)
    return seen


def test_it_takes_every_option(asked: list[AudienceRequest]) -> None:
    assert run(["audience", "--item", "a", "-k", "7", "--budget", "2.5"]) == 0
    assert run(["audience", "--category", "tea"]) == 0
    assert run(["audience", "--text", "a new tea", "--json"]) == 0
    assert asked == [AudienceRequest("a", k=7, budget=2.5), AudienceRequest(category="tea"), AudienceRequest(text="a new tea")]


@pytest.mark.parametrize("options", [[], ["--item", "a", "--text", "b"], ["--item", "a", "-k", "0"], ["--item", "a", "--out", "x.xlsx"]])
def test_wrong_usage_is_2(asked: list[AudienceRequest], options: list[str]) -> None:
    assert run(["audience", *options]) == 2
    assert asked == []


def test_json_has_the_buyers_and_who_was_left_out(asked: list[AudienceRequest], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["audience", "--item", "a", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["buyers"] == {"letters": 2, "expected": 0.38, "low": 0, "high": 1}
    assert answer["left_out"] == {"opted out": 4}
    assert answer["members"][0] == {"rank": 1, "user_id": "u1", "probability": 0.25, "reason": "bought 3 times"}


def test_the_terminal_shows_no_markup_of_the_shop(asked: list[AudienceRequest], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["audience", "--item", "a"]) == 0
    said = capsys.readouterr()
    assert "[red]x" in said.out
    assert "\x1b" not in said.out
    assert "0.4 of them will buy within 28 days (80% interval 0 to 1); left out: 4 opted out" in said.out
    assert said.err == "note: consent is not known\n"


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
def test_a_file_has_all_customers(asked: list[AudienceRequest], tmp_path: Path, suffix: str, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / f"letter.{suffix}"
    assert run(["audience", "--item", "a", "--out", str(file)]) == 0
    frame = {"csv": pl.read_csv, "jsonl": pl.read_ndjson, "parquet": pl.read_parquet}[suffix](file)
    assert frame["rank"].to_list() == [1, 2]
    assert frame["probability"].to_list() == [0.25, 0.125]
    assert "2 customers in" in capsys.readouterr().out


def test_copy_of_an_offer_needs_no_workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(["campaign", "copy", "--offer", "10% off all teas", "--channel", "sms", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["variants"] == [
        {
            "name": "sms-1",
            "form": "sms",
            "text": "10% off all teas",
            "characters": 16,
            "reworded": False,
            "facts": [{"name": "offer", "value": "10% off all teas", "source": "shop"}],
        }
    ]
    assert run(["campaign", "copy", "--offer", "10% off all teas"]) == 0
    assert "sms-1 (16 characters): 10% off all teas" in capsys.readouterr().out


def test_copy_takes_every_option(fake_shop: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[CopyRequest] = []
    monkeypatch.setattr(CopyWriter, "write", lambda _, request, __: seen.append(request) or Copy("a", None, "loyal", "de", ()))
    assert run(["campaign", "copy", "--item", "a", "--segment", "loyal", "--language", "de", "--channel", "push"]) == 0
    assert seen == [CopyRequest("a", None, "loyal", "de", "push")]


def test_results_go_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "sent.csv"
    file.write_text("variant,clicked\na,1\nb,0\n", encoding="utf-8")
    assert run(["campaign", "copy", "--results", str(file), "--item", "a"]) == 2
    capsys.readouterr()
    assert run(["campaign", "copy", "--results", str(file)]) == 0
    assert "none has won yet" in capsys.readouterr().out
    assert run(["campaign", "copy", "--results", str(tmp_path / "gone.csv")]) == 1
    assert capsys.readouterr().err.startswith("error: ")


@pytest.mark.parametrize("options", [[], ["--out", "list.csv"]])
def test_exposure_by_group_is_printed(
    asked: list[AudienceRequest], options: list[str], capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(["audience", "--item", "a", *options]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "exposure, age old: 50.0% get into the audience, +25.0% [+12.5%, +37.5%] from all; limit 10.0%" in said
    assert "exposure, age [b]young: 25.0% get into the audience, -25.0% (interval not known, expected at least 20 customers)" in said


def test_json_has_no_nan(asked: list[AudienceRequest], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["audience", "--item", "a", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert [gap["low"] for gap in answer["exposure"]] == [0.125, None]
