"""Tuning of the text encoder: each way trains its own weights, and pooled vectors follow the encoder."""

from __future__ import annotations

from typing import TYPE_CHECKING, get_args

import numpy as np
import pytest
import torch
from peft.tuners.tuners_utils import BaseTunerLayer

from features.text.encoder import TextEncoder
from features.text.encoder_config import EncoderConfig
from features.text.template import item_texts
from retrieval.two_tower.config import AugmentConfig
from retrieval.two_tower.text_tuning import TrainableTexts, Tuning
from retrieval.two_tower.tuning.augmentation import Augmentation

if TYPE_CHECKING:
    from pathlib import Path

TUNINGS = get_args(Tuning)
TRAINED = ["upper", "lora", "adalora", "ia3", "full"]


def texts_of(tiny_bert: Path, shop, tuning: Tuning) -> TrainableTexts:
    encoder = TextEncoder.pretrained(EncoderConfig(model=str(tiny_bert), max_tokens=24))
    texts = item_texts(shop.catalog).unique(maintain_order=True).to_list()
    return TrainableTexts(encoder, texts, encoder.token_states(texts), tuning)


def train(texts: TrainableTexts) -> None:
    """Train two steps, with dropout, towards zero vectors of the first texts."""
    # One of lora's two matrices starts at zero, so the other has a gradient from the second step on.
    weights = texts.trainable(2)
    rate = {"adalora": 0.05, "ia3": 0.5}.get(texts.tuning)  # what starts at zero or one moves little in two plain steps
    optimizer = torch.optim.SGD(weights, lr=1e-2) if rate is None else torch.optim.Adam(weights, lr=rate)
    texts.encoder.train()
    for step in range(2):
        optimizer.zero_grad()
        texts.encode(np.arange(8)).pow(2).sum().backward()
        optimizer.step()
        texts.after_step(step)


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
    assert len(opened["adalora"]) == 3 * 2 * 3  # and the singular values
    assert all("lora_" in name for name in opened["lora"] | opened["adalora"])
    assert len(opened["ia3"]) == 3 * 3  # layers; key, value and the feed-forward states
    assert all("ia3_" in name for name in opened["ia3"])
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
    assert not any(isinstance(module, BaseTunerLayer) for module in encoder.modules())
    assert not any("lora" in name or "ia3" in name for name in encoder.state_dict())
    strings = item_texts(shop.catalog).unique(maintain_order=True).to_list()
    vectors = encoder.pool(encoder.token_states(strings))
    assert np.allclose(vectors, texts.pooled, atol=1e-2)
    back = TextEncoder.from_files(encoder.to_files())
    assert back.fingerprint == encoder.fingerprint
    assert np.array_equal(back.pool(back.token_states(strings)), vectors)


class TestAdversarialSteps:
    @pytest.mark.parametrize("tuning", TRAINED)
    def test_a_step_of_the_given_length_raises_the_loss(self, tiny_bert: Path, shop, tuning: Tuning) -> None:
        texts = texts_of(tiny_bert, shop, tuning)
        texts.adversarial = 0.05
        texts.trainable()
        rows = np.arange(8)

        def loss() -> torch.Tensor:
            return texts.encode(rows)[:, :4].pow(2).sum()

        plain = loss()
        plain.backward()
        entered = texts._entered
        assert entered is not None
        mask = texts._inputs.mask[..., None]  # type: ignore[union-attr]
        with texts.moved():
            moved = loss()
            step = texts._step
            assert step is not None
            moved.backward()
        assert moved.item() > plain.item()
        lengths = [torch.linalg.vector_norm(part.detach() * mask, dim=(1, 2)) for part in (step, entered)]
        assert torch.allclose(lengths[0], 0.05 * lengths[1], rtol=1e-4)
        assert loss().item() == pytest.approx(plain.item(), rel=1e-4)  # the next batch is as it was

    def test_both_losses_have_a_gradient(self, tiny_bert: Path, shop) -> None:
        gradients = []
        for adversarial in (0.0, 0.05):
            texts = texts_of(tiny_bert, shop, "upper")
            texts.adversarial = adversarial
            weight = texts.trainable()[0]
            texts.encode(np.arange(8)).pow(2).sum().backward()
            if adversarial:
                with texts.moved():
                    texts.encode(np.arange(8)).pow(2).sum().backward()
            assert weight.grad is not None
            gradients.append(weight.grad.norm().item())
        assert gradients[1] > 1.5 * gradients[0]


class TestAugmentation:
    def of(self, texts: TrainableTexts, shop, **config: float) -> Augmentation:
        strings = item_texts(shop.catalog).unique(maintain_order=True).to_list()
        found = Augmentation.of(texts.encoder, strings, AugmentConfig(**config), ())
        assert found is not None
        return found

    @pytest.mark.parametrize("tuning", TRAINED)
    def test_training_sees_changed_texts_and_refresh_plain_ones(self, tiny_bert: Path, shop, tuning: Tuning) -> None:
        texts = texts_of(tiny_bert, shop, tuning)
        texts.augmentation = self.of(texts, shop, word_drop=0.4)
        texts.trainable()
        torch.manual_seed(0)
        vectors = texts.encode(np.arange(20)).detach().numpy()
        assert not np.allclose(vectors, texts.pooled[:20], atol=1e-2)
        before = texts.pooled.copy()
        texts.refresh()
        assert np.allclose(texts.pooled, before, atol=1e-2)

    @pytest.mark.parametrize("tuning", ["upper", "lora"])
    def test_a_reworded_text_has_the_vector_of_its_words(self, tiny_bert: Path, shop, tuning: Tuning) -> None:
        texts = texts_of(tiny_bert, shop, tuning)
        strings = item_texts(shop.catalog).unique(maintain_order=True).to_list()
        other = "quite another thing with many more words than the first one had"
        texts.augmentation = Augmentation(
            texts.encoder, strings, AugmentConfig(), lambda text, _: other if text in (strings[1], strings[3]) else None
        )
        vectors = texts.encode(np.arange(5)).detach().numpy()
        wanted = texts.encoder.pool(texts.encoder.token_states([other]))
        assert np.allclose(vectors[[1, 3]], wanted, atol=1e-2)
        assert np.allclose(vectors[[0, 2, 4]], texts.pooled[[0, 2, 4]], atol=1e-2)

    def test_the_same_seed_draws_the_same_changes(self, tiny_bert: Path, shop) -> None:
        texts = texts_of(tiny_bert, shop, "upper")
        texts.augmentation = self.of(texts, shop, word_drop=0.3, synonyms=0.5)
        drawn = []
        for seed in (1, 1, 2):
            torch.manual_seed(seed)
            drawn.append(texts.encode(np.arange(20)).detach().numpy())
        assert np.array_equal(drawn[0], drawn[1])
        assert not np.allclose(drawn[0], drawn[2], atol=1e-2)
