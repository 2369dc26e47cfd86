"""The reviews of a workspace: loaded over the same rows, read again by a refresh, and gone with their users."""

from __future__ import annotations

import io
import sqlite3
from contextlib import closing
from pathlib import Path

import polars as pl
import pytest

from features.data.reviews import NONE
from features.ingest.source import Source
from recsys.artifacts.bundle import Bundle
from recsys.privacy.erasure import erase
from recsys.refresh.refresh import refresh
from recsys.shop import Shop
from tests.recsys.calls import Command
from tests.recsys.conftest import Place

REVIEWS = """item_id,text,rating,timestamp,user_id
sku-00,"Fine tea, write to me at tea@example.org",5,2024-03-01T10:00:00,user-07
sku-00,Bitter,2,2024-03-02,writer
sku-10,No time,4,,
"""


@pytest.fixture
def reviewing(spare: Place) -> Place:
    """The tiny shop, with reviews."""
    (spare.folder / "reviews.csv").write_text(REVIEWS)
    spare.shop.ingest(items=spare.items, interactions=spare.log, reviews=spare.folder / "reviews.csv")
    return spare


def test_they_have_the_rows_of_the_catalogue_and_the_log(reviewing: Place) -> None:
    catalog, log = reviewing.workspace.load()
    reviews = reviewing.workspace.load_reviews(catalog, log.user_ids)
    assert reviews is not None
    assert reviews.user_ids[: log.n_users].tolist() == log.user_ids.tolist()
    assert [NONE if user == NONE else reviews.user_ids[user] for user in reviews.user] == [NONE, "user-07", "writer"]
    assert catalog.ids[reviews.item].tolist() == ["sku-10", "sku-00", "sku-00"]
    assert reviews.text.to_list() == ["No time", "Fine tea, write to me at [mail]", "Bitter"]
    assert reviews.row.tolist() == [3, 1, 2]


def test_a_shop_without_any_has_none(ready: Place) -> None:
    assert ready.workspace.load_reviews(ready.workspace.load()[0]) is None


def test_a_change_of_them_changes_the_state_and_a_refresh_reads_them_again(reviewing: Place) -> None:
    workspace, settings = reviewing.workspace, reviewing.settings
    refresh(workspace, settings)
    before = workspace.state()
    assert str(refresh(workspace, settings)).startswith("nothing has changed")
    with (reviewing.folder / "reviews.csv").open("a") as file:
        file.write("sku-12,Crumbs,1,2024-03-03,user-01\n")
    said = str(refresh(workspace, settings))
    assert "reviews: 4 read = 4 kept + 0 quarantined; masked 1 mail in 1 row (such as row 1)" in said
    assert workspace.state() != before


@pytest.mark.parametrize("user", ["user-07", "writer"])
def test_an_erased_user_leaves_no_trace(user: str, reviewing: Place) -> None:
    workspace = reviewing.workspace
    refresh(workspace, reviewing.settings)
    found = erase(workspace, user)
    assert found.users == 1
    assert found.rows >= 1
    for path in (path for path in workspace.root.rglob("*") if path.is_file()):
        content = path.read_bytes()
        if path.suffix == ".parquet":
            content = pl.read_parquet(io.BytesIO(content)).write_json().encode()
        assert user.encode() not in content, path
    refresh(workspace, reviewing.settings)
    reviews = workspace.load_reviews(workspace.load()[0])
    assert reviews is not None
    assert user not in reviews.user_ids
    assert len(reviews) == 2


def test_frames_may_bring_them(reviewing: Place, tmp_path: Path) -> None:
    frame = pl.read_csv(reviewing.folder / "reviews.csv")
    made = Shop.from_frames(reviewing.items, reviewing.log, reviews=frame, workspace=tmp_path / "other")
    catalog, log = made.workspace.load()
    ours, theirs = (place.load_reviews(catalog, log.user_ids) for place in (made.workspace, reviewing.workspace))
    assert ours is not None
    assert theirs is not None
    assert ours.digest == theirs.digest


def test_what_a_database_gives_is_not_kept_unmasked(ready: Place, tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "shop.db")) as connection:
        for name, text in {"items": ready.items.read_text(), "log": ready.log.read_text(), "reviews": REVIEWS}.items():
            frame = pl.read_csv(io.StringIO(text), infer_schema=False)
            connection.execute(f"CREATE TABLE {name} ({', '.join(frame.columns)})")
            connection.executemany(f"INSERT INTO {name} VALUES ({', '.join('?' * frame.width)})", frame.rows())
        connection.commit()
    sql = {"uri": f"sqlite:///{tmp_path}/shop.db", "items": "SELECT * FROM items", "interactions": "SELECT * FROM log"}
    made = Shop.open(tmp_path / "w")
    made.ingest(Source.model_validate({"sql": sql | {"reviews": "SELECT * FROM reviews"}}))
    kept = [path for path in made.workspace.root.rglob("*.parquet") if "reviews" in path.name]
    assert [path.name for path in kept] == ["reviews.parquet"]
    assert "tea@example.org" not in pl.read_parquet(kept[0]).write_json()
    assert list(made.workspace.extracts.iterdir()), "the other tables are"


def test_the_command_line_reads_them(ready: Place, tmp_path: Path, command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "reviews.csv").write_text(REVIEWS + "sku-99,Unknown,1,2024-03-03,user-01\n")
    files = ("--items", ready.items, "--interactions", ready.log)
    said = command("ingest", *files, "--reviews", "reviews.csv", workspace=tmp_path / "w")
    assert "3 reviews of 2 items by 2 known users, 2024-03-01 to 2024-03-02" in said.out
    assert "reviews: 4 read = 3 kept + 1 quarantined (1 item_id not in the catalogue); masked 1 mail" in said.out
    assert "rating is read on a scale of 1 to 5" in said.out
    assert "give the log with --interactions FILE as well" in command("ingest", "--reviews", "reviews.csv").err
    with (tmp_path / "tiny.toml").open("a") as config:
        config.write(f'\n[source]\nitems = "{ready.items}"\ninteractions = "{ready.log}"\nreviews = "reviews.csv"\n')
    monkeypatch.chdir("/")
    assert "reviews: 4 read" in command("ingest", "--check", workspace=tmp_path / "w").out


@pytest.fixture
def told(spare: Place) -> Place:
    """The tiny shop with three reviews of each item, in words of its category, before the log begins."""
    items = pl.read_csv(spare.items)
    rows = [
        (item, f"{category.split('|')[-1]} {item} number{n}", 5, f"2023-01-0{n + 1}", "writer" if n else "user-07")
        for item, category in zip(items["item_id"], items["category"], strict=True)
        for n in range(3)
    ]
    frame = pl.DataFrame(rows, ["item_id", "text", "rating", "timestamp", "user_id"], orient="row")
    frame.write_csv(spare.folder / "reviews.csv")
    spare.shop.ingest(items=spare.items, interactions=spare.log, reviews=spare.folder / "reviews.csv")
    return spare


def test_their_words_are_learned_from_served_erased_and_missed(told: Place) -> None:
    told.shop.train()
    card = Bundle.open(told.workspace.models).read("MODEL_CARD.md").decode()
    reviews = 3 * len(pl.read_csv(told.items))
    assert f"learned from few ratings and packaged sentences; 0 negative, 0 neutral and {reviews:,} positive" in card
    assert f"of {reviews:,} reviews, 0.0% have no words" in card
    told.shop.build_index()
    recommender = told.shop.recommender
    words = recommender.snapshot.review_words
    assert recommender.model.ranking is not None
    assert "review_ease" in recommender.model.ranking.base.names
    assert words is not None
    assert len(words) == len(recommender.snapshot.reviews)
    assert recommender.snapshot.collaborative.review_ease is not None
    before = told.answer("user-03")

    erase(told.workspace, "user-07")
    snapshot = told.shop.recommender.snapshot
    left = snapshot.review_words
    assert left is not None
    assert left.review.tolist() == snapshot.reviews.reviews["review"].to_list()
    assert len(left) == 2 * len(snapshot.catalog)

    told.ingest()  # without reviews: the model goes on, their feature is missing
    told.shop.build_index()
    assert told.shop.recommender.snapshot.review_words is None
    after = told.answer("user-03")
    assert len(after.items) == len(before.items)
    assert after.bundle_id != before.bundle_id
