"""The cross-encoder in numpy says what that of torch says."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from features.histories import Histories
from features.text import item_texts
from ranking.cross_encoder import CrossEncoder
from ranking.cross_encoder_config import CrossEncoderConfig
from ranking.numpy_cross_encoder import NumpyCrossEncoder
from retrieval.encoder import TextEncoder
from retrieval.encoder_config import EncoderConfig
from retrieval.token_states import ItemTokens, TokenStates

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
def tokens(tiny_bert: Path, shop) -> ItemTokens:
    encoder = TextEncoder.pretrained(EncoderConfig(model=str(tiny_bert), max_tokens=24))
    states = encoder.keep(item_texts(shop.catalog).to_list())
    return ItemTokens(TokenStates.from_files(states.to_files()), np.arange(len(shop.catalog)))


def test_the_same_logits(model: CrossEncoder, tokens: ItemTokens, shop) -> None:
    users = Histories.of_users(shop.log, np.array([3, -1, 11, 20, 31]), shop.log.end)
    users = users.then(Histories.of_baskets([[], [5], [], [1, 1, 2], []], shop.log.end))
    rows = np.random.default_rng(0).integers(0, 40, (5, 7))
    rows[2, 3:] = rows[4, :] = -1
    expected = model.logits(users, rows, tokens)
    found = NumpyCrossEncoder.from_files(model.to_files()).logits(users, rows, tokens)
    assert found.dtype == np.float32
    assert np.allclose(found, expected, atol=1e-5, equal_nan=True)
    assert np.nanstd(expected) > 0.01


def test_candidates_that_share_a_text_share_its_logit(model: CrossEncoder, tokens: ItemTokens, shop) -> None:
    users = Histories.of_baskets([[5, 9], [1]], shop.log.end)
    rows = np.array([[7, 30, 3, 7, 31], [31, 2, -1, 30, 3]])
    text_of = tokens.text_of.copy()
    text_of[[30, 31]] = text_of[7]
    shared = ItemTokens(tokens.states, text_of)
    reader = NumpyCrossEncoder.from_files(model.to_files())
    found = reader.logits(users, rows, shared)
    assert np.allclose(found, model.logits(users, rows, shared), atol=1e-5, equal_nan=True)
    assert found[0, 0] == found[0, 1] == found[0, 4] != found[0, 2]


def test_layers_of_another_kind_are_left_to_torch(model: CrossEncoder) -> None:
    files = model.to_files()
    assert NumpyCrossEncoder.can(files)
    about = json.loads(files["cross_encoder.json"])
    about["model"]["hidden_act"] = "relu"
    assert not NumpyCrossEncoder.can({**files, "cross_encoder.json": json.dumps(about).encode()})
