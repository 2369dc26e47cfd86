"""A ranker that does not use token states: its bundles hold none, and they return with a ranker that uses them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import lightgbm as lgb
import numpy as np
import pytest

from features.errors import BundleError
from features.text.encoder import TextEncoder
from ranking.gbdt import NO_SPLIT, RESIDUAL, Booster
from recsys.artifacts.bundle import LAYOUT, Bundle, current_id
from recsys.artifacts.model import Model
from recsys.artifacts.publish import rewrite
from recsys.offline.evaluate import evaluate
from recsys.recommend import open
from recsys.recommend.request import RecommendOptions
from recsys.refresh import build
from recsys.refresh.refresh import refresh
from recsys.service.pages.trace import trace
from tests.recsys.conftest import Place

NEW = "sku-new,matcha green tea,,acme,drinks|tea,2.5,true\n"


def idle(model: Model) -> Model:
    """Return the same model with a residual booster that never splits."""
    assert model.ranking is not None
    data = lgb.Dataset(np.zeros((4, len(RESIDUAL))), np.array([0, 1, 0, 1]), feature_name=list(RESIDUAL))
    nothing = Booster((lgb.train({"min_gain_to_split": NO_SPLIT, "verbose": -1}, data, 1),), RESIDUAL)
    return replace(model, ranking=replace(model.ranking, residual=nothing))


@pytest.fixture
def idle_place(spare: Place, monkeypatch: pytest.MonkeyPatch) -> Place:
    """The tiny shop, published with a model whose cross-encoder is not used."""
    model = idle(build.current_model(spare.workspace, spare.settings))
    monkeypatch.setattr(build, "current_model", lambda *_: model)
    for module in ("build", "refresh"):
        monkeypatch.setattr(f"recsys.refresh.{module}.inputs", lambda *_: f"idle {spare.items.stat().st_size}")
    build.build_index(spare.workspace, spare.settings)
    return spare


def states(place: Place) -> list[str]:
    return [name for name in Bundle.open(place.workspace.bundles).files if "/states/" in name]


def test_its_bundles_hold_no_states_and_answer_everything(idle_place: Place) -> None:
    assert states(idle_place) == []
    recommender = open.open_recommender(idle_place.workspace)
    options = RecommendOptions(explain=True, diversity=0.3, new_only=True)
    (answer,) = recommender.answer(options, ["user-03"])
    assert len(answer.items) == 10
    assert all(item.reason and item.contributions for item in answer.items)
    traced = trace(recommender, "user-03", options, None)
    assert traced.read == 0
    assert traced.answer == answer
    assert recommender.similar("sku-07", 3).items
    assert idle_place.shop.search("green tea", 3)["item_id"].to_list()


def test_a_refresh_encodes_what_is_new_and_passes_the_gates_without_them(idle_place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    idle_place.items.write_text(idle_place.items.read_text() + NEW)
    assert "1 of 40 texts encoded" in str(refresh(idle_place.workspace, idle_place.settings))
    assert "max_ndcg_drop" in Bundle.open(idle_place.workspace.bundles).manifest.about["gates"]
    assert states(idle_place) == []


def test_a_ranker_that_uses_them_gets_them_from_the_cache(idle_place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    reads: list[str] = []
    original = TextEncoder.token_states
    monkeypatch.setattr(TextEncoder, "token_states", lambda self, texts, *more: reads.extend(texts) or original(self, texts, *more))
    model = Model.from_files(Bundle.open(idle_place.workspace.models).files)
    catalog, log = idle_place.workspace.load(idle_place.settings.events)
    assert "0 of 39 texts encoded" in build.build(idle_place.workspace, idle_place.settings, model, catalog, log)
    assert reads == []
    snapshot = open.open_recommender(idle_place.workspace).snapshot
    assert snapshot.states is not None
    texts = catalog.frame["title"].to_list()
    assert len(snapshot.states) == len(set(texts)) == 39
    (built,) = open.open_recommender(idle_place.workspace).answer(RecommendOptions(), ["user-03"])
    monkeypatch.setattr(build, "bundle_in_use", lambda *_: None)
    build.build(idle_place.workspace, idle_place.settings, model, catalog, log)
    (rebuilt,) = open.open_recommender(idle_place.workspace).answer(RecommendOptions(), ["user-03"])
    assert [item.probability for item in built.items] == [item.probability for item in rebuilt.items]


def test_it_is_evaluated_without_them(idle_place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    trained: Any = build.current_model(idle_place.workspace, idle_place.settings)
    monkeypatch.setattr("recsys.offline.evaluate.model_until", lambda *_: trained)
    report = evaluate(idle_place.workspace, idle_place.settings)
    assert report.metrics["ndcg@10"].value > 0


def test_a_bundle_of_an_older_layout_is_refused_in_one_line(spare: Place, command: Any) -> None:
    rewrite(spare.workspace.bundles, lambda bundle: ({}, bundle.manifest.about | {"layout": LAYOUT - 1, "inputs": "another layout"}))
    old = current_id(spare.workspace.bundles)
    with pytest.raises(BundleError, match=f"{old} has layout {LAYOUT - 1}, .* layout {LAYOUT}: run `recsys build-index`$"):
        open.open_recommender(spare.workspace)
    said = command("recommend", "--user", "user-03", workspace=spare.workspace.root)
    assert (said.code, "run `recsys build-index`" in said.error) == (1, True)
    assert "39 of 39 texts encoded" in build.build_index(spare.workspace, spare.settings)
    assert spare.answer("user-03").items
