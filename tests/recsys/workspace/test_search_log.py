"""The search log of a workspace: loaded over the same rows, read again by a refresh, and gone with its users."""

from __future__ import annotations

import io
from pathlib import Path

import polars as pl
import pytest

from features.behavior.query_clicks import QueryClicks
from features.data.queries import NONE
from recsys.artifacts.bundle import Bundle
from recsys.privacy.erasure import erase
from recsys.recommend.open import open_recommender
from recsys.refresh.refresh import refresh
from recsys.shop import Shop
from tests.recsys.calls import Command
from tests.recsys.conftest import Place

QUERIES = """timestamp,query,item_id,event,rank,user_id
2024-03-01T10:00:00,green tea,sku-00,shown,1,user-07
2024-03-01T10:00:05,green tea,sku-00,click,1,user-07
2024-03-01T11:00:00,bred,,shown,,searcher
2024-03-01T12:00:00,rye bread,sku-10,purchase,2,
"""


@pytest.fixture
def searching(spare: Place) -> Place:
    """The tiny shop, with a search log."""
    (spare.folder / "queries.csv").write_text(QUERIES)
    spare.shop.ingest(items=spare.items, interactions=spare.log, queries=spare.folder / "queries.csv")
    return spare


def test_it_has_the_rows_of_the_catalogue_and_the_log(searching: Place) -> None:
    catalog, log = searching.workspace.load()
    queries = searching.workspace.load_queries(catalog, log.user_ids)
    assert queries is not None
    assert queries.n_items == len(catalog)
    assert queries.user_ids[: log.n_users].tolist() == log.user_ids.tolist()
    assert [NONE if user == NONE else queries.user_ids[user] for user in queries.user] == ["user-07", "user-07", "searcher", NONE]
    assert [NONE if item == NONE else catalog.ids[item] for item in queries.item] == ["sku-00", "sku-00", NONE, "sku-10"]


def test_a_shop_without_one_has_none(ready: Place) -> None:
    assert ready.workspace.load_queries(ready.workspace.load()[0]) is None


def test_a_change_of_it_changes_the_state_and_a_refresh_reads_it_again(searching: Place) -> None:
    workspace, settings = searching.workspace, searching.settings
    refresh(workspace, settings)
    before = workspace.state()
    assert str(refresh(workspace, settings)).startswith("nothing has changed")
    with (searching.folder / "queries.csv").open("a") as file:
        file.write("2024-03-02T10:00:00,oat cookie,sku-12,click,1,user-01\n")
    said = str(refresh(workspace, settings))
    assert "queries: 5 read = 5 kept + 0 quarantined" in said
    assert "nothing has changed" not in said
    assert workspace.state() != before
    queries = workspace.load_queries(workspace.load()[0])
    assert queries is not None
    assert queries.texts.tolist() == ["bred", "green tea", "oat cookie", "rye bread"]


@pytest.mark.parametrize("user", ["user-07", "searcher"])
def test_an_erased_user_leaves_no_trace(user: str, searching: Place) -> None:
    workspace = searching.workspace
    refresh(workspace, searching.settings)
    found = erase(workspace, user)
    assert found.users == 1
    assert found.rows >= 1
    for path in (path for path in workspace.root.rglob("*") if path.is_file()):
        content = path.read_bytes()
        if path.suffix == ".parquet":
            content = pl.read_parquet(io.BytesIO(content)).write_json().encode()
        assert user.encode() not in content, path
    refresh(workspace, searching.settings)
    queries = workspace.load_queries(workspace.load()[0])
    assert queries is not None
    assert user not in queries.user_ids


def clicks_of(place: Place) -> QueryClicks:
    return open_recommender(place.workspace).snapshot.query_clicks


@pytest.mark.parametrize(("user", "query"), [("user-07", "green tea"), ("searcher", "cooki oat")])
def test_no_bundle_counts_the_searches_of_an_erased_user(user: str, query: str, searching: Place) -> None:
    workspace = searching.workspace
    with (searching.folder / "queries.csv").open("a") as file:
        file.write("2024-03-02T10:00:00,oat cookie,sku-12,click,1,searcher\n")
    refresh(workspace, searching.settings)
    before = set(clicks_of(searching).keys)
    assert len(before) == 3
    erase(workspace, user)
    left, rewritten = clicks_of(searching).keys.tolist(), Bundle.open(workspace.bundles)
    assert before - set(left) == {query}
    refresh(workspace, searching.settings)
    before_build, after_build = dict(rewritten.manifest.files), dict(Bundle.open(workspace.bundles).manifest.files)
    for files in (before_build, after_build):
        files.pop("snapshot/customers/about.json")  # its notes count customers, and an erasure does not compute them again
    assert after_build == before_build, "as if they had never searched"


def test_frames_may_bring_it(searching: Place, tmp_path: Path) -> None:
    frame = pl.read_csv(searching.folder / "queries.csv")
    made = Shop.from_frames(searching.items, searching.log, queries=frame, workspace=tmp_path / "other")
    catalog, log = made.workspace.load()
    ours, theirs = (place.load_queries(catalog, log.user_ids) for place in (made.workspace, searching.workspace))
    assert ours is not None
    assert theirs is not None
    assert ours.counts().equals(theirs.counts())


def test_the_command_line_reads_it(ready: Place, tmp_path: Path, command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "queries.csv").write_text(QUERIES + "2024-03-01T12:00:00,tea,sku-99,shown,1,u\n")
    files = ("--items", ready.items, "--interactions", ready.log)
    said = command("ingest", *files, "--queries", "queries.csv", workspace=tmp_path / "w")
    assert "4 rows of 3 distinct queries and 2 users, with 2 items, 2024-03-01\n  events: shown 2, click 1, purchase 1" in said.out
    assert "queries: 5 read = 4 kept + 1 quarantined (1 item_id not in the catalogue)" in said.out
    assert "the quarantined rows are listed in" in said.out
    assert "give the log with --interactions FILE as well" in command("ingest", "--queries", "queries.csv").err
    with (tmp_path / "tiny.toml").open("a") as config:
        config.write(f'\n[source]\nitems = "{ready.items}"\ninteractions = "{ready.log}"\nqueries = "queries.csv"\n')
    monkeypatch.chdir("/")
    assert "queries: 5 read" in command("ingest", "--check", workspace=tmp_path / "w").out
