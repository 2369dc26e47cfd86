"""Candidates of a window from a cluster have the bits of those from this process, and leave no file."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from eval.metrics.user_items import UserItems
from features.data.interactions import DAY
from recsys.artifacts.bundle import Bundle
from recsys.compute.local import Processes
from recsys.training import find_or_train, ranking
from recsys.training.few_buyers import window_retriever
from recsys.training.few_buyers.lists import few_buyer_users
from recsys.training.few_buyers.window_retriever import SHARD, WindowRetriever, WindowUsers, labelled_lists
from recsys.training.job import TrainingJob
from recsys.training.options import TrainOptions
from recsys.training.ranking import window_candidates
from recsys.training.towers import TextModels, fit_text_models
from recsys.training.windows import Windows
from retrieval.collaborative.scoring import BATCH

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from ranking.cross_encoder.trainer import TrainingPairs
    from recsys.compute.job import Cluster, Job, Shard
    from tests.recsys.conftest import Place

COPIES = 20  # of each user, so that there are several shards


@pytest.fixture(scope="module")
def job(shop: Any, tiny_settings: Any) -> TrainingJob:
    until = shop.log.start + 150 * DAY
    log = shop.log.between(None, until)
    gbdt = tiny_settings.gbdt.model_copy(update={"few_buyer_users": 40, "hidden_items": 0.5})
    retrieval = tiny_settings.retrieval.model_copy(update={"texts": 20})
    settings = tiny_settings.model_copy(update={"gbdt": gbdt, "retrieval": retrieval})
    return TrainingJob(shop.catalog, log, Windows.plan(log, until), settings, 0)


@pytest.fixture(scope="module")
def models(job: TrainingJob, tmp_path_factory: pytest.TempPathFactory) -> TextModels:
    folder = tmp_path_factory.mktemp("language")
    return fit_text_models(job, torch.device("cpu"), folder / "work", folder)


def assert_same(one: TrainingPairs, other: TrainingPairs) -> None:
    assert one.stands_for == other.stands_for
    assert np.array_equal(one.labels, other.labels)
    assert set(one.candidates.features) == set(other.candidates.features)
    for name, array in {"rows": one.candidates.rows, "scores": one.candidates.scores, **one.candidates.features}.items():
        there = getattr(other.candidates, name) if name in ("rows", "scores") else other.candidates.features[name]
        assert array.dtype == there.dtype
        assert array.shape == there.shape
        assert array.tobytes() == there.tobytes(), name


def on(job: TrainingJob, cluster: Cluster, cache: Path) -> TrainingJob:
    return replace(job, cluster=cluster, cache=cache)


def many(job: TrainingJob, models: TextModels) -> list[WindowUsers]:
    """Users of each kind of list, each user several times, and nobody."""
    split = job.windows.early.split(job.log)
    found = WindowRetriever.of(job, models, split.history, split.cut, models.vectors)
    asked = []
    for each in few_buyer_users(job, models, split, found):
        assert each.allowed is not None
        n = len(each.histories)
        users = np.tile(np.arange(n), COPIES)
        copies = np.arange(COPIES)[:, None] * n
        bought = UserItems.of((copies + each.bought.user).ravel(), np.tile(each.bought.item, COPIES), COPIES * n, each.bought.n_items)
        tiled = replace(each, histories=each.histories.take(users), bought=bought)
        asked += [replace(tiled, allowed=each.allowed[users]), replace(tiled, allowed=None, most=None)]
    nobody = UserItems.of(np.zeros(0, np.int64), np.zeros(0, np.int64), 0, job.log.n_items)
    return [*asked, WindowUsers(found, asked[0].histories.take(np.zeros(0, np.int64)), nobody)]


def assert_same_on(cluster: Cluster, job: TrainingJob, models: TextModels, cache: Path) -> None:
    asked = many(job, models)
    assert max(len(each.histories) for each in asked) > SHARD
    here, there = labelled_lists(job, asked), labelled_lists(on(job, cluster, cache), asked)
    assert len(here) == len(there) == len(asked)
    for one, other in zip(here, there, strict=True):
        assert_same(one, other)
    assert list((cache / "compute").iterdir()) == []


def test_batches_end_with_a_shard() -> None:
    assert SHARD % BATCH == 0


@pytest.mark.parametrize("workers", [1, 2])
def test_lists_of_shards(job: TrainingJob, models: TextModels, tmp_path: Path, workers: int) -> None:
    assert_same_on(Processes(workers), job, models, tmp_path)


def test_lists_on_ray(cluster: Cluster, job: TrainingJob, models: TextModels, tmp_path: Path) -> None:
    assert_same_on(cluster, job, models, tmp_path)


def test_a_window(job: TrainingJob, models: TextModels, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ranking, "LEAST_BASKET", 1)
    monkeypatch.setattr(ranking, "KNOWN_OF_BASKET", 1)
    here = window_candidates(job, models, job.windows.late)
    there = window_candidates(on(job, Processes(), tmp_path), models, job.windows.late)
    assert here.recall == there.recall
    assert here.few is not None
    assert len(here.anonymous.labels) > 0
    for one, other in zip((*here.parts, *here.judged), (*there.parts, *there.judged), strict=True):
        assert_same(one, other)


def test_what_was_interrupted_goes_on(job: TrainingJob, models: TextModels, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = many(job, models)

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(window_retriever, "_joined", killed)
        with pytest.raises(KeyboardInterrupt):
            labelled_lists(on(job, Processes(), tmp_path), asked)
    here = labelled_lists(job, asked)
    monkeypatch.setattr(WindowRetriever, "padded", killed)
    for one, other in zip(here, labelled_lists(on(job, Processes(), tmp_path), asked), strict=True):
        assert_same(one, other)


def test_a_model_is_the_same(fresh: Callable[[], Place], monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[str] = []

    class Watched(Processes):
        def run(self, job: Job, shards: Sequence[Shard]) -> Iterator[Shard]:
            ran.append(job.label)
            return super().run(job, shards)

    trained = []
    for cluster in (None, Watched()):
        place = fresh()
        place.ingest()
        find_or_train.train(place.workspace, place.settings, TrainOptions(cluster=cluster))
        bundle = Bundle.open(place.workspace.models)
        trained.append({name: bundle.read(name) for name in bundle.files})
    assert trained[0] == trained[1]
    assert ran.count("retrieving candidates") == 4
