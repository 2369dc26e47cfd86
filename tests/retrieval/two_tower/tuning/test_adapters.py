"""Adapters: AdaLoRA's allocation runs and survives a checkpoint, and every adapter merges into a plain model."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import pytest
import torch
from transformers import BertConfig, BertModel

from retrieval.two_tower.tuning.adapters import ADAPTERS, Adapter, AdapterName

if TYPE_CHECKING:
    from torch import Tensor

STEPS = 30


@pytest.fixture
def bert() -> BertModel:
    torch.manual_seed(0)
    config = BertConfig(hidden_size=32, num_hidden_layers=3, num_attention_heads=2, intermediate_size=64, vocab_size=50)
    return BertModel(config, add_pooling_layer=False).eval()


@pytest.fixture
def ids() -> Tensor:
    return torch.randint(50, (6, 9), generator=torch.Generator().manual_seed(1))


def train(model: BertModel, adapter: Adapter, ids: Tensor, steps: range) -> None:
    """Train the first dimensions of the last states towards one, as a tuned encoder is trained: without the tuner's forward pass."""
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    optimizer = torch.optim.AdamW(weights, lr=1e-2)
    for step in steps:
        loss = (model(ids).last_hidden_state[..., :4] - 1).pow(2).mean()
        (loss + adapter.penalty()).backward()
        optimizer.step()
        adapter.after_step(step)
        optimizer.zero_grad(set_to_none=True)


def test_ranks_differ_between_layers_after_training(bert: BertModel, ids: Tensor) -> None:
    adapter = Adapter(bert, "adalora", STEPS)
    assert adapter.allocation is not None
    assert set(adapter.allocation.ranks().values()) == {12}
    train(bert, adapter, ids, range(STEPS))
    ranks = adapter.allocation.ranks()
    assert len(ranks) == 3 * 2  # layers, query and value
    assert sum(ranks.values()) == 3 * 2 * 8
    assert len(set(ranks.values())) > 1
    for name, weight in bert.named_parameters():
        if name in ranks:
            assert int(weight.ne(0).sum()) == ranks[name]


def test_without_allocation_ranks_stay_as_they_were(bert: BertModel, ids: Tensor) -> None:
    """The silent failure that the allocation is there to prevent."""
    adapter = Adapter(bert, "adalora", STEPS)
    allocation, adapter.allocation = adapter.allocation, None
    assert allocation is not None
    train(bert, adapter, ids, range(STEPS))
    assert set(allocation.ranks().values()) == {12}
    assert all(weight.ne(0).all() for name, weight in bert.named_parameters() if "lora_E" in name)


@pytest.mark.parametrize("interrupted_at", [2, 12, 20, 29])
def test_the_allocation_goes_on_from_a_checkpoint(bert: BertModel, ids: Tensor, interrupted_at: int) -> None:
    other = copy.deepcopy(bert)
    torch.manual_seed(3)
    adapter = Adapter(bert, "adalora", STEPS)
    train(bert, adapter, ids, range(interrupted_at))
    torch.manual_seed(4)
    resumed = Adapter(other, "adalora", STEPS)
    assert adapter.allocation is not None
    assert resumed.allocation is not None
    other.load_state_dict(bert.state_dict())
    resumed.allocation.load_state_dict(adapter.allocation.state_dict())
    # Both start with a fresh optimizer, whose state is not the allocation's.
    train(bert, adapter, ids, range(interrupted_at, STEPS))
    train(other, resumed, ids, range(interrupted_at, STEPS))
    assert adapter.allocation.ranks() == resumed.allocation.ranks()
    assert all(torch.equal(weight, other.state_dict()[name]) for name, weight in bert.state_dict().items())


@pytest.mark.parametrize("steps", [1, 2, 3, 5, 40])
def test_trainings_of_any_length_allocate(bert: BertModel, ids: Tensor, steps: int) -> None:
    adapter = Adapter(bert, "adalora", steps)
    train(bert, adapter, ids, range(steps))
    assert adapter.allocation is not None
    assert sum(adapter.allocation.ranks().values()) == 6 * (12 if steps == 1 else 8)


def test_the_penalty_is_zero_for_orthogonal_vectors_alone(bert: BertModel) -> None:
    adapter = Adapter(bert, "adalora", STEPS)
    assert float(torch.as_tensor(adapter.penalty()).detach()) > 0
    with torch.no_grad():
        for name, weight in bert.named_parameters():
            if "lora_A" in name or "lora_B" in name:
                torch.nn.init.orthogonal_(weight)
    assert float(torch.as_tensor(adapter.penalty()).detach()) == pytest.approx(0, abs=1e-5)


@pytest.mark.parametrize("name", ["lora", "ia3"])
def test_other_adapters_have_neither_penalty_nor_ranks(bert: BertModel, name: AdapterName) -> None:
    adapter = Adapter(bert, name, STEPS)
    assert adapter.penalty() == 0
    assert adapter.allocation is None


@pytest.mark.parametrize("name", ADAPTERS)
def test_merging_keeps_the_vectors_and_the_names_of_a_plain_model(bert: BertModel, ids: Tensor, name: AdapterName) -> None:
    plain, before = set(bert.state_dict()), bert(ids).last_hidden_state.detach()
    adapter = Adapter(bert, name, STEPS)
    assert torch.allclose(bert(ids).last_hidden_state, before, atol=1e-5)  # it starts where the encoder is
    train(bert, adapter, ids, range(STEPS))
    trained = bert(ids).last_hidden_state.detach()
    assert not torch.allclose(trained, before, atol=1e-2)
    merged = adapter.merge()
    assert set(merged.state_dict()) == plain
    assert torch.allclose(merged(ids).last_hidden_state, trained, atol=1e-4)
