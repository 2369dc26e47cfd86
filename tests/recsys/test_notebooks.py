"""Every notebook runs on the tiny shop, from its text, and finds what is true there; the rendered pages are of the texts as they are."""

from __future__ import annotations

import os
import runpy
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest import mock

import jupytext
import matplotlib.pyplot as plt
import polars as pl
import pytest

from features.errors import ConfigError, DataError
from recsys.notebook import begin
from recsys.offline.evaluate import evaluation_cut
from recsys.refresh.build import build_index
from recsys.training.find_or_train import train
from recsys.training.options import TrainOptions
from tests.recsys.calls import toml
from tests.recsys.conftest import Place

if TYPE_CHECKING:
    from collections.abc import Callable

    from recsys.settings.settings import Settings

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.py"))


@pytest.fixture(scope="module")
def place(shop: Any, tiny_settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> Place:
    """The tiny shop with one broken row, trained until the day on which evaluation begins, published; recsys.toml beside the workspace."""
    found = Place(tmp_path_factory.mktemp("notebooks"), tiny_settings)
    _, log = shop.write(found.folder)
    with log.open("a", encoding="utf-8") as file:
        file.write("user-01,sku-99,2024-03-01T00:00:00,purchase,1,1\n")
    found.ingest()
    end = evaluation_cut(found.workspace.load()[1])
    train(found.workspace, tiny_settings, TrainOptions(until=datetime.fromtimestamp(end, UTC).replace(tzinfo=None)))
    build_index(found.workspace, tiny_settings)
    (found.folder / "recsys.toml").write_text("\n".join(toml(tiny_settings.model_dump(mode="json", exclude_unset=True))), encoding="utf-8")
    return found


@pytest.fixture
def run_notebook(place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Runs a notebook by its number; gives its names."""

    def run(number: str) -> dict[str, Any]:
        (path,) = (path for path in NOTEBOOKS if path.name.startswith(number))
        return runpy.run_path(str(path))

    monkeypatch.chdir(place.folder)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with mock.patch.dict(os.environ, {"RECSYS_WORKSPACE": str(place.workspace.root), "MPLBACKEND": "agg"}), pl.Config():
        yield run
    plt.close("all")


def test_a_look_at_the_shop_counts_what_is_there(
    run_notebook: Callable[[str], dict[str, Any]], shop: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    names = run_notebook("01")
    assert names["quarantine"].select("reason", "value").rows() == [("item_id not in the catalogue", "sku-99")]
    sold = {(row["user_id"], row["item_id"]) for row in shop.events.iter_rows(named=True) if row["event"] == "purchase"}
    assert names["never"] == len(shop.items) - len({item for _, item in sold})
    assert names["a_user"]["items"].sum() == len(sold)
    assert names["again"]["repeat"].sum() == len(names["lines"]) - len(sold)
    assert names["texts"].n_unique() == len(shop.items) - 1  # the twins
    assert "the user encoder takes a sequence" in capsys.readouterr().out


def test_towers_are_compared_with_the_best_neighbours_there_are(run_notebook: Callable[[str], dict[str, Any]], shop: Any) -> None:
    names = run_notebook("02")
    rows = {row["neighbours"]: row for row in names["neighbours"].iter_rows(named=True)}
    assert len(names["before"]) == len(names["after"]) == len(shop.items) - 1
    assert rows["before"]["kept from before, of 10"] == 10
    assert max(row["similar buyers, cosine"] for row in rows.values()) == rows["best possible"]["similar buyers, cosine"]
    assert names["before"].shape[1] > names["after"].shape[1]
    for name in ("before", "after"):  # by hand, of one text
        i, vectors = names["chosen"][0], names[name][names["chosen"]]
        assert names["near"][name][0, 0] == max(range(1, len(vectors)), key=lambda j: vectors[j] @ names[name][i])
    assert names["unseen"].start >= names["Windows"].plan(names["snapshot"].log, names["until"]).early.start


def test_three_questions_are_asked_of_the_arms_they_name(run_notebook: Callable[[str], dict[str, Any]]) -> None:
    names = run_notebook("03")
    ours, crossed, fresh = (names[name] for name in ("ours", "crossed", "fresh"))
    assert [found.a.facts["system"] for found in (ours, crossed, fresh)] == ["popular", "ours", "ours"]
    assert [found.a.facts["cross_encoder"] for found in (crossed, fresh)] == [False, True]
    assert crossed.b.facts["cross_encoder"] is True
    assert [found.b.facts["refresh_days"] for found in (ours, crossed, fresh)] == [1, 7, 1]
    assert {found.days for found in (ours, crossed, fresh)} == {5}
    assert ours.row("all", "ndcg@10").paired.sign == 1  # staples are bought again
    (trained,) = ours.b.models.values()
    assert trained.endswith(fresh.a.models[fresh.start].split()[-1])
    assert not (names["workspace"].root / "simulations" / "models").exists()  # the workspace's own model was good enough


def test_estimators_hold_and_miss_as_the_notebook_says(
    run_notebook: Callable[[str], dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    names = run_notebook("04")
    held = {row["case"]: row for row in names["rows"]}
    share = {case: {key: float(text.rstrip("%")) for key, text in row.items() if key != "case"} for case, row in held.items()}
    assert min(share["model knows"].values()) > 90
    assert share["model is blind"]["dm"] < 10
    assert share["model is blind"]["dr"] > 90
    assert max(share["cascade ignored"].values()) < 50
    assert names["truth"].b > names["truth"].a
    assert names["size"] < names["effective_size"](names["log"], names["weights"](names["log"], "independent"))
    assert "refused" in capsys.readouterr().out


def test_two_files_end_in_lists_and_a_judgement(run_notebook: Callable[[str], dict[str, Any]], capsys: pytest.CaptureFixture[str]) -> None:
    names = run_notebook("05")
    out = capsys.readouterr().out
    assert "2 quarantined (1 item_id not in the catalogue, 1 no user_id)" in out
    lists = [names["shown"](names["RecommendOptions"](k=5), user) for user in (names["user"], None)]
    assert [len(shown) for shown in lists] == [5, 5]
    assert lists[0].rows() != lists[1].rows()
    assert names["report"].cut.startswith(names["cut"].isoformat())
    assert not (names["shop"].root / "evaluation").exists()  # the model that was trained is the one that was judged
    assert names["rival"] in names["report"].baselines


def test_begin_says_what_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("RECSYS_WORKSPACE", raising=False)
    with mock.patch.dict(os.environ), pl.Config():
        with pytest.raises(DataError, match=r"workspace.data.source.json does not exist: run `recsys ingest` first"):
            begin()
        os.environ["RECSYS_CONFIG"] = "none.toml"
        with pytest.raises((ConfigError, DataError)):
            begin()


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_the_rendered_page_is_of_the_text(path: Path) -> None:
    page = (ROOT / "docs" / "notebooks" / f"{path.stem}.md").read_text(encoding="utf-8")
    for cell in jupytext.read(path).cells:
        assert cell.source in page, "run `make notebooks`"
    assert "![](" not in page, "a figure's cell needs an alt"
    assert page.count("![") == sum("alt" in cell.metadata for cell in jupytext.read(path).cells)


def test_no_notebook_is_left_out() -> None:
    assert [path.stem for path in NOTEBOOKS] == sorted(path.stem for path in (ROOT / "docs" / "notebooks").glob("*.md"))
