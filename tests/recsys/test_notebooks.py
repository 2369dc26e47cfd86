"""Every notebook runs on the tiny shop, from its text, and finds what is true there; the rendered pages are of the texts as they are."""

from __future__ import annotations

import os
import runpy
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest import mock

import jupytext
import matplotlib.pyplot as plt
import polars as pl
import pytest

from eval.experiment.splits import in_b
from features.errors import ConfigError, DataError
from features.ingest.pipeline import ingest
from features.ingest.source import Source
from features.names import USER_ID
from recsys.notebook import begin
from recsys.offline.evaluate import evaluation_cut
from recsys.refresh.build import build_index
from recsys.training.find_or_train import train
from recsys.training.options import TrainOptions
from tests.conftest import N_USERS, START
from tests.recsys.calls import toml
from tests.recsys.conftest import Place

if TYPE_CHECKING:
    from collections.abc import Callable

    from recsys.settings.settings import Settings

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.py"))
OPTED_OUT = 7  # the number of a customer of the tiny shop


@pytest.fixture(scope="module")
def place(shop: Any, tiny_settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> Place:
    """The tiny shop with one broken row, trained until the day on which evaluation begins, published; recsys.toml beside the workspace.

    It has ages of customers, of whom one has opted out, and three campaigns without a holdout.
    """
    found = Place(tmp_path_factory.mktemp("notebooks"), tiny_settings)
    items, log = shop.write(found.folder)
    with log.open("a", encoding="utf-8") as file:
        file.write("user-01,sku-99,2024-03-01T00:00:00,purchase,1,1\n")
    customers, campaigns = found.folder / "customers.csv", found.folder / "campaigns.csv"
    users = pl.DataFrame({USER_ID: [f"user-{n:02}" for n in range(N_USERS)]}).with_row_index("n")
    users.select(USER_ID, age=pl.format("{}+", 20 + 20 * (pl.col("n") % 2)), opted_out=pl.col("n") == OPTED_OUT).write_csv(customers)
    sent = [users.with_columns(campaign_id=pl.lit(f"c{day}"), sent_at=pl.lit(START + timedelta(days=day))) for day in (60, 90, 120)]
    redeemed = pl.when(pl.col("n") % 3 == 0).then(pl.col("sent_at") + timedelta(days=5))
    pl.concat(sent).with_columns(offer=pl.lit("Type A"), redeemed_at=redeemed).drop("n").write_csv(campaigns)
    source = Source(items=items, interactions=log, customers=customers, campaigns=campaigns, customers_attributes=("age",))
    ingest(source, found.workspace.data)
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


def test_customers_are_as_the_log_says_and_the_lack_of_models_is_told(
    run_notebook: Callable[[str], dict[str, Any]], shop: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    names = run_notebook("06")
    bought = shop.events.filter(pl.col("event") == "purchase")
    assert sum(one.customers for one in names["segments"].segments) == bought["user_id"].n_unique() == N_USERS
    assert any("expected at least" in note for note in names["segments"].notes)
    assert (names["bought"][:, 0] == 100).all(), "everybody buys in the month of the first purchase"
    assert names["row"].purchase_days == bought.filter(pl.col("user_id") == names["row"].user_id)["timestamp"].dt.date().n_unique()
    assert names["report"] is None
    out = capsys.readouterr().out
    assert "no past moment can be judged" in out
    assert "everybody bought again" in out
    then = datetime.fromtimestamp(names["now"], UTC).replace(tzinfo=None)
    assert names["came"].sum() == bought.filter(pl.col("timestamp") >= then)["user_id"].n_unique() == N_USERS


def test_a_campaign_is_planned_before_it_is_read(
    run_notebook: Callable[[str], dict[str, Any]], shop: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    names = run_notebook("07")
    plan, moment = names["rows"], names["moment"]
    assert names["known"].log.time.max() < names["now"] == moment.replace(tzinfo=UTC).timestamp()
    assert shop.events["timestamp"].max() - moment >= timedelta(days=28)
    assert f"user-{OPTED_OUT:02}" not in plan["user_id"]
    assert names["plan"].report.left_out["opted out"] == 1
    assert names["plan"].report.response == "redeemed"
    assert {gap.group for gap in names["fair"].report.exposure} == {"20+", "40+"}
    assert plan["holdout"].to_list() == in_b(plan["user_id"], "sweet", 0.2).tolist()
    assert pl.read_csv(names["folder"] / "plan.csv").height == plan.height
    assert names["nothing"].redeemed == 0 < names["lift"].redeemed
    sent = plan.height - plan["holdout"].sum()
    assert names["lift"].redeemed == (names["bought"] & ~plan["holdout"]).sum()
    assert names["lift"].means["target_spend"] - names["nothing"].means["target_spend"] == pytest.approx(names["truth"])
    assert names["lift"].cost == pytest.approx(0.1 * sent + names["lift"].redeemed)
    assert all("fewer than 20" in " ".join(names[name].notes) for name in ("nothing", "lift")), "12 of 60 customers are held out"
    assert names["missed"] == [0, 0], "without an interval none can miss"
    assert {one.form for one in names["copy"].variants} == {"subject", "text", "push", "sms"}
    assert len(names["audience"].members) <= N_USERS - 1
    assert "expected profit" in capsys.readouterr().out


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
