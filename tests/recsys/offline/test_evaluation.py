"""`recsys evaluate` on the tiny shop: what it writes, and that no model is evaluated on data that it has seen."""

from __future__ import annotations

import json
from datetime import datetime

import pytest

from features.errors import ModelError
from recsys.artifacts.bundle import current_id
from recsys.offline import evaluate
from recsys.offline.evaluate import evaluation_cut
from recsys.settings.presets import FULL
from recsys.training import find_or_train
from recsys.training.options import TrainOptions

KEYS = {"metrics", "slices", "stages", "baselines", "split", "reasons", "exposure", "exploration", "bundle_id"}


def test_evaluation_is_json_and_a_page_beside_honest_baselines(spare):
    report = evaluate.evaluate(spare.workspace, spare.settings)
    result = json.loads(report.to_json())
    assert result.keys() == KEYS
    assert {"ndcg@10", "recall@10", "auc", "ece", "log_loss"} <= result["metrics"].keys()
    for figure in result["metrics"].values():
        assert figure.keys() == {"value", "low", "high", "users"}
    assert result["metrics"]["ndcg@10"]["low"] <= result["metrics"]["ndcg@10"]["value"] <= result["metrics"]["ndcg@10"]["high"]
    assert {"repeat", "new", "few", "cold"} <= result["slices"].keys()
    assert {"retrieval", "ranking"} <= result["stages"].keys()
    assert len(result["baselines"]) >= 6
    assert all(baseline.keys() == {"metrics", "slices"} for baseline in result["baselines"].values())
    assert result["split"]["cut"].startswith("2024-06-2")
    assert result["bundle_id"] == current_id(spare.workspace.bundles)
    assert (spare.workspace.reports / "evaluation.json").read_text() == report.to_json()
    assert "<html" in (spare.workspace.reports / "evaluation.html").read_text()
    assert result["metrics"]["ndcg@10"]["value"] > result["baselines"]["popular"]["metrics"]["ndcg@10"]["value"]


def test_a_model_that_has_seen_the_test_weeks_is_not_evaluated_on_them(spare, monkeypatch):
    """Another is trained until the cut, once; one that ends there is taken as it is."""
    trained, original = [], find_or_train.train_model
    monkeypatch.setattr(find_or_train, "train_model", lambda shop, *rest: trained.append(shop) or original(shop, *rest))
    evaluate.evaluate(spare.workspace, spare.settings)
    (shop,) = trained
    assert shop.log.end <= evaluation_cut(spare.workspace.load()[1])
    evaluate.evaluate(spare.workspace, spare.settings)
    assert len(trained) == 1


def test_a_model_trained_until_the_cut_is_the_one_that_is_evaluated(spare, monkeypatch):
    cut = datetime.fromisoformat(evaluate.evaluate(spare.workspace, spare.settings).cut).replace(tzinfo=None)
    for path in (spare.workspace.root / "evaluation").iterdir():
        path.rename(path.with_name(f"gone-{path.name}"))
    find_or_train.train(spare.workspace, spare.settings, TrainOptions(until=cut))
    find_or_train.train(spare.workspace, spare.settings, TrainOptions())
    now = current_id(spare.workspace.models)
    monkeypatch.setattr(find_or_train, "train_model", lambda *_: pytest.fail("a model was trained"))
    assert evaluate.evaluate(spare.workspace, spare.settings).metrics
    assert current_id(spare.workspace.models) == now, "an evaluation does not change the model in use"


def other_settings(spare, _):
    sections = {"tower": spare.settings.tower.model_copy(update={"dim": spare.settings.tower.dim * 2})}
    return spare.settings.model_copy(update=sections)


def other_data(spare, _):
    spare.items.write_text(spare.items.read_text() + "sku-new,new tea,,,drinks|tea,2.5,true\n")
    spare.ingest()


def other_version(_, monkeypatch):
    monkeypatch.setattr(find_or_train, "MODEL_VERSION", find_or_train.MODEL_VERSION + 1)


@pytest.mark.parametrize(
    ("seed", "change"), [(0, other_settings), (0, other_data), (0, other_version), (1, None)], ids=["settings", "data", "version", "seed"]
)
def test_a_model_of_the_same_cut_but_another_key_is_not_evaluated(seed, change, spare, model_of, monkeypatch, caplog):
    caplog.set_level("INFO")
    cut = evaluation_cut(spare.workspace.load()[1])
    model_of(spare, cut, seed)
    settings = (change and change(spare, monkeypatch)) or spare.settings
    requested = []

    def noted(shop, *_):
        requested.append((shop.settings.tower.dim, shop.seed, len(shop.catalog)))
        raise InterruptedError

    monkeypatch.setattr(find_or_train, "train_model", noted)
    with pytest.raises(InterruptedError):
        evaluate.evaluate(spare.workspace, settings)
    assert requested == [(settings.tower.dim, 0, len(spare.workspace.load()[0]))]
    assert "of another date, other settings, another seed or other data: training one until" in caplog.text


def test_a_model_of_another_seed_is_evaluated_by_its_seed(spare, model_of, monkeypatch, command):
    model_of(spare, evaluation_cut(spare.workspace.load()[1]), 1)
    monkeypatch.setattr(find_or_train, "train_model", lambda *_: pytest.fail("a model was trained"))
    said = command("evaluate", "--seed", 1, "--json", workspace=spare.workspace.root)
    assert said.code == 0, said.error
    assert json.loads(said.out)["metrics"]["ndcg@10"]["value"] > 0


def test_the_presets_model_is_evaluated(spare, monkeypatch, command):
    requested = []

    def noted(job, *_):
        requested.append((job.settings.train.patience, job.seed))
        raise ModelError("stop here")

    monkeypatch.setattr(find_or_train, "train_model", noted)
    said = command("evaluate", "--preset", "full", "--seed", 2, workspace=spare.workspace.root)
    assert (said.code, "stop here" in said.error) == (1, True)
    assert requested == [(FULL["train"]["patience"], 2)]
