"""A model knows nothing of what lies after its end, and no part of it of what lies after its window; and a training can be resumed."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pytest
import torch

from features.data.interactions import DAY, Interactions
from features.data.split import Split
from features.errors import DataError, ModelError
from recsys.artifacts.bundle import Bundle
from recsys.artifacts.model import Model
from recsys.training import find_or_train, pipeline
from recsys.training.job import TrainingJob
from recsys.training.options import TrainOptions
from recsys.training.pipeline import train_model
from recsys.training.ranking import anonymous_baskets, window_candidates
from recsys.training.towers import TextModels, fit_text_models
from recsys.training.windows import Windows

if TYPE_CHECKING:
    from collections.abc import Callable


UNTIL = datetime(2024, 1, 1) + timedelta(days=150)
CPU = torch.device("cpu")


def published(place: Any) -> tuple[dict[str, bytes], dict[str, Any]]:
    """All files of the model in use, and what its manifest says; without the time of day at which it was made."""
    bundle = Bundle.open(place.workspace.models)
    about = {name: value for name, value in bundle.manifest.about.items() if name != "read"}
    return {name: bundle.read(name) for name in bundle.files}, about


def another_future(events: pl.DataFrame) -> pl.DataFrame:
    """The same log until `UNTIL`; after it other items, more of them, and people who come before and between the others in every list."""
    past, future = events.filter(pl.col("timestamp") < UNTIL), events.filter(pl.col("timestamp") >= UNTIL)
    shuffled = future.with_columns(pl.col("item_id").shuffle(seed=1), value=pl.col("value") * 7)
    strangers = future.with_columns(user_id=pl.col("user_id").str.replace("user", "a-new")).head(200)
    between = future.with_columns(user_id=pl.col("user_id") + "-too", timestamp=pl.col("timestamp") + timedelta(days=300)).head(50)
    return pl.concat([past, shuffled, strangers, between])


def learning(settings: Any) -> Any:
    """Settings under which the towers really become better than they began."""
    return settings.model_copy(update={"train": settings.train.model_copy(update={"steps_per_epoch": 10, "lr": 0.01})})


@pytest.fixture
def until_then(fresh: Callable[[], Any], shop: Any) -> Any:
    """The tiny shop, trained on its first 150 days."""
    return trained_on(fresh(), shop.events)


def trained_on(place: Any, events: pl.DataFrame) -> Any:
    events.write_csv(place.log)
    place.ingest()
    find_or_train.train(place.workspace, learning(place.settings), TrainOptions(UNTIL))
    return place


def test_whatever_happens_afterwards_the_model_is_the_same_to_the_bit(until_then, fresh, shop):
    files, about = published(until_then)
    assert len(files) > 8
    assert about["towers"]["validation_ndcg@10"][0] < max(about["towers"]["validation_ndcg@10"])
    assert published(trained_on(fresh(), another_future(shop.events))) == (files, about)


def test_one_purchase_before_the_end_does_matter(until_then, fresh, shop):
    """Or the test above could not fail."""
    last = shop.events.filter(pl.col("timestamp") < UNTIL)["timestamp"].max()
    item = pl.when(pl.col("timestamp") == last).then(pl.lit("sku-00")).otherwise("item_id")
    changed = shop.events.with_columns(item_id=item)
    assert not changed.equals(shop.events)
    assert published(trained_on(fresh(), changed))[0] != published(until_then)[0]


def test_it_says_until_when_and_by_which_windows(until_then):
    files, about = published(until_then)
    assert about["until"] == "2024-05-30T00:00"
    assert about["windows"]["calibration"].endswith("to 2024-05-30T00:00")
    assert about["data"]["users"] <= 60
    card = files["MODEL_CARD.md"].decode()
    assert "nothing later than 2024-05-30T00:00" in card
    assert all(window in card for window in about["windows"].values())


def test_the_future_does_not_train_twice(until_then, shop):
    """The key is of what is learned from: new events after the end change nothing."""
    another_future(shop.events).write_csv(until_then.log)
    until_then.ingest()
    assert "already there" in find_or_train.train(until_then.workspace, learning(until_then.settings), TrainOptions(UNTIL))


@pytest.fixture(scope="module")
def small(shop: Any, tiny_settings: Any) -> TrainingJob:
    until = shop.log.start + 150 * DAY
    log = shop.log.between(None, until)
    return TrainingJob(shop.catalog, log, Windows.plan(log, until), learning(tiny_settings), 0)


@pytest.fixture(scope="module")
def language(small: TrainingJob, tmp_path_factory: pytest.TempPathFactory) -> TextModels:
    folder = tmp_path_factory.mktemp("language")
    return fit_text_models(small, CPU, folder / "work", folder)


def scrambled(log: Interactions, after: int) -> Interactions:
    """Other items, by other people, from a moment on."""
    late = log.time >= after
    rng = np.random.default_rng(0)
    item = np.where(late, rng.integers(0, log.n_items, len(log)), log.item).astype(np.int32)
    user = np.where(late, rng.permutation(log.user), log.user).astype(np.int32)
    order = np.lexsort((item, log.time, user))
    columns = {name: getattr(log, name)[order] for name in ("time", "event", "weight", "price")}
    return replace(log, user=user[order], item=item[order], **columns)


@pytest.mark.parametrize("name", ["early", "late", "correction", "calibration"])
def test_candidates_and_labels_of_a_window_see_nothing_after_it(small, language, name):
    window = getattr(small.windows, name)
    stage = window_candidates(small, language, window)
    # The calibration window ends with the log.
    other = window_candidates(replace(small, log=scrambled(small.log, window.end)), language, window)
    assert stage.recall == other.recall
    for one, two in ((stage.pairs, other.pairs), (stage.anonymous, other.anonymous)):
        assert np.array_equal(one.candidates.rows, two.candidates.rows)
        assert np.array_equal(one.labels, two.labels)
        assert one.candidates.features.keys() == two.candidates.features.keys()
        for column, same in zip(one.candidates.features.values(), two.candidates.features.values(), strict=True):
            assert np.array_equal(column, same, equal_nan=True)


@pytest.mark.parametrize("name", ["early", "calibration"])
def test_candidates_of_a_window_know_nothing_that_happens_in_it(small, language, name):
    """What is bought in the window decides on whom and on the labels, never on what is found or known of it."""
    window = getattr(small.windows, name)
    stage = window_candidates(small, language, window).pairs
    late = (small.log.time >= window.start) & np.isin(small.log.event, [0])
    item = np.where(late, (small.log.item + 17) % small.log.n_items, small.log.item).astype(np.int32)
    other = window_candidates(replace(small, log=replace(small.log, item=item)), language, window).pairs
    assert np.array_equal(stage.candidates.rows, other.candidates.rows)
    assert np.array_equal(stage.candidates.scores, other.candidates.scores)
    for column, same in zip(stage.candidates.features.values(), other.candidates.features.values(), strict=True):
        assert np.array_equal(column, same, equal_nan=True)
    assert not np.array_equal(stage.labels, other.labels)


def test_how_many_people_come_later_does_not_show(small, language):
    """New people, before and after the others in the list of users, who buy in the window."""
    window = small.windows.late
    stage = window_candidates(small, language, window).pairs
    log = small.log
    ids = np.array(["a", *log.user_ids.tolist(), "zz"], dtype=object)
    mine = np.flatnonzero((log.time >= window.start) & (log.user == 5))
    parts = [(np.zeros(len(mine)), mine), (log.user + 1, np.arange(len(log))), (np.full(len(mine), len(ids) - 1), mine)]
    at = np.concatenate([index for _, index in parts])
    user = np.concatenate([rows for rows, _ in parts]).astype(np.int32)
    columns = {name: getattr(log, name)[at] for name in ("item", "time", "event", "weight", "price")}
    other = window_candidates(replace(small, log=Interactions(ids, user, n_items=log.n_items, **columns)), language, window).pairs
    assert np.array_equal(stage.candidates.rows, other.candidates.rows)
    for column, same in zip(stage.candidates.features.values(), other.candidates.features.values(), strict=True):
        assert np.array_equal(column, same, equal_nan=True)


def test_labels_are_what_was_bought_in_the_window(small, language):
    window = small.windows.late
    stage = window_candidates(small, language, window).pairs
    split = Split.by_time(small.log.between(None, window.end), window.start)
    users, items = split.pairs
    bought = set(zip(users.tolist(), items.tolist(), strict=True))
    rows = stage.candidates.rows
    labels = [[(user, row) in bought for row in mine] for user, mine in zip(split.users.tolist(), rows.tolist(), strict=True)]
    assert np.array_equal(stage.labels, np.array(labels))
    assert 0.02 < stage.labels[rows >= 0].mean() < 0.5


def test_towers_know_nothing_after_their_validation_window(small, language, tmp_path):
    """The seen part of the log is the same: bit for bit the same towers."""
    end = small.windows.validation.end
    other = fit_text_models(replace(small, log=scrambled(small.log, end)), CPU, tmp_path / "work", tmp_path)
    assert other.tower.to_files() == language.tower.to_files()
    assert other.encoder.to_files() == language.encoder.to_files()
    assert other.report == language.report


def test_goes_on_where_it_was_cut_off(small, tmp_path, monkeypatch):
    whole = train_model(small, CPU, tmp_path / "whole", tmp_path / "cache")
    fits, original = [], pipeline.fit_ranking

    def cut(*arguments: Any) -> Any:
        fits.append(1)
        if len(fits) == 1:
            raise KeyboardInterrupt
        return original(*arguments)

    monkeypatch.setattr(pipeline, "fit_ranking", cut)
    with pytest.raises(KeyboardInterrupt):
        train_model(small, CPU, tmp_path / "cut", tmp_path / "cache")
    torch.manual_seed(1234)  # another process, another state of chance
    epochs: list[Any] = []
    monkeypatch.setattr("retrieval.two_tower.trainer._epoch", lambda *arguments: epochs.append(arguments))
    again = train_model(small, CPU, tmp_path / "cut", tmp_path / "cache")
    assert epochs == []  # the towers were not trained again
    assert again.to_files() == whole.to_files()


def test_comes_back_from_its_files(small, tmp_path):
    model = train_model(small, CPU, tmp_path / "work", tmp_path)
    files = model.to_files()
    assert Model.from_files(files).to_files() == files
    assert Model.from_files(files).fingerprint == model.fingerprint
    json.loads(files["model.json"])


def test_another_seed_is_another_model(small, tmp_path):
    models = [train_model(replace(small, seed=seed), CPU, tmp_path / str(seed), tmp_path) for seed in (1, 2)]
    assert models[0].fingerprint != models[1].fingerprint


def test_visitors_are_made_of_large_baskets_after_the_cut():
    time = np.array([10, 20, 20, 20, 20, 20, 20, 20, 30, 30])
    item = np.array([9, 0, 1, 2, 3, 4, 5, 5, 7, 8], dtype=np.int32)
    zeros = np.zeros(10, np.int32)
    log = Interactions(
        np.array(["u"], object), zeros, item, time, np.zeros(10, np.int8), np.ones(10, np.float32), np.full(10, np.nan, np.float32), 10
    )
    guests, rest = anonymous_baskets(Split.by_time(log, 15), 5, np.random.default_rng(0))
    assert len(guests) == 1
    assert guests.lengths.tolist() == [3]
    assert sorted([*guests.item.tolist(), *rest.item.tolist()]) == [0, 1, 2, 3, 4, 5]
    nobody, nothing = anonymous_baskets(Split.by_time(log, 25), 5, np.random.default_rng(0))
    assert len(nobody) == len(nothing.item) == 0


@pytest.mark.parametrize(
    ("until", "error", "says"),
    [
        (datetime(2023, 1, 1), ModelError, "no event lies before the date"),
        (datetime(2024, 1, 1, 5), DataError, "bring a longer log"),
    ],
)
def test_too_little_before_the_date_is_said_in_one_line(fresh, until, error, says):
    place = fresh()
    place.ingest()
    with pytest.raises(error, match=says) as raised:
        find_or_train.train(place.workspace, place.settings, TrainOptions(until))
    assert "\n" not in str(raised.value)
    assert not place.workspace.models.exists()
