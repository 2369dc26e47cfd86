"""The cross-encoder's graph says what torch says."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from features.data.histories import Histories
from features.text.encoder import TextEncoder
from features.text.encoder_config import EncoderConfig
from features.text.template import item_texts
from features.text.token_states import ItemTokens, TokenStates
from ranking.cross_encoder.config import CrossEncoderConfig
from ranking.cross_encoder.export import cross_encoder_files
from ranking.cross_encoder.model import CrossEncoder
from ranking.cross_encoder.onnx_model import OnnxCrossEncoder

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module", params=[1, 2])
def model(request: pytest.FixtureRequest, tiny_bert: Path) -> CrossEncoder:
    """With weights everywhere, also where a fresh one has zeros."""
    encoder = TextEncoder.pretrained(EncoderConfig(model=str(tiny_bert), max_tokens=24, upper_layers=request.param))
    torch.manual_seed(1)
    model = CrossEncoder.upon(encoder, CrossEncoderConfig(history_items=5, item_tokens=6, batch_users=3))
    for module in (model.age, model.count, model.head):
        torch.nn.init.normal_(module.weight, std=0.5)
    return model.eval()


@pytest.fixture(scope="module")
def answering(model: CrossEncoder) -> OnnxCrossEncoder:
    return OnnxCrossEncoder.from_files(cross_encoder_files(model))


@pytest.fixture(scope="module")
def tokens(tiny_bert: Path, shop) -> ItemTokens:
    encoder = TextEncoder.pretrained(EncoderConfig(model=str(tiny_bert), max_tokens=24))
    states = encoder.token_states(item_texts(shop.catalog).to_list())
    return ItemTokens(TokenStates.from_files(states.to_files()), np.arange(len(shop.catalog)))


def test_the_same_logits(model: CrossEncoder, answering: OnnxCrossEncoder, tokens: ItemTokens, shop) -> None:
    users = Histories.of_users(shop.log, np.array([3, -1, 11, 20, 31, -1]), shop.log.end)
    users = users.then(Histories.of_baskets([[], [5], [], [1, 1, 2], [], []], shop.log.end))
    rows = np.random.default_rng(0).integers(0, 40, (6, 7))
    rows[2, 3:] = rows[3, 1:] = rows[4, :] = -1
    expected = model.logits(users, rows, tokens)
    found = answering.logits(users, rows, tokens)
    assert found.dtype == np.float32
    assert np.allclose(found, expected, atol=1e-4, equal_nan=True)
    assert np.nanstd(expected) > 0.01


def test_candidates_that_share_a_text_share_its_logit(model: CrossEncoder, answering: OnnxCrossEncoder, tokens: ItemTokens, shop) -> None:
    users = Histories.of_baskets([[5, 9], [1]], shop.log.end)
    rows = np.array([[7, 30, 3, 7, 31], [31, 2, -1, 30, 3]])
    text_of = tokens.text_of.copy()
    text_of[[30, 31]] = text_of[7]
    shared = ItemTokens(tokens.states, text_of)
    found = answering.logits(users, rows, shared)
    assert np.allclose(found, model.logits(users, rows, shared), atol=1e-4, equal_nan=True)
    assert found[0, 0] == found[0, 1] == found[0, 4] != found[0, 2]


def test_texts_without_tokens(model: CrossEncoder, answering: OnnxCrossEncoder, tokens: ItemTokens, shop) -> None:
    states = tokens.states
    none = ItemTokens(TokenStates(np.append(states.offsets, states.offsets[-1]), np.asarray(states.states)), tokens.text_of.copy())
    none.text_of[[3, 8]] = len(states)
    users = Histories.of_baskets([[3], [3, 4]], shop.log.end)
    rows = np.array([[8, 1], [2, 3]])
    assert np.allclose(answering.logits(users, rows, none), model.logits(users, rows, none), atol=1e-4)
