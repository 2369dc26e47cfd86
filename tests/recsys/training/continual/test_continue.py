"""A training that goes on from an earlier model: what it takes over, what it learns, and that it meets nothing too early."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pytest

from ranking.cross_encoder.distillation import TaughtPairs
from recsys.artifacts.export import answering_files
from recsys.artifacts.model import Model
from recsys.training.continual import pipeline, ranking, towers
from retrieval.two_tower.config import AugmentConfig
from tests.recsys.training.continual.conftest import FIRST, SECOND, THIRD, Monthly
from tests.recsys.training.test_training import another_future

if TYPE_CHECKING:
    from collections.abc import Callable

READS = ["set", "sequence"]


def seconds(moment: datetime) -> int:
    return int(moment.replace(tzinfo=UTC).timestamp())


@pytest.mark.parametrize("reads", READS)
def test_goes_on_from_the_model_in_use(monthly: Callable[..., Monthly], reads: str) -> None:
    shop = monthly(reads)
    first, files = shop.about(), shop.files()
    said = shop.train(SECOND)
    assert f"going on from model {first['key'][:16]}" in said
    about, now = shop.about(), shop.files()
    wanted = {"parent": first["key"][:16], "until": "2024-05-10T00:00", "generation": 1}
    assert {name: about["continued"][name] for name in wanted} == wanted
    assert about["until"] == "2024-05-30T00:00"
    assert about["key"] != first["key"]
    assert about["edges"]["calibration"][1] == seconds(SECOND)
    # The catalogue is the same, and there is no search log: nothing of search has to be learned again.
    assert "search" in about["continued"]["kept"]
    assert {name: now[name] for name in now if name.startswith("search/")} == {n: files[n] for n in files if n.startswith("search/")}
    assert now["ranking/blend.0.txt"] != files["ranking/blend.0.txt"]
    assert now["ranking/calibration.json"] != files["ranking/calibration.json"]
    card = now["MODEL_CARD.md"].decode()
    assert f"went on from model {first['key'][:16]}" in card
    assert "number 1 in a row" in card
    assert "none in this training; in the training from nothing before it: " in card
    assert about["towers"]["pretraining"] == first["towers"]["pretraining"]
    assert about["ranking"]["text_parts"].keys() == first["ranking"]["text_parts"].keys()
    measured_by = about["ranking"]["measured_by"]
    assert set(measured_by.values()) == {first["key"][:16]}
    assert ("cross-encoder" in measured_by) == ("cross-encoder" in about["continued"]["kept"])
    shop.train(THIRD)
    assert shop.about()["ranking"]["measured_by"]["towers"] == first["key"][:16]
    assert shop.about()["continued"]["generation"] == 2
    assert shop.about()["continued"]["parent"] == about["key"][:16]


@pytest.mark.parametrize("reads", READS)
def test_the_future_changes_nothing(monthly: Callable[..., Monthly], shop: Any, reads: str) -> None:
    """Not the first model, and not the one that goes on from it, to the bit."""
    one, other = monthly(reads), monthly(reads)
    another_future(shop.events).write_csv(other.place.log)  # other events from `SECOND` on
    other.place.ingest()
    for each in (one, other):
        each.train(SECOND)
    assert "continued" in one.about()
    assert other.about() == one.about()
    assert other.files() == one.files()


@pytest.mark.parametrize("reads", READS)
def test_the_towers_meet_nothing_of_the_windows_after_them(
    monthly: Callable[..., Monthly], reads: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop, seen = monthly(reads), []
    before, edges = Model.from_files(shop.files()), shop.about()["edges"]
    assert (before.start is not None) == (reads == "sequence")
    original = towers.fit_towers

    def noted(run: Any, config: Any) -> Any:
        seen.append((run, config, run.tower.project.weight.detach().numpy().copy()))
        return original(run, config)

    monkeypatch.setattr(towers, "fit_towers", noted)
    shop.train(SECOND)
    [(run, config, weight)] = seen
    # It starts from towers that stopped at the first model's validation window: its last epochs have seen all later windows.
    begun = before.tower if before.start is None else before.start.tower
    assert np.array_equal(weight, begun.project.weight.detach().numpy())
    if before.start is not None:
        assert not np.array_equal(weight, before.tower.project.weight.detach().numpy())
    assert run.sampler.log.time.max() < shop.about()["edges"]["validation"][0]
    assert run.sampler.new.size
    assert config.last_epochs == 0
    assert edges["validation"][0] < shop.about()["edges"]["validation"][0]
    assert run.proximal.strength == shop.settings.continual.proximal
    for name in ("lr", "encoder_lr", "adapter_lr"):
        assert getattr(config, name) == getattr(shop.settings.train, name) * shop.settings.continual.rate


def test_the_encoder_is_trained_as_from_nothing(
    monthly: Callable[..., Monthly], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    shop, sources = monthly("sequence"), []
    train = shop.settings.train.model_copy(
        update={"augment": AugmentConfig(word_drop=0.2), "adversarial": 0.1, "ensemble": 2, "last_epochs": 0}
    )
    other = Monthly(shop.place, shop.settings.model_copy(update={"train": train}))
    other.train(FIRST, warm_start=False)
    original = towers.fit_towers
    monkeypatch.setattr(towers, "fit_towers", lambda run, config: (sources.append(run.texts), original(run, config))[1])
    other.train(SECOND, tuned_epochs=1)
    (source,) = sources
    assert source.augmentation is not None
    assert source.adversarial == 0.1
    assert "note: train.ensemble = 2 is not read: the towers go on" in caplog.text


def test_what_was_learned_of_an_item_goes_by_its_id(monthly: Callable[..., Monthly], monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows of the catalogue move, new items start at zero, and lists whose purchases are hidden do without."""
    shop, seen = monthly("sequence"), []
    original = pipeline.continue_ranking
    monkeypatch.setattr(pipeline, "continue_ranking", lambda *given: (seen.append(given[2].models), original(*given))[1])
    before = Model.from_files(shop.files()).start
    assert before is not None
    items = pl.read_csv(shop.place.items)
    new = items.head(1).with_columns(item_id=pl.lit("sku-new"), title=pl.lit("a teapot"))
    pl.concat([new, items.reverse()]).write_csv(shop.place.items)
    shop.place.ingest()
    shop.train(SECOND, epochs=0)
    (models,) = seen
    assert models.text_vectors.shape == models.vectors.shape
    assert not np.allclose(models.text_vectors, models.vectors)
    stored = Model.from_files(shop.files())
    assert not [name for name in answering_files(stored, "") if name.startswith("start/")]  # only a training reads it
    start = stored.start
    assert start is not None
    known, found = (
        dict(zip(each.ids.tolist(), each.table[each.row], strict=True)) for each in (before.item_id_vectors, start.item_id_vectors)
    )
    assert not found.pop("sku-new").any()
    twins = {"sku-new"} | {item for item, vector in known.items() if not vector.any()}
    assert all(np.allclose(found[item], known[item]) for item in found.keys() - twins)


def test_no_epochs_leave_the_towers_as_they_are(monthly: Callable[..., Monthly]) -> None:
    shop = monthly()
    before = shop.files()
    shop.train(SECOND, epochs=0)
    assert shop.files()["tower/tower.safetensors"] == before["tower/tower.safetensors"]
    assert len(shop.about()["towers"]["validation_ndcg@10"]) == 1
    shop.train(THIRD, rounds=0, epochs=0)
    assert shop.files()["tower/tower.safetensors"] == before["tower/tower.safetensors"]


def test_an_encoder_that_is_tuned_on_stays_that_of_the_towers(monthly: Callable[..., Monthly]) -> None:
    shop = monthly()
    shop.train(SECOND, epochs=1, tuned_epochs=1)
    assert len(shop.about()["towers"]["validation_ndcg@10"]) >= 2
    assert Model.from_files(shop.files()).to_files().keys() == {name for name in shop.files() if name != "MODEL_CARD.md"}


def test_lora_that_goes_on_changes_the_lower_layers_and_all_that_reads_them(
    monthly: Callable[..., Monthly], monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = monthly()
    changed = shop.settings.train.model_copy(update={"tuning": "lora", "encoder_lr": 0.05})
    pairs = shop.settings.cross_encoder.model_copy(update={"distillation": 0.5})
    lora = Monthly(shop.place, shop.settings.model_copy(update={"train": changed, "cross_encoder": pairs}))
    lora.train(FIRST, warm_start=False)
    first, learned = lora.about(), []
    original = ranking.fit_cross_encoder
    monkeypatch.setattr(ranking, "fit_cross_encoder", lambda *given: (learned.append(given[1]), original(*given))[1])
    counter = iter(range(100))  # each epoch is the best so far: what follows from it is tested
    monkeypatch.setattr(towers, "ValidationNdcg", lambda _split: lambda _tower, _vectors: float(next(counter)))
    lora.train(SECOND, epochs=0, tuned_epochs=1)
    about = lora.about()
    assert about["continued"]["kept"] == []
    assert [type(pairs) for pairs in learned] == [TaughtPairs]
    assert about["ranking"]["measured_by"] == {"towers": first["key"][:16]}
    assert about["ranking"]["text_parts"]["towers"] == first["ranking"]["text_parts"]["towers"]
    assert Model.from_files(lora.files()).ranking is not None


def test_a_second_time_it_is_there_already(monthly: Callable[..., Monthly]) -> None:
    shop = monthly()
    shop.train(SECOND)
    name = shop.bundle().id
    assert "already there for this data, these settings and this seed" in shop.train(SECOND)
    assert "already there for this data, these settings and this seed" in shop.train(SECOND, fresh_every=9)
    said = shop.train(SECOND, rate=0.5, rounds=3)
    assert "already there for this data and this seed; it went on with other values of continual.rate, continual.rounds" in said
    assert shop.bundle().id == name
    # From nothing, the same data make another model; after it both are there, and either is found.
    assert "going on from" not in shop.train(SECOND, warm_start=False)
    assert "already there" in shop.train(SECOND, warm_start=False)
    assert "continued" not in shop.about()
    assert "already there" in shop.train(SECOND)


def test_the_parent_is_part_of_the_key(monthly: Callable[..., Monthly]) -> None:
    direct, by_steps = monthly(), monthly()
    direct.train(THIRD)
    by_steps.train(SECOND)
    by_steps.train(THIRD)
    assert direct.about()["plan"] == by_steps.about()["plan"]
    assert direct.about()["key"] != by_steps.about()["key"]


def test_an_interrupted_training_resumes(monthly: Callable[..., Monthly], monkeypatch: pytest.MonkeyPatch) -> None:
    whole, cut = monthly(), monthly()
    whole.train(SECOND)
    with monkeypatch.context() as patch:
        patch.setattr("recsys.training.continual.pipeline.continue_ranking", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            cut.train(SECOND)
    with monkeypatch.context() as patch:
        patch.setattr("retrieval.two_tower.trainer._epoch", lambda *_: pytest.fail("the towers were trained again"))
        cut.train(SECOND)
    assert cut.files() == whole.files()
