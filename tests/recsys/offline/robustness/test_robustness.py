"""`recsys evaluate robustness` on the tiny shop."""

from __future__ import annotations

import json

import pytest

from eval.robustness import perturbations
from recsys.offline.robustness.evaluate import evaluate_robustness
from recsys.training import find_or_train
from recsys.training.options import TrainOptions


@pytest.fixture
def measured(spare):
    return evaluate_robustness(spare.workspace, spare.settings)


def test_lists_are_compared_for_each_change_and_the_next_card_repeats_the_figures(spare, measured):
    found = json.loads(measured.to_json())
    assert found["users"] > 0
    assert list(found["perturbations"]) == list(perturbations.PERTURBATIONS)
    for one in found["perturbations"].values():
        for metrics in one["metrics"].values():
            assert metrics["overlap@10"]["value"] is None or 0 <= metrics["overlap@10"]["value"] <= 1
    assert (spare.workspace.reports / "robustness.json").read_text() == measured.to_json()
    find_or_train.train(spare.workspace, spare.settings, TrainOptions(seed=5))
    (card,) = [path for path in spare.workspace.models.glob("*/MODEL_CARD.md") if "Seed 5" in path.read_text()]
    assert "typos in titles" in card.read_text()
    assert f"over lists of {found['users']:,} users" in card.read_text()


def test_a_change_of_nothing_keeps_all_lists(spare, monkeypatch):
    """The comparison itself adds no difference: texts that only look changed give the same lists."""
    monkeypatch.setattr(perturbations, "PERTURBATIONS", {"none": lambda frame, _rng: frame})
    monkeypatch.setattr(perturbations, "item_texts", _different_each_time())
    report = evaluate_robustness(spare.workspace, spare.settings)
    for metrics in report.perturbed["none"].metrics.values():
        assert metrics["overlap@10"].value in (1.0, pytest.approx(float("nan"), nan_ok=True))
        assert metrics["ndcg_kept"].value in (1.0, pytest.approx(float("nan"), nan_ok=True))


def _different_each_time():
    count, original = iter(range(100)), perturbations.item_texts
    return lambda catalog: original(catalog) + str(next(count))
