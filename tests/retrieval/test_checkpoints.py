"""The learning-rate schedule, and checkpoints from which a training resumes exactly."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import pytest
import torch
from torch import nn

from retrieval.checkpoints import load_checkpoint, save_checkpoint, set_rate

if TYPE_CHECKING:
    from pathlib import Path

TOTAL = 100


def rates(warmup: float, total: int = TOTAL) -> list[float]:
    optimizer = torch.optim.AdamW([nn.Parameter(torch.zeros(1))], lr=2.0)
    out = []
    for step in range(total):
        set_rate(optimizer, step, total, warmup)
        out.append(optimizer.param_groups[0]["lr"])
    return out


def test_linear_warm_up_and_cosine_decay() -> None:
    course = rates(warmup=0.1)
    assert course[:10] == pytest.approx([0.2 * step for step in range(1, 11)])
    assert course[10] == pytest.approx(2.0)
    assert course[55] == pytest.approx(1.0)
    assert all(late <= early for early, late in itertools.pairwise(course[9:]))
    assert 0 < course[-1] < 0.01


@pytest.mark.parametrize(("warmup", "total"), [(0.0, 1), (1.0, 3), (0.5, 1)])
def test_rate_is_positive_in_short_trainings(warmup: float, total: int) -> None:
    assert all(0 < rate <= 2 for rate in rates(warmup, total))


def test_each_group_scales_its_own_rate() -> None:
    groups = [{"params": [nn.Parameter(torch.zeros(1))], "lr": rate} for rate in (1.0, 0.1)]
    optimizer = torch.optim.AdamW(groups)
    for step in (0, 70, 3):  # a function of the step alone
        set_rate(optimizer, step, TOTAL, 0.1)
    assert [group["lr"] for group in optimizer.param_groups] == pytest.approx([0.4, 0.04])


def steps(module: nn.Module, optimizer: torch.optim.Optimizer, first: int, last: int) -> None:
    for step in range(first, last):
        set_rate(optimizer, step, TOTAL, 0.1)
        optimizer.zero_grad()
        module(torch.full((2, 3), float(step))).pow(2).sum().backward()
        optimizer.step()


def fresh() -> tuple[nn.Linear, torch.optim.Optimizer]:
    torch.manual_seed(0)
    module = nn.Linear(3, 2)
    return module, torch.optim.AdamW(module.parameters(), lr=0.1)


def test_a_resumed_training_equals_an_uninterrupted_one(tmp_path: Path) -> None:
    whole, optimizer = fresh()
    steps(whole, optimizer, 0, 9)
    module, optimizer = fresh()
    steps(module, optimizer, 0, 4)
    save_checkpoint(tmp_path / "new" / "last.safetensors", {"m": module}, optimizer, {"epoch": 4.0, "curve0": 0.1 + 0.2})
    module, optimizer = fresh()
    assert load_checkpoint(tmp_path / "new" / "last.safetensors", {"m": module}, optimizer) == {"epoch": 4.0, "curve0": 0.1 + 0.2}
    steps(module, optimizer, 4, 9)
    assert torch.equal(module.weight, whole.weight)
    assert torch.equal(module.bias, whole.bias)
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["last.safetensors"]


def test_a_checkpoint_is_written_atomically(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "last.safetensors"
    module, optimizer = fresh()
    save_checkpoint(path, {"m": module}, optimizer, {"epoch": 1.0})
    before = path.read_bytes()
    steps(module, optimizer, 0, 1)

    def full(*_: object) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr("os.replace", full)
    with pytest.raises(OSError, match="no space left"):
        save_checkpoint(path, {"m": module}, optimizer, {"epoch": 2.0})
    assert path.read_bytes() == before


def test_a_missing_checkpoint_changes_nothing(tmp_path: Path) -> None:
    module, optimizer = fresh()
    before = module.weight.clone()
    assert load_checkpoint(tmp_path / "none.safetensors", {"m": module}, optimizer) is None
    assert torch.equal(module.weight, before)


def test_a_checkpoint_of_another_model_is_refused(tmp_path: Path) -> None:
    module, optimizer = fresh()
    save_checkpoint(tmp_path / "last.safetensors", {"m": module}, optimizer, {})
    with pytest.raises(RuntimeError, match="size mismatch"):
        load_checkpoint(tmp_path / "last.safetensors", {"m": nn.Linear(4, 2)}, optimizer)
