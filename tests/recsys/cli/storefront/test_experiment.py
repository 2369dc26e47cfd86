"""`recsys experiment`: lists what the file names, reads one out, and says in one line what is wrong."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from recsys.apps.storefront.experiments import read_out
from recsys.apps.storefront.experiments.assignment import ExperimentBook
from recsys.apps.storefront.experiments.definition import Experiment, day
from recsys.apps.storefront.experiments.listing import watch_experiments
from recsys.settings.settings import Settings
from recsys.workspace.served_pages import Action, ArmExposure, Impression, ServedPage, ShownItem
from recsys.workspace.workspace import Workspace

DAY = 86_400
NOW = int(time.time())
TODAY = NOW - NOW % DAY
FILE = f"""
[experiments.diverse]
from = {day(TODAY - 10 * DAY)}
to = {day(TODAY + 10 * DAY)}
units = 600
arms.a = {{}}
arms.b = {{settings = {{diversity = 0.3, bundle = "gone"}}}}
"""


@pytest.fixture
def place(tmp_path: Path) -> Workspace:
    """A shop in which everybody of arm b clicks, and nobody of arm a."""
    workspace = Workspace(tmp_path / "shop")
    workspace.root.mkdir()
    workspace.experiments.write_text(FILE)
    book = ExperimentBook(workspace)
    book.catch_up(TODAY - 9 * DAY)
    pages, clicks = [], []
    for number in range(600):
        when = TODAY - 9 * DAY + 600 * number
        (exposure,) = book.assign("home", f"u{number}", None, when).exposures
        row = Impression(f"i{number}", "for_you", (ShownItem("x"),))
        pages.append(ServedPage(f"p{number}", "home", when, (row,), f"u{number}", exposures=(exposure,), milliseconds=30))
        if exposure.arm == "b":
            clicks.append(Action(f"i{number}", "x", "click", when))
    workspace.impressions.add_served(pages)
    workspace.impressions.add_actions(clicks, NOW)
    return workspace


def test_a_read_out_says_what_came_of_it(place: Workspace, command: Any) -> None:
    said = command("experiment", "read-out", "diverse", workspace=place.root)
    assert said.code == 0, said.err
    assert "b is better than a since" in said.out
    assert "+1" in said.out
    answer = command("experiment", "read-out", "diverse", "--json", workspace=place.root).answer
    assert answer["comparisons"][0]["better"] is True
    assert answer == json.loads((place.reports / "experiment-diverse.json").read_text())


def shape(value: Any) -> Any:
    """The keys of an answer at all depths; those of arms and settings are names."""
    if isinstance(value, dict):
        return {
            key: None if key == "settings" or (key == "arms" and isinstance(part, dict)) else shape(part) for key, part in value.items()
        }
    return [shape(value[0])] if isinstance(value, list) and value and isinstance(value[0], dict) else None


@pytest.mark.parametrize(("words", "name"), [(("list",), "experiment list"), (("read-out", "diverse"), "experiment read-out")])
def test_the_keys_are_those_of_the_page(place: Workspace, command: Any, words: tuple[str, ...], name: str) -> None:
    page = (Path(__file__).parents[4] / "docs" / "json.md").read_text(encoding="utf-8")
    documented = json.loads(page.split(f"```json {name}\n")[1].split("```")[0])
    assert shape(documented) == shape(command("experiment", *words, "--json", workspace=place.root).answer)


def test_the_list_says_what_is_off(place: Workspace, command: Any) -> None:
    said = command("experiment", "list", workspace=place.root)
    assert said.out.startswith("diverse: running, off, from ")
    assert "note: experiment 'diverse': arm 'b' names the bundle 'gone', which is not kept here" in said.err
    place.experiments.write_text(FILE.replace("arms.b", "arms.c"))
    (one,) = command("experiment", "list", "--json", workspace=place.root).answer
    assert one["state"] == "running"
    assert "arm 'b' has been shown since" in one["problems"][0]


def test_what_is_wrong_is_one_line(place: Workspace, command: Any) -> None:
    said = command("experiment", "read-out", "divers", workspace=place.root)
    assert (said.code, "there is no experiment 'divers'" in said.err, "did you mean 'diverse'?" in said.err) == (1, True, True)
    place.experiments.write_text(FILE.replace("diversity", "diversty"))
    said = command("experiment", "list", workspace=place.root)
    assert (said.code, said.err.count("\n")) == (1, 1)
    assert "unknown key arms.b.settings.diversty, did you mean 'diversity'" in said.err
    place.experiments.unlink()
    assert command("experiment", "list", workspace=place.root).out.startswith("no experiments: write some to ")


def test_a_refresh_tells_a_verdict_once(place: Workspace) -> None:
    (told,) = watch_experiments(place, Settings())
    assert told.startswith("experiment diverse: b is better than a since")
    assert watch_experiments(place, Settings()) == ()
    place.impressions.add_served(
        [ServedPage(f"x{i}", "home", NOW, (), f"x{i}", exposures=(ArmExposure("diverse", "a"),)) for i in range(900)]
    )
    (told,) = watch_experiments(place, Settings())
    assert "no result is valid" in told
    place.experiments.write_text("[experiments")
    assert watch_experiments(place, Settings()) == ()


def test_an_experiment_that_cannot_be_read_out_does_not_hide_the_others(
    place: Workspace, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(found: Experiment, *more: Any) -> Any:
        if found.name == "broken":
            raise ValueError("Out of range float values are not JSON compliant")
        return right(found, *more)

    right = read_out.read_out
    monkeypatch.setattr(read_out, "read_out", fails)
    place.experiments.write_text(
        FILE.replace("diverse", "broken").replace("diversity", "exploration").replace(', bundle = "gone"', "") + FILE
    )
    (told,) = watch_experiments(place, Settings())
    assert told.startswith("experiment diverse: b is better")
    assert "experiment broken is not read out: unexpected ValueError" in caplog.messages
