"""The demo from end to end, with the tiny shop in the data set's place: what it shows is so, and a second time repeats nothing."""

from __future__ import annotations

import re
import shutil
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest

from features.errors import DataError
from features.ingest.datasets import _numbered
from features.ingest.source import Source
from recsys.artifacts.bundle import current_id, list_bundles
from recsys.cli import demo
from recsys.cli.assistant.demo import MESSAGES
from recsys.cli.render import stdout
from recsys.offline import evaluate
from recsys.offline.evaluate import evaluation_cut
from recsys.recommend import open
from recsys.recommend.request import RecommendOptions
from recsys.refresh import build
from recsys.shop import Shop
from recsys.snapshot.fingerprint import fingerprint
from recsys.training import find_or_train
from recsys.workspace import workspace
from recsys.workspace.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import torch

    from recsys.artifacts.model import Model
    from recsys.training.job import TrainingJob

WORK = {
    "trained": (find_or_train, "train_model"),
    "read": (workspace, "ingest"),
    "built": (build, "assembled"),
    "judged": (evaluate, "evaluate_system"),
}


@pytest.fixture(scope="module")
def trained_once() -> Callable[..., Model]:
    """Trains as `train_model`; a second time on the same data it gives the model that it has: training is not what is tested."""
    train = find_or_train.train_model
    models: dict[str, Model] = {}

    def trained(job: TrainingJob, device: torch.device, work: Path, cache: Path) -> Model:
        key = fingerprint(job.catalog, job.log) + job.settings.model_dump_json()
        if key not in models:
            models[key] = train(job, device, work, cache)
        work.mkdir(parents=True, exist_ok=True)
        return models[key]

    return trained


@pytest.fixture
def done(monkeypatch: pytest.MonkeyPatch, shop: Any, trained_once: Callable[..., Model]) -> list[str]:
    """What the demo really does, in order; it finds the tiny shop where the data set should be."""
    bought = shop.events.filter(pl.col("event") == "purchase").drop("event")
    tables = [table.lazy().with_columns(pl.col(pl.Float64, pl.Boolean).cast(pl.String)) for table in (shop.items, bought)]
    monkeypatch.setattr("features.ingest.tables.complete_journey", lambda: tuple(map(_numbered, tables)))
    done: list[str] = []

    def note(name: str, original: Any) -> Any:
        return lambda *arguments: done.append(name) or original(*arguments)

    for name, (module, function) in WORK.items():
        original = trained_once if name == "trained" else getattr(module, function)
        monkeypatch.setattr(module, function, note(name, original))
    return done


@pytest.fixture
def settings(tiny_settings: Any) -> Any:
    """Room for what nobody has bought among the candidates."""
    return tiny_settings.model_copy(update={"retrieval": tiny_settings.retrieval.model_copy(update={"candidates": 50})})


def test_the_whole_demo_twice(done, settings, shop, tmp_path, capsys):
    place = Workspace(tmp_path / "demo")
    demo.run_demo(place, settings)
    first = capsys.readouterr().out
    assert done == ["read", "trained", "built", "judged", "built"]  # the second bundle has a product more
    check(first, place, shop)

    before = list_bundles(place.bundles), list_bundles(place.models)
    done.clear()
    demo.run_demo(place, settings)
    second = capsys.readouterr().out
    assert done == []
    assert (list_bundles(place.bundles), list_bundles(place.models)) == before
    assert "already ingested" in second
    assert "is already there for this data" in second
    assert shown(second) == shown(first)


def shown(out: str) -> str:
    """What is shown of the household on: the same both times, but for seconds and bundles."""
    return re.sub(r"bundle .*|refresh: .*", "", out[out.index("5. A household") :])


def check(out: str, place: Workspace, shop: Any) -> None:
    """The household, its purchases and its list are those of the log."""
    assert [f"{n}." in out for n in range(1, 10)] == [True] * 9
    assert f"interactions: {shop.events.filter(pl.col('event') == 'purchase').height:,} read" in out
    assert "NDCG@10" in out.upper()
    _, log = place.load()
    cut = evaluation_cut(log)
    user = re.search(r"Household (\S+): ([\d,]+) purchases before the day", out)
    assert user
    mine = shop.events.filter((pl.col("user_id") == user[1]) & (pl.col("event") == "purchase")).sort("timestamp")
    before, after = mine.filter(pl.col("timestamp").dt.epoch("s") < cut), mine.filter(pl.col("timestamp").dt.epoch("s") >= cut)
    assert before.height == int(user[2].replace(",", ""))
    last = out[out.index("The last ones:") : out.index("Recommended to household")]
    assert re.findall(r"sku-\d\d", last) == before["item_id"].to_list()[::-1][: demo.LAST_PURCHASES]
    lists = out[out.index("Recommended to household") : out.index("6. One more")].splitlines()
    rows = [line for line in lists if re.match(r"\s*\d+\s+sku-\d\d", line)]
    assert len(rows) == 20
    bought = set(after["item_id"])
    for line in rows:
        item = re.findall(r"sku-\d\d", line)[0]
        assert ("* " in line) == (item in bought), line
        assert "%" in line
    assert any("* " in line for line in rows)
    assert "now buys" in out
    assert "demo-oat-milk" in out
    talk = out[out.index("9. The assistant") :]
    assert [line.split(": ", 1)[1] for line in talk.splitlines() if line.startswith(f"Household {user[1]}: ")] == list(MESSAGES)
    assert "(a person takes over, because: " in talk
    assert place.load_help_pages() is not None
    assert not place.conversations.counts().get("handed_over")  # the shop's own conversations are left alone
    assert "is offered it, at place" in out or "is offered it among the first ten" in out


def test_the_recommender_of_the_demo_knows_nothing_after_its_day(done, settings, tmp_path, capsys):
    place = Workspace(tmp_path / "demo")
    demo.run_demo(place, settings)
    _, log = place.load()
    cut = evaluation_cut(log)
    for bundle in list_bundles(place.bundles):
        assert open.open_recommender(place, bundle).snapshot.log.end <= cut
    (answer,) = Shop(place, settings).answers(RecommendOptions(), ["user-03"])
    assert answer.bundle_id == current_id(place.bundles)
    assert len(answer.items) == 10


def test_another_shops_workspace_is_left_alone(done, ready, tmp_path):
    shutil.copytree(ready.folder, tmp_path / "mine")
    place = Workspace(tmp_path / "mine" / "workspace")
    before = {path: path.read_bytes() for path in place.root.rglob("*") if path.is_file()}
    with pytest.raises(DataError, match="another shop's data: choose another folder"):
        demo.run_demo(place, ready.settings)
    assert {path: path.read_bytes() for path in place.root.rglob("*") if path.is_file()} == before
    assert done == []


def test_a_workspace_of_before_gets_the_help_pages_and_no_other_step_is_repeated(done, tmp_path, capsys):
    place = Workspace(tmp_path / "demo")
    place.ingest(Source(dataset=demo.DATASET))
    before = place.load()
    demo._ingest(place, stdout())
    pages = place.load_help_pages()
    assert pages is not None
    assert len(pages) == 80
    assert fingerprint(*before) == fingerprint(*place.load())
    done.clear()
    demo._ingest(place, stdout())
    assert "already ingested" in capsys.readouterr().out
    assert done == []


def test_it_goes_on_after_the_step_that_was_cut_off(done, settings, tmp_path, monkeypatch, capsys):
    place = Workspace(tmp_path / "demo")
    with monkeypatch.context() as patch:
        patch.setattr(build, "publish", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            demo.run_demo(place, settings)
    assert done == ["read", "trained", "built"]
    done.clear()
    demo.run_demo(place, settings)
    assert "read" not in done
    assert "trained" not in done
    assert "5. A household" in capsys.readouterr().out
