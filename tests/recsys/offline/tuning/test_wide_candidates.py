"""Narrow quotas, read off wide candidates, give the very candidates that a retrieval with these quotas gives."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from features.data.shop_profile import ShopProfile
from recsys.offline.tuning.search_space import with_values
from recsys.offline.tuning.wide_candidates import JudgedWindow, main_list
from recsys.settings.auto import with_profile
from recsys.training.job import TrainingJob
from recsys.training.ranking import window_candidates
from recsys.training.towers import fit_text_models
from recsys.training.windows import Windows

QUOTAS = [
    {},
    {"retrieval.tower": 0, "retrieval.popular": 4},
    {"retrieval.ease": 3, "retrieval.item_knn": 2, "retrieval.als": 0, "retrieval.tower": 5, "retrieval.popular": 1},
    {"retrieval.repeat_purchases": 0, "retrieval.ease": 1, "retrieval.popular": 0, "retrieval.tower": 0, "retrieval.als": 0},
]


SEQUENCE_QUOTAS = [
    {},
    {"retrieval.markov": 5, "retrieval.texts": 5, "retrieval.als": 0},
    {"retrieval.texts": 0, "retrieval.tower": 6},
    {"retrieval.markov": 0, "retrieval.texts": 3, "retrieval.popular": 2},
]
QUOTAS_OF = {"set": QUOTAS, "sequence": SEQUENCE_QUOTAS}


@pytest.fixture(scope="module", params=["set", "sequence"])
def kind(request: pytest.FixtureRequest) -> str:
    """What the user encoder reads; towers over sequences bring sources of their own."""
    return request.param


@pytest.fixture(scope="module")
def job(shop, tiny_settings, kind: str) -> TrainingJob:
    values = {"train.epochs": 1, "train.tuned_epochs": 0, "tower.user_encoder": kind, "gbdt.few_buyer_users": 30, "gbdt.hidden_items": 0.5}
    settings = with_profile(with_values(tiny_settings, values), ShopProfile.of(shop.log))
    assert bool(settings.retrieval.texts) == (kind == "sequence")
    return TrainingJob(shop.catalog, shop.log, Windows.plan(shop.log, shop.log.end), settings, 0)


@pytest.fixture(scope="module")
def models(job: TrainingJob, tmp_path_factory: pytest.TempPathFactory):
    folder = tmp_path_factory.mktemp("towers")
    return fit_text_models(job, torch.device("cpu"), folder / "work", folder / "cache")


@pytest.fixture(scope="module")
def wide(job: TrainingJob, models) -> JudgedWindow:
    return JudgedWindow.of(job, models, job.windows.late, 50)


@pytest.mark.parametrize("number", range(len(QUOTAS)))
def test_they_are_those_of_a_retrieval(job: TrainingJob, models, wide: JudgedWindow, kind: str, number: int) -> None:
    settings = with_values(job.settings, QUOTAS_OF[kind][number])
    direct = window_candidates(TrainingJob(job.catalog, job.log, job.windows, settings, 0), models, job.windows.late, users=50)
    narrow = wide.narrowed(settings.retrieval)
    assert narrow.recall == direct.recall
    assert direct.few is not None
    assert len(direct.few.labels)
    assert len(narrow.parts) == len(direct.parts) == 3
    for ours, theirs in zip(narrow.parts, direct.parts, strict=True):
        assert ours.candidates.rows.tolist() == theirs.candidates.rows.tolist()
        assert ours.labels.tolist() == theirs.labels.tolist()
        assert ours.stands_for == theirs.stands_for
        np.testing.assert_allclose(ours.candidates.scores, theirs.candidates.scores, rtol=1e-6)
        assert ours.candidates.features.keys() == theirs.candidates.features.keys()
        valid = theirs.candidates.valid  # what a feature is beside an empty place, nobody reads
        for name, column in theirs.candidates.features.items():
            found = ours.candidates.features[name]
            np.testing.assert_allclose(found[valid], column[valid], rtol=1e-5, atol=1e-6, err_msg=name)


def test_a_list_holds_only_what_it_may(job: TrainingJob, wide: JudgedWindow) -> None:
    assert wide.kind == main_list(job) == "all"
    candidates = wide.users.narrowed(job.settings.retrieval).candidates
    known = wide.ground_truth.known
    allowed = wide.allowed(candidates).rows
    expected = [[row for row in rows if row >= 0 and known[row]] for rows in candidates.rows.tolist()]
    assert [[row for row in rows if row >= 0] for rows in allowed.tolist()] == expected
    unseen = replace(wide, kind="unseen").allowed(candidates).rows
    seen = wide.ground_truth.seen.mask(np.arange(len(unseen)))
    for user, rows in enumerate(unseen.tolist()):
        assert not any(seen[user, row] for row in rows if row >= 0)
