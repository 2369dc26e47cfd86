"""The towers of search: texts as the encoder reads them, queries by layers of their own, and the same as a graph."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from features.text.encoder import TextEncoder
from features.text.encoder_config import EncoderConfig
from features.text.encoder_files import SentenceConfig
from retrieval.query_tower.export import query_files
from retrieval.query_tower.model import QueryTower
from retrieval.query_tower.onnx_model import QueryEncoder

TEXTS = ["green tea", "", "x" * 2_000, "rye bread acme bakery of the house with butter", "lone \ud800 surrogate", "お茶"]
SENTENCE = SentenceConfig(query_prompt="sweet ", passage_prompt="the ")


@pytest.fixture(params=[1, 2])
def encoder(request: pytest.FixtureRequest, tiny_bert: Path) -> TextEncoder:
    read = TextEncoder.pretrained(EncoderConfig(model=str(tiny_bert), max_tokens=24, upper_layers=request.param))
    return TextEncoder(read.model, read.tokenizer, read.config, SENTENCE).eval()


@pytest.fixture
def trained(encoder: TextEncoder) -> QueryTower:
    """Towers whose queries' side has learned something."""
    tower = QueryTower.upon(encoder)
    torch.manual_seed(4)
    with torch.no_grad():
        for weight in tower.queries.parameters():
            weight.add_(torch.randn_like(weight) * 0.2)
    return tower


def test_untrained_towers_read_as_the_encoder_does(encoder: TextEncoder) -> None:
    tower = QueryTower.upon(encoder)
    assert np.allclose(tower.vectors(encoder.token_states(TEXTS)), encoder.encode(TEXTS), atol=1e-5)
    queries = tower.vectors(encoder.token_states(TEXTS, kind="query"), queries=True)
    assert np.allclose(queries, encoder.encode(TEXTS, "query"), atol=1e-5)
    assert not np.allclose(queries, encoder.encode(TEXTS), atol=1e-2), "a query has a prompt of its own"


def test_training_moves_queries_and_leaves_texts_where_they_are(encoder: TextEncoder, trained: QueryTower) -> None:
    states, before = encoder.token_states(TEXTS), QueryTower.upon(encoder)
    assert trained.fingerprint == before.fingerprint
    assert np.array_equal(trained.vectors(states), before.vectors(states))
    assert not np.allclose(trained.vectors(states, queries=True), before.vectors(states, queries=True), atol=1e-2)
    assert {name.split(".")[0] for name, weight in trained.named_parameters() if weight.requires_grad} == {"queries"}


def test_other_weights_of_the_texts_have_another_fingerprint(encoder: TextEncoder) -> None:
    tower = QueryTower.upon(encoder)
    before = tower.fingerprint
    with torch.no_grad():
        next(tower.texts.parameters()).add_(0.01)
    assert tower.fingerprint != before


def test_come_back_from_their_files(encoder: TextEncoder, trained: QueryTower) -> None:
    files = trained.to_files()
    again, states = QueryTower.from_files(files), encoder.token_states(TEXTS)
    assert again.to_files() == files
    for queries in (False, True):
        assert np.array_equal(again.vectors(states, queries=queries), trained.vectors(states, queries=queries))


def test_the_graph_gives_the_vectors_and_states_of_torch(encoder: TextEncoder, trained: QueryTower) -> None:
    attention = encoder.model.config._attn_implementation
    onnx = QueryEncoder.from_files(query_files(encoder, trained))
    assert encoder.model.config._attn_implementation == attention
    states = encoder.token_states(TEXTS, kind="query")
    expected, found = trained.vectors(states, queries=True), onnx.encode(TEXTS)
    assert np.std(expected, axis=0).min() > 0.001
    assert np.allclose(found.vectors, expected, atol=1e-3)
    assert np.allclose([onnx.encode([text]).vectors[0] for text in TEXTS], expected, atol=1e-3), "a batch changes nothing"
    assert np.array_equal(found.states.offsets, states.offsets)
    assert found.states.states.dtype == np.float16
    assert np.allclose(np.asarray(found.states.states), np.asarray(states.states), atol=5e-3), "those of the lower layers"
