"""Batches, copies with words left out, and the contrastive loss."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from features.text.intents.config import IntentConfig
from features.text.intents.tuning import batches, contrastive_loss, words_left_out


@pytest.mark.parametrize("size", [4, 16, 64])
def test_each_row_is_in_one_batch_with_others_of_its_intent(size: int) -> None:
    labels = np.repeat(np.arange(6), [1, 2, 3, 8, 20, 41])
    found = list(batches(labels, size, np.random.default_rng(0)))
    assert sorted(np.concatenate(found).tolist()) == list(range(75))
    assert all(size <= len(batch) < size + 4 for batch in found[:-1])
    paired = sum(int((labels[batch] == labels[row]).sum() > 1) for batch in found for row in batch)
    assert paired >= 72  # the intent of one text, and at most two rests


def test_copies_keep_the_order_and_at_least_one_word() -> None:
    texts = ["where is my new card", "refund", "我的订单在哪里"]
    some = words_left_out(texts * 50, 0.4, np.random.default_rng(0))
    for text, copy in zip(texts * 50, some, strict=True):
        words = iter(text.split())
        assert copy
        assert all(word in words for word in copy.split())
    assert 0.5 < np.mean([len(copy.split()) for copy in some[::3]]) / 5 < 0.7
    assert words_left_out(texts, 0.0, np.random.default_rng(0)) == texts


@pytest.mark.parametrize(("examples", "copies"), [(10, 3), (462, 3), (847, 2), (1_600, 1), (1_700, 0), (10_000, 0)])
def test_copies_fill_the_passes(examples: int, copies: int) -> None:
    assert IntentConfig(passes=10_000, epochs=3, copies=3).copies_of(examples) == copies


def test_the_contrastive_loss_draws_intents_apart() -> None:
    labels = torch.tensor([0, 0, 1, 1])
    apart, mixed = torch.eye(2)[[0, 0, 1, 1]], torch.eye(2)[[0, 1, 0, 1]]
    assert float(contrastive_loss(apart, labels, 0.1)) < 0.01
    assert float(contrastive_loss(mixed, labels, 0.1)) > 5
    assert float(contrastive_loss(torch.eye(3), torch.tensor([0, 1, 2]), 0.1)) == 0  # each is alone


def test_the_contrastive_loss_is_that_of_the_paper() -> None:
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(5, 4))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    labels, each = np.array([0, 1, 0, 0, 2]), []
    for i in (0, 2, 3):
        others = [j for j in range(5) if j != i]
        below = np.log(sum(np.exp(vectors[i] @ vectors[j] / 0.2) for j in others))
        each.append(-np.mean([vectors[i] @ vectors[j] / 0.2 - below for j in others if labels[j] == labels[i]]))
    found = contrastive_loss(torch.from_numpy(vectors), torch.from_numpy(labels), 0.2)
    assert float(found) == pytest.approx(np.mean(each))
