"""The proximal term: weights stay near to where a training began, the more the stronger it is."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from retrieval.two_tower.continual.proximal import ProximalTerm


def moved(strength: float, rate: float = 0.1) -> float:
    """How far a weight comes that its loss draws from 1 to 5."""
    weight = nn.Parameter(torch.ones(1))
    optimizer = torch.optim.AdamW([weight], lr=rate, weight_decay=0.0)
    ProximalTerm(strength).attach(optimizer)
    for _ in range(200):
        optimizer.zero_grad()
        (weight - 5).square().sum().backward()
        optimizer.step()
    return float(weight.detach()) - 1


def test_the_stronger_the_nearer() -> None:
    distances = [moved(strength) for strength in (0, 0.5, 2, 9)]
    assert distances == sorted(distances, reverse=True)
    assert distances[0] == pytest.approx(4, abs=0.1)
    assert 0 < distances[-1] < 1


def test_one_step_goes_back_by_rate_times_strength() -> None:
    weight = nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([weight], lr=0.1)
    ProximalTerm(2.0).attach(optimizer)
    weight.grad = torch.full((1,), -1.0)
    optimizer.step()
    assert float(weight.detach()) == pytest.approx(0.1 * (1 - 0.1 * 2.0))


def test_a_term_that_would_go_too_far_ends_where_it_began() -> None:
    assert moved(1000.0) == 0


def test_each_group_has_its_own_rate() -> None:
    one, other = nn.Parameter(torch.zeros(1)), nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([{"params": [one], "lr": 1.0}, {"params": [other], "lr": 0.5}], lr=1.0)
    ProximalTerm(1.0).attach(optimizer)
    one.grad, other.grad = torch.full((1,), -1.0), torch.full((1,), -1.0)
    optimizer.step()
    assert (float(one.detach()), float(other.detach())) == (0.0, 0.25)
