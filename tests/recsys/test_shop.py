"""The public face: names, frames in and out, and the same answers as the command line's."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import recsys
from recsys.apps.search.request import SearchOptions
from recsys.settings.settings import Settings
from tests.recsys.conftest import Place

COLUMNS = ["user_id", "item_id", "rank", "probability", "reason"]


def test_the_public_names() -> None:
    names = ["BundleError", "ConfigError", "DataError", "ModelError", "RecommendOptions", "RecsysError", "RefusedError", "Shop"]
    assert recsys.__all__ == names
    assert {name: getattr(recsys, name).__name__ for name in names} == {name: name for name in names}
    assert set(names) <= set(dir(recsys))
    with pytest.raises(AttributeError, match="public names are BundleError"):
        _ = recsys.Recommender


def test_importing_it_imports_nothing_heavy() -> None:
    code = "import recsys, sys; sys.exit(bool({'torch', 'polars', 'numpy', 'faiss', 'lightgbm'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_recommend_gives_a_frame_of_what_the_recommender_answers(ready: Place) -> None:
    frame = ready.shop.recommend(["user-03", None], k=5, new_only=True)
    assert frame.columns == COLUMNS
    assert frame["rank"].to_list() == [1, 2, 3, 4, 5] * 2
    expected = [ready.answer(user, k=5, new_only=True) for user in ("user-03", None)]
    assert frame.rows() == [
        (answer.user_id, item.item_id, item.rank, item.probability, item.reason) for answer in expected for item in answer.items
    ]


def test_ids_may_be_numbers(ready: Place) -> None:
    shop = ready.shop
    assert shop.recommend([3], k=2)["user_id"].to_list() == ["3", "3"]
    assert shop.recommend(k=2, history=["sku-03"]).rows() == shop.recommend([None], k=2, history=("sku-03",)).rows()


def test_similar_and_search_give_frames(ready: Place) -> None:
    shop = ready.shop
    near = shop.similar("sku-00", k=3)
    assert near.columns == ["item_id", "title", "rank", "score"]
    assert near["item_id"].to_list() == [item.item_id for item in shop.recommender.similar("sku-00", 3).items]
    found = shop.search("tea", k=4, user="user-05", max_price=9, exclude=["sku-01"])
    assert found.columns == ["item_id", "title", "rank", "score", "probability", "reason"]
    assert found["rank"].to_list() == [1, 2, 3, 4]
    asked = SearchOptions(k=4, max_price=9, exclude=("sku-01",))
    (answer,) = shop.search_answers(asked, [("tea", "user-05")])
    assert found["item_id"].to_list() == [item.item_id for item in answer.items]
    assert shop.search("tea", k=4, max_price=0).columns == found.columns


def test_many_queries_are_answered_in_order(ready: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("recsys.shop.QUERIES_AT_ONCE", 2)
    queries = [("tea", None), ("rye bread", "user-05"), ("napkin", None), ("tea", "user-01"), ("apple", None)]
    shop = ready.shop
    together = list(shop.search_answers(SearchOptions(k=3), queries))
    alone = [next(iter(shop.search_answers(SearchOptions(k=3), [query]))) for query in queries]
    assert [(one.query, one.user_id) for one in together] == queries
    for one, other in zip(together, alone, strict=True):
        assert [item.item_id for item in one.items] == [item.item_id for item in other.items]
    assert list(shop.search_answers(SearchOptions(), [])) == []


def test_unknown_things_are_refused_in_one_line(ready: Place) -> None:
    shop = ready.shop
    with pytest.raises(recsys.DataError, match="sku-none"):
        shop.similar("sku-none")
    with pytest.raises(recsys.DataError, match="sku-none"):
        shop.recommend(["user-03"], history=["sku-none"])
    for text in ("", " ", "x" * 10_000):
        with pytest.raises(recsys.DataError, match="the text"):
            shop.search(text)
    with pytest.raises(recsys.DataError, match="cars"):
        shop.search("tea", category="cars")
    with pytest.raises(TypeError, match="colour"):
        shop.search("tea", colour="red")
    with pytest.raises(TypeError, match="colour"):
        shop.recommend(["user-03"], colour="red")
    with pytest.raises(recsys.ConfigError, match="until is 'soon', expected an ISO 8601"):
        shop.train(until="soon")


def as_pandas(frame: pl.DataFrame) -> pd.DataFrame:
    return pd.DataFrame(frame.to_dict(as_series=False))


@pytest.mark.parametrize(("convert", "kind"), [(as_pandas, pd.DataFrame), (pl.DataFrame, pl.DataFrame), (pl.DataFrame.to_arrow, pa.Table)])
def test_frames_of_any_kind_come_back_as_the_same_kind(
    shop: Any, tiny_settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, convert: Any, kind: type
) -> None:
    monkeypatch.setattr("recsys.settings.settings.load_settings", lambda _path=None: tiny_settings)
    made = recsys.Shop.from_frames(convert(shop.items), convert(shop.events), workspace=tmp_path / "workspace")
    assert "items" in made.build_index()
    found = made.recommend(["user-03"], k=3)
    assert isinstance(found, kind)
    assert pl.DataFrame(found).columns == COLUMNS
    assert len(found) == 3
    assert "nothing has changed" in str(made.refresh())  # the frames are the workspace's own source now


def test_frames_that_lack_a_column_are_refused(tmp_path: Path) -> None:
    with pytest.raises(recsys.DataError, match="timestamp"):
        recsys.Shop.from_frames(None, pl.DataFrame({"user_id": ["a"], "item_id": ["b"]}), workspace=tmp_path / "workspace")


def test_files_are_read_where_they_lie(ready: Place, tmp_path: Path) -> None:
    made = recsys.Shop.from_frames(ready.items, str(ready.log), workspace=tmp_path / "workspace")
    assert not (made.workspace.root / "frames").exists()
    catalog, log = made.workspace.load()
    assert (len(catalog), len(log)) == tuple(map(len, ready.workspace.load()))


def test_train_is_the_command_lines(ready: Place) -> None:
    assert "already there" in ready.shop.train(random_state=0)


def test_the_index_that_is_built_answers_next(spare: Place) -> None:
    shop = spare.shop
    before = shop.recommender
    spare.items.write_text(spare.items.read_text(encoding="utf-8").replace("sku-00,", "sku-00,New ", 1), encoding="utf-8")
    spare.ingest()
    shop.build_index()
    assert shop.recommender.bundle_id != before.bundle_id
