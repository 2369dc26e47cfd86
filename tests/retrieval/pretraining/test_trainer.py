"""Pre-training of the upper layers: what it learns, what it leaves alone, and how it continues."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import pytest
import torch

from features.text.encoder import TextEncoder
from features.text.encoder_config import EncoderConfig
from retrieval.pretraining import trainer
from retrieval.pretraining.config import PretrainConfig
from retrieval.pretraining.pairs import RelatedTexts, TextPairs
from retrieval.pretraining.trainer import EncodedPairs, Pretraining, fit_upper_layers
from tests.retrieval.interruption import Interrupted, interrupt_at

if TYPE_CHECKING:
    from pathlib import Path

NONE = np.zeros(0, dtype=np.int64)
TITLES = [f"{kind} {number}" for kind in ("apple", "bread", "coffee", "soap") for number in range(40)]
CONFIG = PretrainConfig(steps=30, batch=16, lr=3e-3)


@pytest.fixture
def encoder(tiny_bert: Path) -> TextEncoder:
    return TextEncoder.pretrained(EncoderConfig(model=str(tiny_bert), max_tokens=24))


@pytest.fixture
def training(encoder: TextEncoder, tmp_path: Path) -> Pretraining:
    """Apples go with soap of the same number, which no text says; a tenth of the apples is held out."""
    apples = np.arange(40)
    owner = np.concatenate([np.stack([apples, apples + 120], axis=1), np.stack([apples + 40, apples + 80], axis=1)])
    held = np.zeros(len(TITLES), dtype=bool)
    held[[0, 5, 9, 14, 20, 26, 30, 33, 35, 38, 40, 45, 50, 55, 60, 62, 66, 70, 74, 79]] = True
    known = RelatedTexts(np.full(len(TITLES), -1), NONE)
    return Pretraining([TextPairs("bought together", owner)], known, held, encoder.token_states(TITLES), tmp_path, 0)


def weights(encoder: TextEncoder, *, lower: bool) -> dict[str, torch.Tensor]:
    upper = {id(weight) for layer in encoder.upper_layers for weight in layer.parameters()}
    named = encoder.model.named_parameters()
    return {name: weight.detach().clone() for name, weight in named if (id(weight) not in upper) == lower}


def equal(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(one[name], other[name]) for name in one)


def test_it_learns_what_belongs_together_and_leaves_the_lower_layers_alone(encoder: TextEncoder, training: Pretraining) -> None:
    lower, upper = weights(encoder, lower=True), weights(encoder, lower=False)
    result = fit_upper_layers(encoder, training, CONFIG)
    assert result is not None
    assert result.after.mean() > 1.2 * result.before.mean()
    assert len(result.after) == 20  # held out
    assert result.pairs == {"bought together": 60}
    assert equal(lower, weights(encoder, lower=True))
    assert not equal(upper, weights(encoder, lower=False))
    assert not any(weight.requires_grad for weight in encoder.model.parameters())
    assert not encoder.training


def test_it_ends_with_the_best_of_its_checks(encoder: TextEncoder, training: Pretraining) -> None:
    """Held-out pairs that contradict what is learned: the start is the best, and stays."""
    owner = training.pairs[0].owner.copy()
    held = training.held_out[owner].any(axis=1)
    owner[held, 1] = np.random.default_rng(1).permutation(owner[held, 1])
    upper = weights(encoder, lower=False)
    result = fit_upper_layers(
        encoder, replace(training, pairs=[TextPairs("bought together", owner)]), CONFIG.model_copy(update={"lr": 0.3})
    )
    assert result is not None
    assert result.after.mean() >= result.before.mean()
    if result.after.mean() == result.before.mean():
        assert equal(upper, weights(encoder, lower=False))


def test_too_few_pairs_are_no_training(encoder: TextEncoder, training: Pretraining) -> None:
    upper = weights(encoder, lower=False)
    few = training.pairs[0].take(np.arange(trainer.FEWEST - 1))
    assert fit_upper_layers(encoder, replace(training, pairs=[few]), CONFIG) is None
    assert fit_upper_layers(encoder, replace(training, pairs=[]), CONFIG) is None
    assert equal(upper, weights(encoder, lower=False))


def test_it_continues_where_it_was_interrupted(
    tiny_bert: Path, encoder: TextEncoder, training: Pretraining, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fit_upper_layers(encoder, replace(training, folder=tmp_path / "whole"), CONFIG)
    interrupt_at(18, trainer, monkeypatch)
    part = replace(training, folder=tmp_path / "part")
    with pytest.raises(Interrupted):
        fit_upper_layers(TextEncoder.pretrained(EncoderConfig(model=str(tiny_bert), max_tokens=24)), part, CONFIG)
    again = TextEncoder.pretrained(EncoderConfig(model=str(tiny_bert), max_tokens=24))
    fit_upper_layers(again, part, CONFIG)
    assert equal(weights(encoder, lower=False), weights(again, lower=False))


def test_equal_parts_and_known_positives_are_no_negatives(encoder: TextEncoder) -> None:
    parts = (pl.Series(["red apple", "rye bread", "red apple", "oat cookie"]), pl.Series(["produce", "bakery", "fruit", "bakery"]))
    owner = np.array([[0, 0], [1, 1], [2, 2], [3, 3]])
    pairs = EncodedPairs.of(TextPairs("title and category", owner, parts), encoder, encoder.token_states(["x"]))
    assert pairs.rows.tolist() == [[0, 0], [1, 1], [0, 2], [2, 1]]
    mask = pairs.known(np.arange(4), RelatedTexts(np.full(4, -1), NONE))
    assert np.argwhere(mask).tolist() == [[0, 2], [1, 3], [2, 0], [3, 1]]
    mask = pairs.known(np.array([0, 1]), RelatedTexts(np.full(4, -1), np.array([1, 4])))
    assert mask.tolist() == [[False, True], [True, False]]
    assert len(pairs.sides[0]) == 3  # each part passes the lower layers once
