"""The cross-encoder over a sentence and a term in it: places, graph, files, and what it learns."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch

from features.errors import DataError
from features.text.encoder import TextEncoder
from features.text.encoder_config import EncoderConfig
from ranking.cross_encoder.aspect_polarity import AspectPolarity, LabelledMentions, fit_aspect_polarity
from ranking.cross_encoder.config import SentenceTermConfig
from ranking.cross_encoder.export import cross_encoder_files
from ranking.cross_encoder.mention_pairs import MentionPairs, MentionTokens
from ranking.cross_encoder.model import CrossEncoder
from ranking.cross_encoder.onnx_model import OnnxCrossEncoder
from ranking.cross_encoder.trainer import _similar_together

CONFIG = SentenceTermConfig(layers=2, batch_sentences=4, epochs=25, lr=3e-3, head_lr=3e-2)
SENTENCES = pl.Series(["green tea and rye bread", "nothing here", "small red apple", "iced tea large"])
MENTIONS = pl.DataFrame({"sentence": [2, 0, 0, 3], "begin": [6, 6, 14, 0], "end": [15, 9, 23, 8]})  # red apple, tea, rye bread, iced tea


@pytest.fixture(scope="module", params=["part", "all"])
def encoder(request: pytest.FixtureRequest, tiny_bert: Path) -> TextEncoder:
    whole = TextEncoder.pretrained(EncoderConfig(model=str(tiny_bert), max_tokens=24))
    return whole.with_upper_layers(1 if request.param == "part" else 99)


def test_a_terms_tokens_are_those_of_its_place(encoder: TextEncoder) -> None:
    tokens = MentionTokens.of(encoder, SENTENCES, MENTIONS)
    assert len(tokens.sentences) == 3  # one sentence has no mention
    assert tokens.owner.tolist() == [1, 0, 0, 2]
    whole = encoder.token_states(SENTENCES.to_list())
    for mention, (sentence, first, count) in enumerate([(2, 2, 2), (0, 2, 1), (0, 6, 2), (3, 1, 2)]):  # after [CLS]; "and" is three letters
        start = whole.offsets[sentence] + first
        states, mask = tokens.terms.arrays(np.array([mention]), 8)
        assert mask.sum() == count
        np.testing.assert_array_equal(states[0][mask[0]], whole.states[np.arange(start, start + count)].astype(np.float32))
    assert tokens.rows(np.array([0, 1])).tolist() == [[1, 2], [0, -1]]


def test_a_prompt_moves_no_term(tiny_bert: Path) -> None:
    config = EncoderConfig(model=str(tiny_bert), max_tokens=24, passage_prompt="green tea ")
    prompted = TextEncoder.pretrained(config)
    tokens = MentionTokens.of(prompted, SENTENCES, MENTIONS)
    whole = prompted.token_states(SENTENCES.to_list())
    states, mask = tokens.terms.arrays(np.array([1]), 8)
    np.testing.assert_array_equal(states[0][mask[0]][0], whole.states[whole.offsets[0] + 4].astype(np.float32))


def test_a_term_behind_the_cut_is_read_from_the_whole_sentence(encoder: TextEncoder) -> None:
    text = pl.Series(["tea " * 60])
    tokens = MentionTokens.of(encoder, text, pl.DataFrame({"sentence": [0], "begin": [236], "end": [239]}))
    states, _ = tokens.terms.arrays(np.array([0]), 8)
    np.testing.assert_array_equal(states[0, 0], encoder.token_states(text.to_list()).states[np.array([0])][0].astype(np.float32))


def test_the_term_is_read_beside_its_sentence(encoder: TextEncoder) -> None:
    """A plain twin: one mention at a time, each layer over the sentence, and over the term with the sentence before it."""
    tokens = MentionTokens.of(encoder, SENTENCES, MENTIONS)
    model = _random(encoder).eval()
    rows = tokens.rows(np.arange(3))
    logits = model.logits(tokens.sentences, rows, tokens.terms)
    assert logits.shape == (*rows.shape, 3)
    assert np.isnan(logits[rows < 0]).all()
    with torch.inference_mode():
        for sentence, row in ((s, r) for s in range(3) for r in rows[s] if r >= 0):
            left = torch.from_numpy(tokens.sentences.states.arrays(np.array([sentence]))[0])
            right = torch.from_numpy(tokens.terms.arrays(np.array([row]), 8)[0])
            left = left + model.age.weight[0] + model.count.weight[0]
            for layer in model.layers:
                both = torch.cat([left, right], dim=1)
                right = _attend(layer, right, both)
                left = _attend(layer, left, left)
            expected = model.head(torch.cat([right.mean(1), left.mean(1)], dim=1))[0]
            np.testing.assert_allclose(logits[rows == row][0], expected.numpy(), atol=1e-4)


def _attend(layer, query: torch.Tensor, keys: torch.Tensor) -> torch.Tensor:
    own = layer.attention.self
    heads = own.num_attention_heads
    q, k, v = (part(x).unflatten(-1, (heads, -1)).transpose(1, 2) for part, x in ((own.query, query), (own.key, keys), (own.value, keys)))
    mixed = torch.nn.functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
    seen = layer.attention.output(mixed, query)
    return layer.output(layer.intermediate(seen), seen)


def _random(encoder: TextEncoder) -> CrossEncoder:
    torch.manual_seed(3)
    model = CrossEncoder.upon(encoder, CONFIG)
    for weights in model.new_weights:
        torch.nn.init.normal_(weights, std=0.3)
    return model


def test_files_and_graph_give_the_same_logits(encoder: TextEncoder) -> None:
    tokens = MentionTokens.of(encoder, SENTENCES, MENTIONS)
    model, rows = _random(encoder), tokens.rows(np.arange(3))
    expected = model.logits(tokens.sentences, rows, tokens.terms)
    again = CrossEncoder.from_files(model.to_files())
    assert again.config == CONFIG
    np.testing.assert_allclose(again.logits(tokens.sentences, rows, tokens.terms), expected, atol=1e-5)
    graph = OnnxCrossEncoder.from_files(cross_encoder_files(model))
    assert graph.config == CONFIG
    np.testing.assert_allclose(graph.logits(tokens.sentences, rows, tokens.terms), expected, atol=1e-4)


def _shop(n: int = 48) -> LabelledMentions:
    """The word after a term judges it: "small" is bad, "large" is good, "green" is neither."""
    rng = np.random.default_rng(0)
    words, kinds = ("small", "green", "large"), ("tea", "bread")
    texts, rows, labels = [], [], []
    for i in range(n):
        first, second = (int(x) for x in rng.permutation(3)[:2])
        texts.append(f"{kinds[i % 2]} {words[first]} , {kinds[1 - i % 2]} {words[second]}")
        at = texts[-1].rindex(kinds[1 - i % 2])
        rows += [(i, 0, len(kinds[i % 2])), (i, at, at + len(kinds[1 - i % 2]))]
        labels += [first, second]
    mentions = pl.DataFrame(rows, schema=["sentence", "begin", "end"], orient="row")
    return LabelledMentions(pl.Series(texts), mentions, np.array(labels), np.ones(len(labels), dtype=np.float32))


@pytest.fixture(scope="module")
def fitted(tiny_bert: Path) -> tuple[LabelledMentions, AspectPolarity]:
    shop = _shop()
    encoder = TextEncoder.pretrained(EncoderConfig(model=str(tiny_bert), max_tokens=24))
    return shop, fit_aspect_polarity(encoder, shop, CONFIG, 0)


def test_two_terms_of_a_sentence_get_their_own_polarity(fitted: tuple[LabelledMentions, AspectPolarity]) -> None:
    shop, polarity = fitted
    found = polarity.probabilities(shop.sentences, shop.mentions)
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-5)
    assert (found.argmax(axis=1) == shop.labels).mean() > 0.9


def test_a_mentions_polarity_does_not_depend_on_those_beside_it(fitted: tuple[LabelledMentions, AspectPolarity]) -> None:
    shop, polarity = fitted
    some = shop.mentions[[7, 2, 31]]
    alone = polarity.probabilities(shop.sentences, some)
    np.testing.assert_allclose(alone, polarity.probabilities(shop.sentences, shop.mentions)[[7, 2, 31]], atol=1e-4)
    assert polarity.probabilities(shop.sentences, shop.mentions[:0]).shape == (0, 3)


def test_mentions_without_weight_are_not_learned_from(tiny_bert: Path) -> None:
    shop = _shop(12)
    weights = np.where(shop.mentions["sentence"].to_numpy() < 6, 1, 0).astype(np.float32)
    encoder = TextEncoder.pretrained(EncoderConfig(model=str(tiny_bert), max_tokens=24))
    config = CONFIG.model_copy(update={"epochs": 1})
    one, other = (
        fit_aspect_polarity(encoder, LabelledMentions(shop.sentences, shop.mentions, labels, weights), config, 0)
        for labels in (shop.labels, np.where(weights > 0, shop.labels, 2 - shop.labels))
    )
    for name, tensor in one.model.state_dict().items():
        torch.testing.assert_close(tensor, other.model.state_dict()[name])


def test_what_cannot_be_learned_is_said(tiny_bert: Path) -> None:
    shop = _shop(4)
    encoder = TextEncoder.pretrained(EncoderConfig(model=str(tiny_bert), max_tokens=24))
    alike = LabelledMentions(shop.sentences, shop.mentions, np.full(8, 2), shop.weights)
    with pytest.raises(DataError, match="from 0 negative, 0 neutral, 8 positive mentions, expected two polarities"):
        fit_aspect_polarity(encoder, alike, CONFIG, 0)
    with pytest.raises(DataError, match=r"have \[7, 8\] rows"):
        LabelledMentions(shop.sentences, shop.mentions, shop.labels[:7], shop.weights)
    with pytest.raises(DataError, match="has the label 3, expected 0 to 2"):
        LabelledMentions(shop.sentences, shop.mentions, shop.labels + 1, shop.weights)


def test_all_mentions_of_a_sentence_share_a_step(encoder: TextEncoder) -> None:
    shop = _shop(8)
    pairs = MentionPairs(MentionTokens.of(encoder, shop.sentences, shop.mentions), shop.labels, shop.weights)
    batch = pairs.batch(np.array([3, 5]), CONFIG, np.random.default_rng(0))
    assert batch.rows.tolist() == [[6, 7], [10, 11]]
    np.testing.assert_array_equal(batch.labels, shop.labels[batch.rows])


def test_sentences_of_similar_length_share_a_step_and_none_is_lost() -> None:
    lengths = np.random.default_rng(1).integers(3, 60, 203)
    lefts = np.random.default_rng(2).permutation(203)
    order = _similar_together(lefts, lengths, 4, np.random.default_rng(3))
    assert sorted(order) == list(range(203))
    spread = np.ptp(lengths[order[:200]].reshape(-1, 4), axis=1).mean()
    assert spread < np.ptp(lengths[lefts[:200]].reshape(-1, 4), axis=1).mean() / 3
    assert _similar_together(lefts, None, 4, np.random.default_rng(3)) is lefts
