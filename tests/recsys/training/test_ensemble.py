"""Towers that learn from others, and what the stages of a training share."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from features.data.interactions import DAY
from recsys.training.job import TrainingJob
from recsys.training.towers import fit_text_models
from recsys.training.windows import Windows

if TYPE_CHECKING:
    from pathlib import Path

CPU = torch.device("cpu")


def shop_with(shop: Any, settings: Any, user_encoder: str, **train: Any) -> TrainingJob:
    until = shop.log.start + 150 * DAY
    log = shop.log.between(None, until)
    changed = settings.model_copy(
        update={
            "tower": settings.tower.model_copy(update={"user_encoder": user_encoder}),
            "train": settings.train.model_copy(update={"tuned_epochs": 0, **train}),
        }
    )
    return TrainingJob(shop.catalog, log, Windows.plan(log, until), changed, 0)


def test_the_kept_tower_learns_from_an_ensemble(shop: Any, tiny_settings: Any, tmp_path: Path) -> None:
    one, two, again = (
        fit_text_models(shop_with(shop, tiny_settings, "sequence", ensemble=n), CPU, tmp_path / name, tmp_path)
        for name, n in (("one", 1), ("two", 2), ("again", 2))
    )
    assert "teachers_ndcg@10" not in one.report
    assert len(two.report["teachers_ndcg@10"]) == 2
    assert np.array_equal(two.vectors, again.vectors)
    assert not np.allclose(one.vectors, two.vectors, atol=1e-4)
    assert one.tower.to_files().keys() == two.tower.to_files().keys()  # answers cost the same
    assert one.vectors.shape == two.vectors.shape


def test_towers_of_sets_say_that_they_have_no_teachers(
    shop: Any, tiny_settings: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        fitted = fit_text_models(shop_with(shop, tiny_settings, "set", ensemble=2), CPU, tmp_path / "work", tmp_path)
    assert "teachers_ndcg@10" not in fitted.report
    assert [message for message in caplog.messages if message.startswith("note: train.ensemble = 2 is not read")]


def test_windows_that_begin_together_share_collaborative_models(shop: Any, tiny_settings: Any) -> None:
    job = shop_with(shop, tiny_settings, "set")
    late = job.windows.late
    models = job.collaborative(late)
    assert job.collaborative(replace(late, end=late.end + DAY)) is models
    other = job.collaborative(job.windows.correction)
    assert other is not models
    assert not np.array_equal(other.popularity.ranking, models.popularity.ranking)
    assert job.collaborative(late).to_files() == models.to_files()
