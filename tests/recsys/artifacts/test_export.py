"""Bundles answer from ONNX graphs as the model does in torch; an unchanged model is not exported again; other layouts are refused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from features.errors import BundleError
from recsys.apps.search.pipeline import Search
from recsys.apps.search.request import SearchOptions
from recsys.artifacts.bundle import Bundle, current_id
from recsys.artifacts.publish import publish
from recsys.recommend import open
from recsys.recommend.pipeline import Recommender
from recsys.recommend.request import RecommendOptions
from recsys.refresh import build
from tests.recsys.conftest import Place

USERS = [f"user-{number:02}" for number in range(60)]


def in_torch(answering: Recommender, place: Place, *, reading: bool) -> tuple[Recommender, Recommender]:
    """The bundle's recommender and the trained model over its snapshot; reading: with the cross-encoder on, even if it is idle."""
    both = answering, replace(answering, model=build.current_model(place.workspace, place.settings))
    for one in both:
        ranking, ranker = one.model.ranking, one.ranker
        assert ranking is not None
        assert ranker is not None
        vars(one)["ranker"] = replace(ranker, cross_encoder=ranking.cross_encoder if reading else None)
    return both


@pytest.mark.parametrize("reading", [False, True])
def test_the_same_lists_as_in_torch(ready: Place, reading: bool) -> None:
    answering, torch = in_torch(open.open_recommender(ready.workspace), ready, reading=reading)
    for options in (RecommendOptions(), RecommendOptions(history=("sku-07", "sku-30")), RecommendOptions(explain=True, new_only=True)):
        for mine, theirs in zip(answering.answer(options, [*USERS, None]), torch.answer(options, [*USERS, None]), strict=True):
            assert [item.item_id for item in mine.items] == [item.item_id for item in theirs.items]
            assert [item.reason for item in mine.items] == [item.reason for item in theirs.items]
            odds = [[item.probability or 0.0 for item in answer.items] for answer in (mine, theirs)]
            assert np.allclose(*odds, atol=1e-4)


def test_the_same_hits_as_in_torch(ready: Place) -> None:
    both = in_torch(open.open_recommender(ready.workspace), ready, reading=False)
    queries = [("green tea", None), ("kitchen towel", "user-02"), ("", None), ("お茶 for the kitchen", "user-09")]
    for mine, theirs in zip(*(Search(one).answer(SearchOptions(k=9), queries) for one in both), strict=True):
        assert [item.item_id for item in mine.items] == [item.item_id for item in theirs.items]
        assert np.allclose([item.score for item in mine.items], [item.score for item in theirs.items], atol=1e-3)


def test_an_unchanged_model_is_not_exported_again(spare: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    before = Bundle.open(spare.workspace.bundles)
    pl.read_csv(spare.items).with_columns(price=pl.lit(9.5)).write_csv(spare.items)
    spare.ingest()
    monkeypatch.delattr("torch.onnx.export")
    build.build_index(spare.workspace, spare.settings)
    after = Bundle.open(spare.workspace.bundles)
    assert after.id != before.id
    graphs = {name: entry for name, entry in before.manifest.files.items() if name.endswith(".onnx")}
    assert len(graphs) == 3
    assert graphs.items() <= after.manifest.files.items()
    assert len(spare.shop.search("green tea", 3)) == 3


def test_a_bundle_of_another_layout_is_refused_in_one_line(spare: Place) -> None:
    bundle = Bundle.open(spare.workspace.bundles)
    publish(
        spare.workspace.bundles, {name: bundle.read(name) for name in bundle.files}, bundle.manifest.about | {"layout": 2, "inputs": None}
    )
    with pytest.raises(BundleError, match=r"has layout 2, this version answers from layout \d+: run `recsys build-index`$"):
        open.open_recommender(spare.workspace)
    assert "in use" in build.build_index(spare.workspace, spare.settings)
    assert open.open_recommender(spare.workspace).bundle_id == current_id(spare.workspace.bundles)


def test_a_damaged_graph_is_refused(spare: Place) -> None:
    path = Bundle.open(spare.workspace.bundles).folder / "tower" / "user.onnx"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(BundleError, match="sha256"):
        open.open_recommender(spare.workspace)
