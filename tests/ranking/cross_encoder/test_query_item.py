"""The cross-encoder over queries and passages: against a plain twin, its graph, its files, and what it learns."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score
from torch.nn import functional

from features.data.histories import Histories
from features.onnx.lower_layers import lower_layer_files
from features.onnx.token_states import OnnxTokenStates
from features.text.encoder import TextEncoder
from features.text.encoder_config import EncoderConfig
from features.text.template import item_texts
from features.text.token_states import ItemTokens, TokenStates
from ranking.cross_encoder import trainer as fitting
from ranking.cross_encoder.config import CrossEncoderConfig, QuestionPairConfig
from ranking.cross_encoder.export import cross_encoder_files
from ranking.cross_encoder.model import CrossEncoder
from ranking.cross_encoder.onnx_model import OnnxCrossEncoder
from ranking.cross_encoder.query_item import QueryTokens
from ranking.cross_encoder.trainer import GradedPairs, fit_cross_encoder

if TYPE_CHECKING:
    from pathlib import Path

CONFIG = QuestionPairConfig(layers=2, query_tokens=5, passage_tokens=7, batch_queries=3, epochs=3)
QUERIES = ("hot dog buns", "milk", "something warm to drink", "", "shampoo for dry hair please and thank you")


@pytest.fixture(scope="module", params=["part", "all"])
def encoder(request: pytest.FixtureRequest, tiny_bert: Path) -> TextEncoder:
    """One that keeps states of lower layers, and one whose layers all read the pair."""
    whole = TextEncoder.pretrained(EncoderConfig(model=str(tiny_bert), max_tokens=24))
    return whole.with_upper_layers(1 if request.param == "part" else 99)


@pytest.fixture(scope="module")
def passages(encoder: TextEncoder, shop) -> ItemTokens:
    return ItemTokens.of_texts(encoder.token_states(item_texts(shop.catalog).to_list()))


@pytest.fixture(scope="module")
def queries(encoder: TextEncoder) -> QueryTokens:
    return QueryTokens.of(encoder.token_states(QUERIES, kind="query"))


@pytest.fixture(scope="module")
def rows() -> np.ndarray:
    rows = np.random.default_rng(0).integers(0, 40, (len(QUERIES), 6))
    rows[1, 2:] = rows[2, :] = -1
    return rows


@pytest.fixture
def model(encoder: TextEncoder) -> CrossEncoder:
    """With weights everywhere, also where a fresh one has zeros."""
    torch.manual_seed(1)
    model = CrossEncoder.upon(encoder, CONFIG)
    torch.nn.init.normal_(model.head.weight, std=0.5)
    return model.eval()


@torch.inference_mode()
def alone(model: CrossEncoder, query: torch.Tensor, passage: torch.Tensor) -> float:
    """The logit of one pair: all tokens in one row, and a mask that says which token sees which."""
    past = len(query)
    hidden = torch.cat([query, passage])[None]  # (1, L, width)
    bias = torch.zeros(hidden.shape[1], hidden.shape[1])
    bias[:past, past:] = torch.finfo(torch.float32).min  # the query does not know the passage
    bias[past:, :past] = float(model.attention or 0)
    for layer in model.layers:
        out = layer(hidden, attention_mask=bias[None, None])
        hidden = out[0] if isinstance(out, tuple) else out
    left, right = hidden[0, :past].mean(0), hidden[0, past:].mean(0)
    a, b = functional.normalize(left, dim=0), functional.normalize(right, dim=0)
    scale = len(a) ** 0.5
    return float(model.head(torch.cat([right, scale * a * b, scale * (a - b).abs(), (a @ b)[None] - 0.5])))


def test_scores_as_if_each_pair_stood_alone(model, queries, passages, rows):
    found = model.logits(queries, rows, passages)
    assert np.array_equal(np.isnan(found), rows < 0)
    for b, c in np.argwhere(rows >= 0):
        query, _ = queries.states.padded(np.array([b]), CONFIG.query_tokens)
        passage, _ = passages.padded(np.array([rows[b, c]]), CONFIG.passage_tokens)
        assert found[b, c] == pytest.approx(alone(model, query[0], passage[0]), abs=2e-4)
    assert found[rows >= 0].std() > 0.01


def test_the_grid_and_the_batches_by_length_agree(model, queries, passages, rows, monkeypatch):
    expected = model.logits(queries, rows, passages)
    monkeypatch.setattr("ranking.cross_encoder.model.TOKENS_A_BATCH", {"cpu": 1})
    assert np.allclose(model.logits(queries, rows, passages), expected, atol=2e-4, equal_nan=True)


def test_the_graph_says_the_same(model, queries, passages, rows):
    served = OnnxCrossEncoder.from_files(cross_encoder_files(model))
    found = served.logits(queries, rows, passages)
    assert served.config == CONFIG
    assert found.dtype == np.float32
    assert np.allclose(found, model.logits(queries, rows, passages), atol=1e-4, equal_nan=True)


@pytest.mark.parametrize("texts", [list(QUERIES), ["milk"], []], ids=["many", "one", "none"])
def test_lower_layers_as_a_graph(encoder, texts):
    served = OnnxTokenStates.from_files(lower_layer_files(encoder, "query"))
    found, expected = served.token_states(texts), encoder.token_states(texts, kind="query")
    assert np.array_equal(found.offsets, expected.offsets)
    assert np.allclose(found.states, np.asarray(expected.states), atol=2e-3)
    assert found.states.dtype == expected.states.dtype


def test_comes_back_from_its_files(model, queries, passages, rows):
    again = CrossEncoder.from_files(model.to_files())
    assert np.array_equal(again.logits(queries, rows, passages), model.logits(queries, rows, passages), equal_nan=True)
    assert again.config == model.config


def test_all_layers_read_the_pair_where_fewer_exist(encoder):
    whole = encoder.with_upper_layers(99)
    assert whole.n_lower == 0
    assert len(CrossEncoder.upon(whole, CONFIG).layers) == len(encoder.model.encoder.layer)
    assert encoder.config.upper_layers + encoder.n_lower == len(encoder.model.encoder.layer)  # the shared one is unchanged


def test_a_fresh_one_orders_nearly_as_the_encoder_does(encoder, queries, passages):
    shut = CrossEncoder.upon(encoder, CONFIG.model_copy(update={"attention": -30.0, "query_tokens": 24, "passage_tokens": 24}))
    rows = np.tile(np.arange(40), (len(QUERIES), 1))
    a, b = encoder.pool(queries.states), encoder.pool(passages.states)
    cosine = (a / np.linalg.norm(a, axis=1, keepdims=True)) @ (b / np.linalg.norm(b, axis=1, keepdims=True)).T
    assert np.allclose(shut.logits(queries, rows, passages), 10 * (cosine[:, :40] - 0.5), atol=1e-3)


def test_a_history_needs_the_cross_encoder_of_histories(model, encoder, queries, passages, rows):
    with pytest.raises(TypeError, match="Histories cannot be scored with a QuestionPairConfig"):
        model.logits(Histories.of_baskets([[1]] * len(QUERIES), 0), rows, passages)
    with pytest.raises(TypeError, match="QueryTokens cannot be scored with a CrossEncoderConfig"):
        CrossEncoder.upon(encoder, CrossEncoderConfig()).logits(queries, rows, passages)


def toy(seed: int, n: int = 60) -> tuple[GradedPairs, ItemTokens]:
    """Queries and passages of two tokens; a passage fits if it is of the category that the query's first number names."""
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(0).normal(size=(2, 4, 32))
    category = rng.integers(0, 4, n)

    def states(side: int, of: np.ndarray) -> TokenStates:
        values = np.repeat(centres[side, of], 2, axis=0) + 0.3 * rng.normal(size=(2 * len(of), 32))
        return TokenStates(np.arange(0, 2 * len(of) + 1, 2), values.astype(np.float16))

    passages = ItemTokens.of_texts(states(1, np.repeat(np.arange(4), 10)))
    query, rows = np.repeat(np.arange(n), 8), rng.integers(0, 40, n * 8)
    labels = (rows // 10 == category[query]).astype(np.float32)
    return GradedPairs(QueryTokens.of(states(0, category)), query, rows, labels, np.ones(n * 8, dtype=np.float32)), passages


def judge(model: CrossEncoder, pairs: GradedPairs, passages: ItemTokens) -> float:
    logits = model.logits(pairs.queries, pairs.rows.reshape(-1, 8), passages)
    return float(roc_auc_score(pairs.labels, logits.ravel()))


def test_learns_which_passage_fits_which_query(encoder, tmp_path):
    config = CONFIG.model_copy(update={"epochs": 6, "lr": 2e-3, "head_lr": 1e-2})
    torch.manual_seed(0)
    model = CrossEncoder.upon(encoder, config)
    train, passages = toy(1)
    later, _ = toy(2)
    before = judge(model, later, passages)
    curve = fit_cross_encoder(model, train, passages, tmp_path, 0)
    assert curve[-1] < curve[0]
    assert judge(model, later, passages) > max(0.85, before + 0.1)


def test_goes_on_where_it_was_cut_off(encoder, tmp_path, monkeypatch):
    pairs, passages = toy(1, 12)

    def fit(folder: str) -> tuple[list[float], dict[str, bytes]]:
        model = CrossEncoder.upon(encoder, CONFIG)
        return fit_cross_encoder(model, pairs, passages, tmp_path / folder, 5), model.to_files()

    whole = fit("whole")
    original, epochs = fitting._epoch, []

    def cut(model, optimizer, work):
        epochs.append(work.first_step)
        if len(epochs) == 2:
            raise KeyboardInterrupt
        return original(model, optimizer, work)

    monkeypatch.setattr(fitting, "_epoch", cut)
    with pytest.raises(KeyboardInterrupt):
        fit("cut")
    assert fit("cut") == whole
    assert len(epochs) == 4


def test_samples_each_query_within_its_bounds():
    pairs, _ = toy(3)
    pairs = replace(pairs, weights=np.where(pairs.query == 4, 0, pairs.weights).astype(np.float32))
    assert pairs.useful.tolist() == [i for i in range(60) if i != 4]
    lefts = np.array([7, 2, 50])
    batch = pairs.batch(lefts, CONFIG, np.random.default_rng(0))
    for i, left in enumerate(lefts):
        mine = pairs.query == left
        real = batch.rows[i] >= 0
        grades = dict(zip(pairs.rows[mine].tolist(), pairs.labels[mine].tolist(), strict=True))
        assert [grades[row] for row in batch.rows[i][real].tolist()] == batch.labels[i][real].tolist()
        assert (batch.labels[i] > 0).sum() == min(CONFIG.positives, (pairs.labels[mine] > 0).sum())
        assert (batch.labels[i][real] == 0).sum() == min(CONFIG.negatives, (pairs.labels[mine] == 0).sum())


def test_weights_count_in_the_loss():
    pairs, _ = toy(3)
    batch = pairs.batch(np.arange(5), CONFIG, np.random.default_rng(0))
    logits = torch.randn(batch.rows.shape, generator=torch.Generator().manual_seed(0))
    twice = replace(batch, weights=2 * np.ones(batch.rows.shape, dtype=np.float32))
    assert twice.loss(logits) == pytest.approx(2 * float(batch.loss(logits)))
