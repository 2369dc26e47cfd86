"""The cross-encoder against a slow plain twin that reads each candidate alone, its files, and what it learns."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

from features.data.histories import Histories
from features.text.encoder import TextEncoder
from features.text.encoder_config import EncoderConfig
from features.text.template import item_texts
from features.text.token_states import ItemTokens, TokenStates
from ranking.cross_encoder import trainer as fitting
from ranking.cross_encoder.config import CrossEncoderConfig
from ranking.cross_encoder.model import CrossEncoder
from ranking.cross_encoder.trainer import TrainingPairs, fit_cross_encoder, sample
from retrieval.candidates import Candidates
from retrieval.two_tower.user_encoders import buckets

if TYPE_CHECKING:
    from pathlib import Path

CONFIG = CrossEncoderConfig(history_items=4, item_tokens=6, batch_users=3)
B, C = 7, 5


@pytest.fixture(scope="module")
def encoder(tiny_bert: Path) -> TextEncoder:
    return TextEncoder.pretrained(EncoderConfig(model=str(tiny_bert), max_tokens=24, upper_layers=2))


@pytest.fixture(scope="module")
def tokens(encoder: TextEncoder, shop) -> ItemTokens:
    return ItemTokens(encoder.token_states(item_texts(shop.catalog).to_list()), np.arange(len(shop.catalog)))


@pytest.fixture
def model(encoder: TextEncoder) -> CrossEncoder:
    """With weights everywhere, also where a fresh one has zeros."""
    torch.manual_seed(1)
    model = CrossEncoder.upon(encoder, CONFIG)
    for module in (model.age, model.count, model.head):
        torch.nn.init.normal_(module.weight, std=0.5)
    return model.eval()


@pytest.fixture(scope="module")
def users(shop) -> Histories:
    """Seven users; the second has no history, the third one thing in a basket."""
    log = shop.log
    known = Histories.of_users(log, np.array([3, -1, -1, 11, 20, 31, 59]), log.end)
    return known.then(Histories.of_baskets([[5] if i == 2 else [] for i in range(B)], log.end))


@pytest.fixture(scope="module")
def rows() -> np.ndarray:
    rows = np.random.default_rng(0).integers(0, 40, (B, C))
    rows[3, 2:] = rows[4, :] = -1
    return rows


@torch.inference_mode()
def alone(model: CrossEncoder, users: Histories, row: int, tokens: ItemTokens) -> float:
    """One user's logit of one candidate: all tokens in one row, and a mask that says which token sees which."""
    recent = users.recent_items(len(tokens.text_of), CONFIG.history_items)
    parts = []
    for item, age, count in zip(recent.rows[0], recent.age[0], recent.count[0], strict=True):
        if item >= 0:
            states, _ = tokens.padded(np.array([item]), CONFIG.item_tokens)
            parts.append(states[0] + model.age(buckets(np.array([age]))) + model.count(buckets(np.array([count]))))
    own, _ = tokens.padded(np.array([row]), CONFIG.item_tokens)
    past = sum(map(len, parts))
    hidden = torch.cat([*parts, own[0]])[None]  # (1, L, width)
    sees = torch.ones(hidden.shape[1], hidden.shape[1], dtype=torch.bool)
    sees[:past, past:] = False  # the history does not know the candidate
    bias = torch.zeros(sees.shape).masked_fill(~sees, torch.finfo(torch.float32).min)
    for layer in model.layers:
        out = layer(hidden, attention_mask=bias[None, None])
        hidden = out[0] if isinstance(out, tuple) else out
    return float(model.head(hidden[0, past:].mean(0)))


def test_reads_as_if_each_candidate_stood_alone(model, users, rows, tokens):
    found = model.logits(users, rows, tokens)
    for b in range(B):
        for c in range(C):
            if rows[b, c] >= 0:
                assert found[b, c] == pytest.approx(alone(model, users.take(np.array([b])), rows[b, c], tokens), abs=2e-4)
    assert found[rows >= 0].std() > 0.01  # it does tell them apart


def test_nan_exactly_where_padded(model, users, rows, tokens):
    assert np.array_equal(np.isnan(model.logits(users, rows, tokens)), rows < 0)


def test_neither_padding_nor_company_changes_a_logit(model, users, rows, tokens):
    found = model.logits(users, rows, tokens)
    wide = model.logits(users, np.pad(rows, ((0, 0), (0, 3)), constant_values=-1), tokens)
    assert np.allclose(wide[:, :C], found, atol=2e-4, equal_nan=True)
    order = np.array([5, 0, 6])
    assert np.allclose(model.logits(users.take(order), rows[order], tokens), found[order], atol=2e-4, equal_nan=True)


def test_candidates_keep_their_places(model, users, rows, tokens):
    turned = model.logits(users, rows[:, ::-1].copy(), tokens)
    assert np.allclose(turned[:, ::-1], model.logits(users, rows, tokens), atol=2e-4, equal_nan=True)


def test_the_history_counts_and_so_does_its_age(model, users, rows, tokens):
    found = model.logits(users, rows, tokens)
    other = model.logits(users.take(np.array([5, 1, 2, 3, 4, 0, 6])), rows, tokens)
    assert np.abs(found[0] - other[0]).max() > 1e-3
    older = Histories(users.offsets, users.item, users.age + 300, users.event, users.weight, users.price, users.now)
    assert np.abs(model.logits(older, rows, tokens)[0] - found[0]).max() > 1e-3


def test_texts_of_two_items_that_share_one_are_read_alike(model, users, tokens):
    swapped = ItemTokens(tokens.states, np.roll(tokens.text_of, 1))
    rows = np.tile(np.arange(3), (B, 1))
    basket = Histories.of_baskets([[7]] * B, 0)
    moved = Histories.of_baskets([[8]] * B, 0)
    assert np.array_equal(model.logits(basket, rows, tokens), model.logits(moved, rows + 1, swapped))


def test_comes_back_from_its_files(model, users, rows, tokens):
    again = CrossEncoder.from_files(model.to_files())
    assert np.array_equal(again.logits(users, rows, tokens), model.logits(users, rows, tokens), equal_nan=True)
    assert again.config == model.config
    assert again.to_files() == model.to_files()


def test_two_fresh_ones_are_the_same(encoder):
    assert CrossEncoder.upon(encoder, CONFIG).to_files() == CrossEncoder.upon(encoder, CONFIG).to_files()


def test_its_layers_are_its_own(encoder, tokens, users, rows, tmp_path):
    """Training it must not change the encoder, whose vectors are in use."""
    before = encoder.to_files()
    fit_cross_encoder(CrossEncoder.upon(encoder, CONFIG), toy(np.arange(8)), tokens, tmp_path, 0)
    assert encoder.to_files() == before


def toy(seeds: np.ndarray) -> TrainingPairs:
    """Made-up users with three things of one category; of twenty candidates they buy those of that category."""
    rng = np.random.default_rng(seeds)
    favourite = rng.integers(0, 4, len(seeds) * 12)
    baskets = [(10 * category + rng.permutation(10)[:3]).tolist() for category in favourite]
    rows = np.array([rng.permutation(40)[:20] for _ in baskets])
    scores = np.zeros(rows.shape, np.float32)
    return TrainingPairs(Candidates(Histories.of_baskets(baskets, 0), rows, scores), rows // 10 == favourite[:, None])


def telling_tokens() -> ItemTokens:
    """Two tokens an item, which say the category, blurred: random weights make nothing so clear of words."""
    rng = np.random.default_rng(0)
    items = np.repeat(rng.normal(size=(4, 32)), 10, axis=0) + 0.3 * rng.normal(size=(40, 32))
    return ItemTokens(TokenStates(np.arange(0, 81, 2), np.repeat(items, 2, axis=0).astype(np.float16)), np.arange(40))


def test_learns_that_people_buy_what_reads_like_their_history(encoder, tmp_path):
    tokens = telling_tokens()
    config = CONFIG.model_copy(update={"users": 240, "batch_users": 8, "epochs": 4, "lr": 2e-3, "head_lr": 1e-2})
    torch.manual_seed(0)
    model = CrossEncoder.upon(encoder, config)
    later = toy(np.array([99] * 10))
    curve = fit_cross_encoder(model, toy(np.arange(20)), tokens, tmp_path, 0)
    logits = model.logits(later.candidates.users, later.candidates.rows, tokens)
    assert len(curve) == 4
    assert curve[-1] < curve[0]
    untrained = CrossEncoder.upon(encoder, config).logits(later.candidates.users, later.candidates.rows, tokens)
    assert roc_auc_score(later.labels.ravel(), untrained.ravel()) == pytest.approx(0.5)
    assert roc_auc_score(later.labels.ravel(), logits.ravel()) > 0.8


def test_goes_on_where_it_was_cut_off(encoder, tokens, tmp_path, monkeypatch):
    config = CONFIG.model_copy(update={"users": 20, "epochs": 3})

    def fit(folder: str) -> tuple[list[float], dict[str, bytes]]:
        model = CrossEncoder.upon(encoder, config)
        curve = fit_cross_encoder(model, toy(np.arange(3)), tokens, tmp_path / folder, 5)
        return curve, model.to_files()

    whole = fit("whole")
    epochs, original = [], fitting._epoch

    def cut(model, optimizer, work):
        epochs.append(work.first_step)
        if len(epochs) == 2:
            raise KeyboardInterrupt
        return original(model, optimizer, work)

    monkeypatch.setattr(fitting, "_epoch", cut)
    with pytest.raises(KeyboardInterrupt):
        fit("cut")
    assert fit("cut") == whole
    assert len(epochs) == 4  # the first epoch was not run again


def test_draws_bought_and_others_of_each_user_without_repeating():
    pairs = toy(np.arange(2))
    pairs.labels[0] = False
    pairs.candidates.rows[1, 10:] = -1
    rows, labels = sample(pairs, 3, 4, np.random.default_rng(0))
    assert rows.shape == labels.shape == (len(pairs.labels), 7)
    assert not labels[rows < 0].any()
    assert not labels[0].any()
    assert (labels.sum(1)[2:] == 3).all()
    for mine, chosen, bought, all_rows in zip(rows, labels, pairs.labels, pairs.candidates.rows, strict=True):
        real = mine[mine >= 0]
        assert len(set(real.tolist())) == len(real)
        assert set(mine[chosen].tolist()) <= set(all_rows[bought].tolist())
        assert set(mine[~chosen & (mine >= 0)].tolist()) <= set(all_rows[~bought].tolist())


def test_nobody_to_learn_from_is_no_error(encoder, tokens, tmp_path):
    pairs = toy(np.arange(1))
    nothing = TrainingPairs(pairs.candidates, np.zeros_like(pairs.labels))
    model = CrossEncoder.upon(encoder, CONFIG)
    assert np.isnan(fit_cross_encoder(model, nothing, tokens, tmp_path, 0)).all()
    assert np.isfinite(model.logits(pairs.candidates.users, pairs.candidates.rows, tokens)).all()
