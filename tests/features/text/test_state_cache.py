"""Kept states: made once for each text, read from then on, in the order asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

import features.text.state_cache
from features.text.encoder import TextEncoder
from features.text.encoder_config import EncoderConfig
from features.text.state_cache import cached_states, lower_fingerprint
from features.text.token_states import TokenStates

if TYPE_CHECKING:
    from pathlib import Path

TEXTS = ["green tea", "rye bread of the house", "red apple", "iced tea", "yellow banana small"]


@pytest.fixture
def encoder(tiny_bert: Path) -> TextEncoder:
    return TextEncoder.pretrained(EncoderConfig(model=str(tiny_bert), max_tokens=24))


@pytest.fixture
def made(encoder: TextEncoder, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The texts that went through the lower layers."""
    texts: list[str] = []
    original = encoder.token_states

    def counted(some: list[str], *rest: object) -> TokenStates:
        texts.extend(some)
        return original(some, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(encoder, "token_states", counted)
    return texts


def same(kept: TokenStates, encoder: TextEncoder, texts: list[str]) -> bool:
    wanted = TextEncoder.token_states(encoder, texts)
    return np.array_equal(kept.offsets, wanted.offsets) and np.allclose(kept.states, wanted.states, atol=2e-3)


def test_a_text_is_made_once(encoder: TextEncoder, made: list[str], tmp_path: Path) -> None:
    assert same(cached_states(encoder, TEXTS[:3], tmp_path), encoder, TEXTS[:3])
    assert made == TEXTS[:3]
    made.clear()
    assert same(cached_states(encoder, TEXTS, tmp_path), encoder, TEXTS)
    assert made == TEXTS[3:]
    made.clear()
    assert same(cached_states(encoder, TEXTS[::-1], tmp_path), encoder, TEXTS[::-1])
    assert same(cached_states(encoder, [TEXTS[4], TEXTS[1]], tmp_path), encoder, [TEXTS[4], TEXTS[1]])
    assert made == []


def test_many_texts_go_into_many_parts(encoder: TextEncoder, made: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(features.text.state_cache, "PART", 2)
    assert same(cached_states(encoder, TEXTS, tmp_path), encoder, TEXTS)
    assert len(list(tmp_path.rglob("*.safetensors"))) == 3
    made.clear()
    assert same(cached_states(encoder, TEXTS, tmp_path), encoder, TEXTS)
    assert made == []


def test_a_cut_costs_no_more_than_a_part(encoder: TextEncoder, made: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(features.text.state_cache, "PART", 2)
    write, calls = features.text.state_cache._write, []

    def cut(*args: object) -> None:
        calls.append(args)
        if len(calls) == 2:
            raise KeyboardInterrupt
        write(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(features.text.state_cache, "_write", cut)
    with pytest.raises(KeyboardInterrupt):
        cached_states(encoder, TEXTS, tmp_path)
    made.clear()
    assert same(cached_states(encoder, TEXTS, tmp_path), encoder, TEXTS)
    assert made == TEXTS[2:]


def test_a_half_written_file_is_passed_over(encoder: TextEncoder, made: list[str], tmp_path: Path) -> None:
    cached_states(encoder, TEXTS[:2], tmp_path)
    (folder,) = tmp_path.iterdir()
    (folder / "000001.77.tmp").write_bytes(b"half")
    made.clear()
    assert same(cached_states(encoder, TEXTS[:3], tmp_path), encoder, TEXTS[:3])
    assert made == TEXTS[2:3]


def test_two_trainings_that_kept_the_same_text(encoder: TextEncoder, tmp_path: Path) -> None:
    cached_states(encoder, TEXTS[:2], tmp_path)
    cached_states(encoder, TEXTS[1:3], tmp_path / "other")
    (folder,), (other,) = tmp_path.glob("states-*"), (tmp_path / "other").glob("states-*")
    (path,) = other.iterdir()
    (folder / path.name).write_bytes(path.read_bytes())
    assert same(cached_states(encoder, TEXTS, tmp_path), encoder, TEXTS)
    assert same(cached_states(encoder, TEXTS, tmp_path), encoder, TEXTS)


def test_no_texts(encoder: TextEncoder, tmp_path: Path) -> None:
    assert len(cached_states(encoder, [], tmp_path)) == 0


def test_states_of_other_lower_layers_are_not_taken(encoder: TextEncoder, made: list[str], tmp_path: Path) -> None:
    cached_states(encoder, TEXTS, tmp_path)
    with torch.no_grad():
        encoder.model.encoder.layer[0].output.dense.bias += 1
    made.clear()
    assert same(cached_states(encoder, TEXTS, tmp_path), encoder, TEXTS)
    assert made == TEXTS


def test_fingerprint_of_the_lower_layers_alone(encoder: TextEncoder, tiny_bert: Path) -> None:
    first = lower_fingerprint(encoder)
    with torch.no_grad():
        encoder.model.encoder.layer[2].output.dense.bias += 1  # an upper layer
    assert lower_fingerprint(encoder) == first
    with torch.no_grad():
        encoder.model.embeddings.word_embeddings.weight[7, 0] += 1
    assert lower_fingerprint(encoder) != first
    for options in ({"max_tokens": 23}, {"upper_layers": 2}):
        config = EncoderConfig.model_validate({"model": str(tiny_bert), "max_tokens": 24} | options)
        assert lower_fingerprint(TextEncoder.pretrained(config)) != first


def test_a_damaged_part_is_made_again_and_others_are_kept(encoder: TextEncoder, tmp_path: Path) -> None:
    whole = cached_states(encoder, ["red tea"], tmp_path)
    cached_states(encoder, ["red tea", "green soap"], tmp_path)
    first = min(tmp_path.rglob("*.safetensors"), key=lambda path: path.stat().st_mtime_ns)
    first.write_bytes(first.read_bytes()[:40])
    again = cached_states(encoder, ["red tea"], tmp_path)
    assert np.array_equal(again.states, whole.states)
    assert len(list(tmp_path.rglob("*.safetensors"))) == 2
    assert len(cached_states(encoder, ["green soap", "red tea"], tmp_path)) == 2
