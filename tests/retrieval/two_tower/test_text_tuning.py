"""Tuning of the text encoder: each way trains its own weights, and pooled vectors follow the encoder."""

from __future__ import annotations

from typing import TYPE_CHECKING, get_args

import numpy as np
import pytest
import torch
from peft.tuners.lora import LoraLayer

from features.text.encoder import TextEncoder
from features.text.encoder_config import EncoderConfig
from features.text.template import item_texts
from retrieval.two_tower.text_tuning import TrainableTexts, Tuning

if TYPE_CHECKING:
    from pathlib import Path

TUNINGS = get_args(Tuning)
TRAINED = ["upper", "lora", "full"]


def texts_of(tiny_bert: Path, shop, tuning: Tuning) -> TrainableTexts:
    encoder = TextEncoder.pretrained(EncoderConfig(model=str(tiny_bert), max_tokens=24))
    texts = item_texts(shop.catalog).unique(maintain_order=True).to_list()
    return TrainableTexts(encoder, texts, encoder.token_states(texts), tuning)


def train(texts: TrainableTexts) -> None:
    """Train two steps, with dropout, towards zero vectors of the first texts."""
    # One of lora's two matrices starts at zero, so the other has a gradient from the second step on.
    optimizer = torch.optim.SGD(texts.trainable(), lr=1e-2)
    texts.encoder.train()
    for _ in range(2):
        optimizer.zero_grad()
        texts.encode(np.arange(8)).pow(2).sum().backward()
        optimizer.step()


@pytest.mark.parametrize("tuning", TUNINGS)
def test_pooled_vectors_are_the_encoders(tiny_bert: Path, shop, tuning: Tuning) -> None:
    texts = texts_of(tiny_bert, shop, tuning)
    before = texts.pooled.copy()
    assert before.shape == (39, 32)
    texts.refresh()
    assert np.allclose(texts.pooled, before, atol=1e-2)


@pytest.mark.parametrize("tuning", TRAINED)
def test_fresh_vectors_are_the_pooled_ones_with_a_gradient(tiny_bert: Path, shop, tuning: Tuning) -> None:
    texts = texts_of(tiny_bert, shop, tuning)
    trained = texts.trainable()
    chosen = np.array([5, 0, 20])
    vectors = texts.encode(chosen)
    assert np.allclose(vectors.detach(), texts.pooled[chosen], atol=1e-2)
    vectors[:, 0].sum().backward()
    assert trained
    assert any(weight.grad is not None and weight.grad.any() for weight in trained)


def test_each_way_trains_its_own_weights(tiny_bert: Path, shop) -> None:
    opened: dict[str, set[str]] = {}
    for tuning in TUNINGS:
        texts = texts_of(tiny_bert, shop, tuning)
        trained = texts.trainable()
        opened[tuning] = {name for name, weight in texts.encoder.model.named_parameters() if weight.requires_grad}
        assert len(trained) == len(opened[tuning])
    assert opened["frozen"] == set()
    assert {name.split(".")[2] for name in opened["upper"]} == {"2"}
    assert len(opened["lora"]) == 3 * 2 * 2  # layers, query and value, A and B
    assert all("lora_" in name for name in opened["lora"])
    assert opened["full"] > opened["upper"]
    assert any(name.startswith("embeddings") for name in opened["full"])


@pytest.mark.parametrize("tuning", TRAINED)
def test_refresh_encodes_with_current_weights_without_dropout(tiny_bert: Path, shop, tuning: Tuning) -> None:
    texts = texts_of(tiny_bert, shop, tuning)
    before = texts.pooled.copy()
    train(texts)
    texts.refresh()
    first = texts.pooled.copy()
    texts.encoder.train()
    texts.refresh()
    assert np.array_equal(texts.pooled, first)
    assert not np.allclose(first, before, atol=1e-2)


@pytest.mark.parametrize("tuning", TUNINGS)
def test_finish_leaves_a_plain_frozen_encoder_with_the_same_vectors(tiny_bert: Path, shop, tuning: Tuning) -> None:
    texts = texts_of(tiny_bert, shop, tuning)
    if tuning != "frozen":
        train(texts)
        texts.refresh()
    texts.finish()
    encoder = texts.encoder
    assert not encoder.training
    assert not any(weight.requires_grad for weight in encoder.parameters())
    assert not any(isinstance(module, LoraLayer) for module in encoder.modules())
    assert not any("lora" in name for name in encoder.state_dict())
    strings = item_texts(shop.catalog).unique(maintain_order=True).to_list()
    vectors = encoder.pool(encoder.token_states(strings))
    assert np.allclose(vectors, texts.pooled, atol=1e-2)
    back = TextEncoder.from_files(encoder.to_files())
    assert back.fingerprint == encoder.fingerprint
    assert np.array_equal(back.pool(back.token_states(strings)), vectors)
