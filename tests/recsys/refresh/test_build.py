"""The whole job on the tiny shop: train, build, refresh, roll back; what is done is not done again."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pytest

from features.errors import BundleError, DataError
from recsys.artifacts.bundle import Bundle, current_id, list_bundles
from recsys.artifacts.publish import publish, rollback
from recsys.recommend import open
from recsys.recommend.answers import Answer
from recsys.recommend.request import RecommendOptions
from recsys.refresh import build
from recsys.refresh.refresh import refresh
from recsys.training import find_or_train
from recsys.training.options import TrainOptions

if TYPE_CHECKING:
    from collections.abc import Callable

EVERYBODY = [f"user-{n:02}" for n in range(60)]
LATEST = datetime(2024, 1, 1) + timedelta(days=200)
NEW = {"item_id": "sku-new", "title": "matcha green tea", "brand": "acme", "category": "drinks|tea", "price": 2.5, "available": True}


def answers(place: Any, **options: Any) -> list[Answer]:
    """Of known users, a basket, an unknown user and a visitor; without the id of the bundle."""
    users = [f"user-{n:02}" for n in range(0, 60, 7)]
    found = list(place.shop.answers(RecommendOptions(**options), [*users, "nobody", None]))
    found.append(place.answer(history=("sku-03", "sku-05"), **options))
    return [replace(answer, bundle_id="") for answer in found]


def close(one: list[Answer], other: list[Answer]) -> None:
    """The same lists; chances to the last digits, which depend on who was encoded beside whom."""
    for a, b in zip(one, other, strict=True):
        assert [item.item_id for item in a.items] == [item.item_id for item in b.items]
        assert [item.probability for item in a.items] == pytest.approx([item.probability for item in b.items], abs=1e-4)
        assert [item.reason for item in a.items] == [item.reason for item in b.items]


@pytest.fixture
def untouchable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Training anything is an error."""

    def train_model(*_arguments: Any) -> None:
        raise AssertionError("a model was trained")

    monkeypatch.setattr(find_or_train, "train_model", train_model)


def add(place: Any, *rows: dict[str, Any]) -> None:
    """Products that come to the source file."""
    items = pl.read_csv(place.items)
    pl.concat([items, pl.DataFrame(rows)], how="diagonal_relaxed").write_csv(place.items)


def test_a_build_tells_which_texts_the_encoder_cannot_read(spare: Any) -> None:
    add(spare, NEW | {"item_id": "sku-thai", "title": "ชาเขียวญี่ปุ่น", "brand": None, "category": None})
    spare.ingest()
    built = build.build_index(spare.workspace, spare.settings)
    assert "\nnote: 1 of " in built
    assert "item sku-thai, 'ชาเขียวญี่ปุ่น'): set encoder.model to a multilingual one" in built
    assert Bundle.open(spare.workspace.bundles).manifest.about["coverage"]["unread"] == 1
    again = build.build_index(spare.workspace, spare.settings)
    assert "nothing has changed" in again
    assert again.splitlines()[1:] == built.splitlines()[1:]


def test_a_build_fits_anew_what_a_refresh_carried_over(spare: Any) -> None:
    lax = {"refit_share": 0.5, "max_ndcg_drop": 1.0}
    settings = spare.settings.model_copy(update={"refresh": spare.settings.refresh.model_copy(update=lax)})
    log = pl.read_csv(spare.log)
    log.head(len(log) - 3).write_csv(spare.log)
    refresh(spare.workspace, settings)
    assert Bundle.open(spare.workspace.bundles).manifest.about["fits"]["collaborative models"]["changed_events"] > 0
    assert "nothing has changed" in str(refresh(spare.workspace, settings)), "a refresh may carry it over"
    assert "is in use" in build.build_index(spare.workspace, settings)
    fits = Bundle.open(spare.workspace.bundles).manifest.about["fits"].values()
    assert not any(fit["changed_events"] or fit["changed_items"] for fit in fits)
    assert "nothing has changed" in build.build_index(spare.workspace, settings)


def test_training_and_building_say_what_they_did(ready):
    assert "trained until 2024-07-1" in ready.trained
    assert "on cpu" in ready.trained
    assert f"bundle {current_id(ready.workspace.bundles)} is in use: 40 items, 39 of 39 texts encoded, flat index" == ready.built
    assert (ready.workspace.models / current_id(ready.workspace.models) / "MODEL_CARD.md").exists()
    assert not list(ready.workspace.cache.glob("training-*"))


def test_what_is_done_is_not_done_again(spare, untouchable):
    before = current_id(spare.workspace.bundles), current_id(spare.workspace.models)
    assert "is already there" in find_or_train.train(spare.workspace, spare.settings, TrainOptions())
    assert build.build_index(spare.workspace, spare.settings) == f"nothing has changed: bundle {before[0]} stays in use"
    assert "nothing has changed" in str(refresh(spare.workspace, spare.settings))
    assert (current_id(spare.workspace.bundles), current_id(spare.workspace.models)) == before


def test_another_seed_is_trained_and_the_first_can_be_taken_back(spare):
    find_or_train.train(spare.workspace, spare.settings, TrainOptions(seed=3))
    second = build.build_index(spare.workspace, spare.settings)
    assert "is in use" in second
    assert "already there" in find_or_train.train(spare.workspace, spare.settings, TrainOptions())
    assert "is in use" in build.build_index(spare.workspace, spare.settings)  # with the first model again


def test_a_model_that_differs_only_in_its_ranking_is_published(spare):
    """Its item vectors are the same."""
    settings = spare.settings.model_copy(update={"gbdt": spare.settings.gbdt.model_copy(update={"rounds": 3})})
    before = answers(spare)
    find_or_train.train(spare.workspace, settings, TrainOptions())
    said = build.build_index(spare.workspace, settings)
    assert "0 of 39 texts encoded" in said
    assert answers(spare) != before


@pytest.fixture
def roomy(spare: Any) -> Any:
    """The shop with a model that ranks as many candidates as there are items."""
    retrieval = spare.settings.retrieval.model_copy(update={"candidates": 50})
    place = replace(spare, settings=spare.settings.model_copy(update={"retrieval": retrieval}))
    find_or_train.train(place.workspace, place.settings, TrainOptions())
    build.build_index(place.workspace, place.settings)
    return place


@pytest.mark.parametrize("days", [0, 300])
def test_a_product_added_today_is_recommended_after_a_refresh(roomy, monkeypatch, days):
    """Nobody has bought it; its text alone brings it to somebody. `created_at` is of the log's last day, or long after it."""
    monkeypatch.setattr(find_or_train, "train_model", lambda *_: pytest.fail("a model was trained"))
    before = answers(roomy)
    add(roomy, NEW | {"created_at": (LATEST + timedelta(days=days)).isoformat()})
    said = str(refresh(roomy.workspace, roomy.settings))
    assert "items: 41 read = 41 kept + 0 quarantined" in said
    assert "41 items, 1 of 40 texts encoded" in said
    near = roomy.shop.recommender.similar("sku-00", 5)
    assert "sku-new" in [item.item_id for item in near.items]
    after = list(roomy.shop.answers(RecommendOptions(), EVERYBODY))
    offered = [answer for answer in after if "sku-new" in [item.item_id for item in answer.items]]
    assert offered
    for answer in offered:
        (item,) = [item for item in answer.items if item.item_id == "sku-new"]
        assert 0 < (item.probability or 0) < 1
        assert "bought once" not in item.reason
        assert "popular" not in item.reason
        assert len({item.item_id for item in answer.items}) == 10
    assert answers(roomy) != before


def test_a_place_is_kept_for_what_is_new_and_for_no_longer(roomy):
    offers = []
    shutil.copy(roomy.items, roomy.folder / "before.csv")
    for days in (0, 60):
        shutil.copy(roomy.folder / "before.csv", roomy.items)
        add(roomy, NEW | {"created_at": (LATEST - timedelta(days=days)).isoformat()})
        refresh(roomy.workspace, roomy.settings)
        found = roomy.shop.answers(RecommendOptions(k=5), EVERYBODY)
        offers.append(sum("sku-new" in [item.item_id for item in answer.items] for answer in found))
    assert offers[0] > offers[1]


def test_a_refresh_equals_a_build_from_nothing(spare, untouchable, monkeypatch):
    """A new, a changed and a removed text, and two that swap: only the first two are encoded."""
    items = pl.read_csv(spare.items)
    title = dict(items.select("item_id", "title").rows())
    title |= {"sku-02": title["sku-05"], "sku-05": title["sku-02"], "sku-11": "sour dough"}
    changed = items.with_columns(title=pl.col("item_id").replace_strict(title)).filter(pl.col("item_id") != "sku-30")
    changed.write_csv(spare.items)
    add(spare, NEW)
    said = str(refresh(spare.workspace, spare.settings))
    assert "40 items, 2 of 39 texts encoded" in said
    assert "taken over" not in said  # the log's file is the same, but it names sku-30
    refreshed, snapshot = answers(spare, k=40), open.open_recommender(spare.workspace).snapshot
    monkeypatch.setattr(build, "bundle_in_use", lambda *_: None)
    for path in spare.workspace.cache.iterdir():
        path.rename(path.with_name(f"gone-{path.name}"))
    assert "39 of 39 texts encoded" in build.build_index(spare.workspace, spare.settings)
    close(answers(spare, k=40), refreshed)
    built = open.open_recommender(spare.workspace).snapshot
    assert np.array_equal(built.texts.hashes[built.text_of], snapshot.texts.hashes[snapshot.text_of])
    rows = np.arange(len(built.catalog))
    assert np.allclose(built.vectors_of(rows), snapshot.vectors_of(rows), atol=1e-4)


def test_new_purchases_come_with_a_refresh_and_encode_nothing(spare, untouchable):
    more = pl.DataFrame([{"user_id": "newcomer", "item_id": f"sku-1{n}", "timestamp": LATEST, "event": "purchase"} for n in (2, 5, 7)])
    pl.concat([pl.read_csv(spare.log, try_parse_dates=True), more], how="diagonal_relaxed").write_csv(spare.log)
    assert spare.answer("newcomer").fallback
    assert "0 of 39 texts encoded" in str(refresh(spare.workspace, spare.settings))
    answer = spare.answer("newcomer")
    assert answer.fallback is None
    assert sum(item.category == "bakery" for item in answer.items) >= 5


def test_a_source_that_is_gone_leaves_everything_as_it_was(spare):
    before = answers(spare)
    spare.items.unlink()
    with pytest.raises(DataError, match="items.csv"):
        refresh(spare.workspace, spare.settings)
    assert answers(spare) == before
    assert len(spare.workspace.load()[0]) == 40


def test_going_back_gives_the_very_same_answers(spare):
    old, before = current_id(spare.workspace.bundles), answers(spare)
    again = pl.when(pl.col("item_id") < "sku-15").then(pl.lit(" again")).otherwise(pl.lit(""))
    items = pl.read_csv(spare.items).with_columns(title=pl.col("title") + again, price=pl.col("price") + 1)
    items.write_csv(spare.items)
    refresh(spare.workspace, spare.settings)
    assert answers(spare) != before
    assert rollback(spare.workspace.bundles) == old
    assert json.dumps([answer.to_dict() for answer in answers(spare)]) == json.dumps([answer.to_dict() for answer in before])


def test_a_bundle_that_does_not_answer_its_canaries_is_refused(spare):
    bundle = Bundle.open(spare.workspace.bundles)
    wrong = [canary | {"nearest": canary["nearest"][::-1]} for canary in bundle.manifest.about["canaries"]]
    assert len(wrong) == 5
    publish(spare.workspace.bundles, dict(bundle.files), bundle.manifest.about | {"canaries": wrong})
    with pytest.raises(BundleError, match="does not answer its canary queries.*rollback"):
        open.open_recommender(spare.workspace)
    rollback(spare.workspace.bundles)
    assert answers(spare)


def test_a_damaged_bundle_is_refused_and_a_build_mends_it(spare):
    before = answers(spare)
    bundle = Bundle.open(spare.workspace.bundles)
    path = bundle.folder / "snapshot" / "log" / "log.safetensors"
    path.write_bytes(path.read_bytes()[:-8] + b"damaged!")
    with pytest.raises(BundleError, match=r"log\.safetensors: its sha256"):
        open.open_recommender(spare.workspace)
    assert "is in use" in build.build_index(spare.workspace, spare.settings)
    assert current_id(spare.workspace.bundles) != bundle.id
    close(answers(spare), before)


@pytest.mark.parametrize("file", ["CURRENT", "manifest"])
def test_a_build_mends_what_says_which_bundle_is_in_use(spare, file):
    before = answers(spare)
    bundle = Bundle.open(spare.workspace.bundles)
    (spare.workspace.bundles / "CURRENT" if file == "CURRENT" else bundle.folder / "manifest.json").write_text("{}")
    with pytest.raises(BundleError):
        open.open_recommender(spare.workspace)
    assert "is in use" in build.build_index(spare.workspace, spare.settings)
    close(answers(spare), before)


def test_a_damaged_model_is_trained_again(spare):
    before = answers(spare)
    model = Bundle.open(spare.workspace.models)
    path = model.folder / "ranking" / "blend.0.txt"
    path.write_bytes(path.read_bytes().replace(b"tree", b"twig", 1))
    assert "trained until" in find_or_train.train(spare.workspace, spare.settings, TrainOptions())
    assert current_id(spare.workspace.models) != model.id
    build.build_index(spare.workspace, spare.settings)
    close(answers(spare), before)


def test_without_training_it_answers_and_says_so(fresh: Callable[[], Any], caplog: pytest.LogCaptureFixture):
    place = fresh()
    place.ingest()
    with caplog.at_level("WARNING", "recsys"):
        said = build.build_index(place.workspace, place.settings)
    assert "no model has been trained" in caplog.text
    assert "39 of 39 texts encoded" in said
    known = place.answer("user-03", explain=True)
    assert "no model has been trained" in (known.fallback or "")
    assert len(known.items) == 10
    assert {item.probability for item in known.items} == {None}
    assert "bought" in known.items[0].reason
    basket = place.answer(history=("sku-13", "sku-15"))
    assert len(basket.items) == 10
    stranger = place.answer()
    assert "popular" in (stranger.fallback or "")
    assert place.shop.recommender.similar("sku-00", 1).items[0].item_id == "sku-01"
    assert place.shop.search("tea", 3)["item_id"].to_list()
    assert "nothing has changed" in build.build_index(place.workspace, place.settings)


def test_only_as_many_bundles_are_kept_as_asked(spare):
    settings = spare.settings.model_copy(update={"bundles": spare.settings.bundles.model_copy(update={"keep": 2})})
    for n in range(3):
        add(spare, NEW | {"item_id": f"sku-new-{n}"})
        refresh(spare.workspace, settings)
    assert len(list_bundles(spare.workspace.bundles)) == 2
