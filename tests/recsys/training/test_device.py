"""Each stage runs on the device that was asked for, whatever it is; what is stored and served comes back to the CPU."""

from __future__ import annotations

from collections import defaultdict
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from torch import nn

from features.data.interactions import DAY
from features.errors import ConfigError
from features.text.encoder import TextEncoder
from ranking.cross_encoder.model import CrossEncoder
from recsys.refresh import build
from recsys.refresh.refresh import refresh
from recsys.training import ranking, search, search_tower, towers
from recsys.training.job import TrainingJob
from recsys.training.pipeline import train_model
from recsys.training.windows import Windows
from retrieval.query_tower.model import QueryTower
from retrieval.two_tower.config import AugmentConfig
from retrieval.two_tower.model import TwoTower
from tests.recsys.fake_gpu import CPU, CUDA, FakeGpu, on_gpu

if TYPE_CHECKING:
    from collections.abc import Iterator

# Each stage of a job, by the function whose networks run in it.
STAGES = {
    "lower layers": (TextEncoder, "token_states"),
    "pooling": (TextEncoder, "pool"),
    "item tower": (TwoTower, "item_vectors"),
    "user tower": (TwoTower, "user_vectors"),
    "query tower": (QueryTower, "vectors"),
    "towers' training": (towers, "fit_towers"),
    "cross-encoder's training": (ranking, "fit_cross_encoder"),
    "search's cross-encoder": (search, "fit_cross_encoder"),
    "search's queries": (search_tower, "fit_query_tower"),
    "cross-encoder's logits": (CrossEncoder, "logits"),
}


class Stood:
    """Where networks stood when they were run, by stage; the innermost stage counts."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.at: dict[str, set[str]] = defaultdict(set)
        self._stages: list[str] = []
        for stage, (owner, name) in STAGES.items():
            monkeypatch.setattr(owner, name, self._noted(stage, getattr(owner, name)))

    def _noted(self, stage: str, work: Any) -> Any:
        def done(*args: Any, **kwargs: Any) -> Any:
            self._stages.append(stage)
            try:
                return work(*args, **kwargs)
            finally:
                self._stages.pop()

        return done

    def note(self, module: nn.Module, _inputs: object) -> None:
        for weight in module.parameters(recurse=False):
            self.at[self._stages[-1]].add("cuda" if on_gpu(weight) else "cpu")


@contextmanager
def fake_gpu(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stood]:
    """A GPU that torch believes in, and what ran where."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    for module in ("retrieval.two_tower.text_tuning", "retrieval.two_tower.trainer"):
        monkeypatch.setattr(f"{module}.autocast", lambda _device: nullcontext())
    stood = Stood(monkeypatch)
    with nn.modules.module.register_module_forward_pre_hook(stood.note), FakeGpu():
        yield stood


@pytest.fixture
def small(shop: Any, tiny_settings: Any) -> TrainingJob:
    until = shop.log.start + 150 * DAY
    log = shop.log.between(None, until)
    return TrainingJob(shop.catalog, log, Windows.plan(log, until), tiny_settings, 0)


def weights(module: nn.Module) -> list[torch.Tensor]:
    return [*module.parameters(), *module.buffers()]


@pytest.mark.parametrize(("reads", "tuning"), [("set", "upper"), ("set", "adalora"), ("sequence", "full")])
def test_training_stands_on_the_device_from_end_to_end(small, tmp_path, monkeypatch, reads, tuning):
    tower = small.settings.tower.model_copy(update={"user_encoder": reads})
    changed = {"augment": AugmentConfig(word_drop=0.2, synonyms=0.5), "adversarial": 0.05, "hard_negatives": 2, "last_epochs": 1}
    train = small.settings.train.model_copy(update={"tuning": tuning, **changed})
    pairs = small.settings.cross_encoder.model_copy(update={"distillation": 0.5})
    shop = replace(small, settings=small.settings.model_copy(update={"tower": tower, "train": train, "cross_encoder": pairs}))
    with fake_gpu(monkeypatch) as stood:
        model = train_model(shop, CUDA, tmp_path / "work", tmp_path)
    assert dict(stood.at) == {stage: {"cuda"} for stage in STAGES}
    assert model.about["device"] == "cuda"
    assert model.ranking is not None
    for module in (model.encoder, model.tower, model.query_tower, model.ranking.cross_encoder):
        assert not any(map(on_gpu, weights(module)))
    assert all(np.isfinite(values).all() for values in model.encoder.pool(model.encoder.token_states(["green tea"])))
    assert model.to_files()


def test_on_the_cpu_nothing_leaves_it(small, tmp_path, monkeypatch):
    with fake_gpu(monkeypatch) as stood:
        train_model(small, CPU, tmp_path / "work", tmp_path)
    assert dict(stood.at) == {stage: {"cpu"} for stage in STAGES}


@pytest.mark.parametrize(("device", "at"), [("cuda", "cuda"), ("auto", "cuda"), ("cpu", "cpu")])
@pytest.mark.parametrize("publish", [build.build_index, refresh])
def test_the_catalogue_is_encoded_on_the_device(spare, monkeypatch, publish, device, at):
    spare.items.write_text(spare.items.read_text(encoding="utf-8").replace("green tea", "red soap"), encoding="utf-8")
    if publish is build.build_index:
        spare.ingest()
    # Whatever the gates ask the towers is asked beside it, of arrays that are stored.
    with fake_gpu(monkeypatch) as stood:
        said = str(publish(spare.workspace, spare.settings, device))
    assert "texts encoded" in said
    for stage in ("lower layers", "pooling", "item tower", "query tower"):
        assert stood.at[stage] == {at}, stage


def test_a_model_comes_back_even_if_encoding_fails(ready, monkeypatch):
    model = build.current_model(ready.workspace, ready.settings)
    with fake_gpu(monkeypatch):
        with suppress(KeyboardInterrupt), model.on(CUDA):
            assert all(map(on_gpu, weights(model.encoder)))
            raise KeyboardInterrupt
        assert not any(map(on_gpu, [*weights(model.encoder), *weights(model.tower)]))


def test_a_gpu_that_was_asked_for_and_is_not_there_is_said(spare, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    spare.items.write_text(spare.items.read_text(encoding="utf-8").replace("green tea", "red soap"), encoding="utf-8")
    with pytest.raises(ConfigError, match="torch sees no GPU"):
        refresh(spare.workspace, spare.settings, "cuda")


class TestFakeGpu:
    """It refuses what a real one does, or the tests above could not fail."""

    def test_devices_do_not_mix(self):
        with FakeGpu():
            here, there = torch.ones(2), torch.ones(2).to("cuda")
            assert (there + there).device == CUDA
            assert (here + 1).device == CPU
            with pytest.raises(RuntimeError, match="two devices"):
                here + there
            with pytest.raises(RuntimeError, match="two devices"):
                nn.Linear(2, 2).to("cuda")(here)
            assert nn.Linear(2, 2).to("cuda")(there).device == CUDA
            with pytest.raises(TypeError, match="to numpy"):
                there.numpy()
            assert there.cpu().numpy().tolist() == [1, 1]
            assert torch.zeros(2, device=there.device).device == CUDA
