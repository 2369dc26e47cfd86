"""Encoders are read by their own sentence-transformers files: pooling, prompts, modules."""

from __future__ import annotations

import importlib.util
import json
import shutil
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer
from transformers import AutoModel

from features.errors import ModelError
from features.text.encoder import PACKAGED_MODEL, TextEncoder, find_model, length_batches
from features.text.encoder_config import EncoderConfig
from features.text.state_cache import cached_states, lower_fingerprint

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

TEXTS = ["green tea", "rye bread of the house", "red apple small", ""]
PACKAGED = "e6600f8954d8aa01f72a2268946c6e7a"  # fingerprint of the packaged MiniLM, unchanged since before there was a choice of pooling
MODES = ("cls_token", "mean_tokens", "max_tokens", "mean_sqrt_len_tokens", "weightedmean_tokens", "lasttoken")


def modules(*kinds: str, transformer: str = "") -> list[dict[str, Any]]:
    paths = {"Transformer": transformer, "Pooling": "1_Pooling", "Normalize": "2_Normalize", "Dense": "2_Dense"}
    return [{"idx": i, "name": str(i), "path": paths[kind], "type": f"sentence_transformers.models.{kind}"} for i, kind in enumerate(kinds)]


def flags(*on: str) -> dict[str, Any]:
    return {"word_embedding_dimension": 32, **{f"pooling_mode_{mode}": mode in on for mode in MODES}}


@pytest.fixture
def model(tiny_bert: Path, tmp_path: Path) -> Callable[..., Path]:
    """Makes a folder with the tiny BERT and what sentence-transformers writes beside it."""

    def make(name: str = "model", **files: Any) -> Path:
        folder = tmp_path / name
        shutil.copytree(tiny_bert, folder)
        written = {"modules": "modules.json", "pooling": "1_Pooling/config.json", "prompts": "config_sentence_transformers.json"}
        for key, content in files.items():
            path = folder / written[key]
            path.parent.mkdir(exist_ok=True)
            path.write_text(json.dumps(content), encoding="utf-8")
        return folder

    return make


def load(folder: Path, **options: Any) -> TextEncoder:
    return TextEncoder.pretrained(EncoderConfig(model=str(folder), max_tokens=24, **options))


def vectors(encoder: TextEncoder, texts: list[str], kind: Any = "passage") -> np.ndarray:
    return encoder.pool(encoder.token_states(texts, kind=kind))


def states(folder: Path, text: str) -> np.ndarray:
    """Last hidden states (L, width) by transformers alone."""
    network = AutoModel.from_pretrained(folder).eval()
    ids = Tokenizer.from_file(str(folder / "tokenizer.json")).encode(text).ids
    with torch.inference_mode():
        return network(input_ids=torch.tensor([ids])).last_hidden_state[0].numpy()


POOLED: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "mean": lambda found: found.mean(0),
    "cls": lambda found: found[0],
    "max": lambda found: found.max(0),
    "lasttoken": lambda found: found[-1],
}


@pytest.mark.parametrize(
    ("pooling", "config"),
    [
        ("mean", flags("mean_tokens")),
        ("cls", flags("cls_token")),
        ("max", flags("max_tokens")),
        ("lasttoken", flags("lasttoken")),
        ("cls", {"embedding_dimension": 32, "pooling_mode": "cls", "include_prompt": True}),
    ],
)
def test_tokens_are_pooled_as_the_files_say(model: Any, pooling: str, config: dict[str, Any]) -> None:
    folder = model(modules=modules("Transformer", "Pooling", "Normalize"), pooling=config)
    encoder = load(folder)
    assert encoder.sentence.pooling == pooling
    wanted = np.stack([POOLED[pooling](states(folder, text)) for text in TEXTS])
    assert np.allclose(vectors(encoder, TEXTS), wanted, atol=2e-3)
    others = [POOLED[name](states(folder, TEXTS[1])) for name in POOLED if name != pooling]
    assert not any(np.allclose(vectors(encoder, TEXTS[1:2])[0], other, atol=2e-2) for other in others)


@pytest.mark.parametrize("names", [("query", "passage"), ("query", "document")])
def test_each_kind_of_text_has_its_prompt(model: Any, names: tuple[str, str]) -> None:
    prompts = dict(zip(names, ("tea: ", "bread: "), strict=True))
    encoder, plain = load(model(prompts={"prompts": prompts, "default_prompt_name": None})), load(model("plain"))
    assert np.array_equal(vectors(encoder, TEXTS, "query"), vectors(plain, [f"tea: {text}" for text in TEXTS]))
    assert np.array_equal(vectors(encoder, TEXTS), vectors(plain, [f"bread: {text}" for text in TEXTS]))
    assert np.array_equal(vectors(plain, TEXTS, "query"), vectors(plain, TEXTS))


def test_a_default_prompt_stands_where_no_other_does(model: Any) -> None:
    encoder = load(model(prompts={"prompts": {"query": "tea: ", "clustering": "red: "}, "default_prompt_name": "clustering"}))
    assert (encoder.sentence.query_prompt, encoder.sentence.passage_prompt) == ("tea: ", "red: ")


def test_settings_stand_above_the_files(model: Any) -> None:
    folder = model(prompts={"prompts": {"query": "tea: ", "passage": "bread: "}})
    encoder = load(folder, query_prompt="apple: ")
    assert (encoder.sentence.query_prompt, encoder.sentence.passage_prompt) == ("apple: ", "bread: ")
    assert load(folder, query_prompt="", passage_prompt="").sentence == load(model("plain")).sentence


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("multilingual-e5-small", ("mean", "query: ", "passage: ")),
        ("e5-base-v2", ("mean", "query: ", "passage: ")),
        ("multilingual-e5-large-instruct", ("mean", "", "")),
        ("bge-small-en-v1.5", ("cls", "", "")),
        ("some-model", ("mean", "", "")),
    ],
)
@pytest.mark.parametrize("by", ["folder", "config"])
def test_a_family_is_known_by_name_where_files_say_nothing(model: Any, name: str, wanted: tuple[str, ...], by: str) -> None:
    folder = model(name if by == "folder" else "mine")
    if by == "config":
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        (folder / "config.json").write_text(json.dumps(config | {"_name_or_path": f"maker/{name}"}), encoding="utf-8")
    sentence = load(folder).sentence
    assert (sentence.pooling, sentence.query_prompt, sentence.passage_prompt) == wanted


def test_what_the_files_say_stands_above_the_family(model: Any) -> None:
    both = {"modules": modules("Transformer", "Pooling"), "pooling": flags("mean_tokens")}
    assert load(model("bge-small", **both)).sentence.pooling == "mean"
    empty = {"prompts": {"query": "", "document": ""}}  # as newer versions write them
    assert load(model("e5-small", **both, prompts=empty)).sentence.query_prompt == "query: "
    own = {"prompts": {"query": "tea: ", "passage": ""}}
    sentence = load(model("my-e5-small", **both, prompts=own)).sentence
    assert (sentence.query_prompt, sentence.passage_prompt) == ("tea: ", "")


def test_the_transformer_may_lie_in_a_folder_of_its_own(model: Any, tiny_bert: Path) -> None:
    folder = model(modules=modules("Transformer", "Pooling", transformer="0_Transformer"), pooling=flags("cls_token"))
    (folder / "0_Transformer").mkdir()
    for path in tiny_bert.iterdir():
        (folder / path.name).rename(folder / "0_Transformer" / path.name)
    assert np.allclose(vectors(load(folder), TEXTS[:1])[0], states(folder / "0_Transformer", TEXTS[0])[0], atol=2e-3)


def test_encode_gives_unit_vectors_of_each_kind(model: Any) -> None:
    encoder = load(model(prompts={"prompts": {"query": "tea: "}}))
    passages, queries = encoder.encode(TEXTS), encoder.encode(TEXTS, kind="query")
    assert passages.shape == (len(TEXTS), encoder.dim)
    assert passages.dtype == np.float32
    assert np.allclose(np.linalg.norm(np.concatenate([passages, queries]), axis=1), 1)
    assert not np.allclose(passages, queries, atol=1e-3)
    assert encoder.encode([]).shape == (0, encoder.dim)
    with pytest.raises(ModelError, match="^kind of text is 'title', expected one of passage, query$"):
        encoder.encode(TEXTS, kind="title")  # type: ignore[arg-type]


def test_pooling_and_prompts_are_written_and_read_back(model: Any) -> None:
    files = {"modules": modules("Transformer", "Pooling"), "pooling": flags("cls_token"), "prompts": {"prompts": {"query": "tea: "}}}
    encoder = load(model(**files))
    back = TextEncoder.from_files(encoder.to_files())
    assert back.sentence == encoder.sentence
    assert back.fingerprint == encoder.fingerprint
    assert np.array_equal(vectors(back, TEXTS, "query"), vectors(encoder, TEXTS, "query"))


def test_the_fingerprint_knows_pooling_and_prompts(model: Any) -> None:
    mean = {"modules": modules("Transformer", "Pooling"), "pooling": flags("mean_tokens")}
    found = [
        load(folder).fingerprint
        for folder in (
            model("plain"),
            model("cls", **mean | {"pooling": flags("cls_token")}),
            model("query", prompts={"prompts": {"query": "tea: "}}),
            model("passage", prompts={"prompts": {"passage": "tea: "}}),
        )
    ]
    assert len(set(found)) == 4
    assert load(model("said", **mean)).fingerprint == found[0]


def test_kept_states_of_another_prompt_are_not_taken(model: Any, tmp_path: Path) -> None:
    plain, prompted = load(model("plain")), load(model("prompted", prompts={"prompts": {"passage": "tea: "}}))
    assert lower_fingerprint(plain) != lower_fingerprint(prompted)
    cached_states(plain, TEXTS, tmp_path)
    kept = cached_states(prompted, TEXTS, tmp_path)
    assert np.array_equal(kept.states, prompted.token_states(TEXTS).states)


@pytest.mark.parametrize(
    ("files", "line"),
    [
        (
            {"modules": modules("Transformer", "Pooling", "Dense"), "pooling": flags("mean_tokens")},
            "has a module Dense, which is not",
        ),
        ({"modules": modules("Transformer")}, "has no Pooling among its modules"),
        ({"modules": modules("Transformer", "Pooling"), "pooling": flags("weightedmean_tokens")}, "pools by weightedmean_tokens, expected"),
        ({"modules": modules("Transformer", "Pooling"), "pooling": flags("cls_token", "mean_tokens")}, "pools by cls and mean, expected"),
        ({"modules": modules("Transformer", "Pooling"), "pooling": {"pooling_mode": "median"}}, "pools by median, expected one of mean"),
        ({"modules": modules("Transformer", "Pooling"), "pooling": flags()}, "pools by nothing, expected one of mean, cls, max, lasttoken"),
        (
            {
                "modules": modules("Transformer", "Pooling"),
                "pooling": flags("mean_tokens") | {"include_prompt": False},
                "prompts": {"prompts": {"query": "tea: "}},
            },
            "pools without its prompt's tokens",
        ),
    ],
)
def test_what_is_not_known_is_refused_in_one_line(model: Any, files: dict[str, Any], line: str) -> None:
    with pytest.raises(ModelError, match=line) as caught:
        load(model(**files))
    assert "\n" not in str(caught.value)
    assert "cannot load" not in str(caught.value)


def test_damaged_files_are_said(model: Any) -> None:
    folder = model()
    (folder / "modules.json").write_text("[{", encoding="utf-8")
    with pytest.raises(ModelError, match=r"modules\.json is not JSON"):
        load(folder)


@pytest.mark.skipif(importlib.util.find_spec(PACKAGED_MODEL) is None, reason="the packaged MiniLM is not installed")
class TestPackaged:
    """MiniLM was pooled rightly before its files were read: nothing of it may change."""

    def test_its_fingerprint_stays(self) -> None:
        assert TextEncoder.pretrained(EncoderConfig()).fingerprint == PACKAGED

    def test_its_vectors_stay_to_the_bit(self) -> None:
        encoder = TextEncoder.pretrained(EncoderConfig(upper_layers=6))  # no states in between, which are kept with less precision
        network = AutoModel.from_pretrained(find_model("packaged")).eval()
        tokens = encoder.tokens(TEXTS)
        wanted = np.empty((len(TEXTS), 384), dtype=np.float32)
        with torch.inference_mode():
            hidden = [network.embeddings(input_ids=torch.tensor([some])).half().float() for some in tokens]
            for chosen in length_batches(np.array([len(some) for some in tokens]), 1024):
                width = max(len(tokens[i]) for i in chosen)
                mask = torch.tensor([[place < len(tokens[i]) for place in range(width)] for i in chosen])
                # Padding repeats a text's first token.
                rows = [torch.cat([hidden[i], hidden[i][:, :1].expand(-1, width - len(tokens[i]), -1)], dim=1) for i in chosen]
                out, bias = torch.cat(rows), torch.zeros(mask.shape).masked_fill(~mask, torch.finfo(torch.float32).min)
                for layer in network.encoder.layer:
                    out = layer(out, attention_mask=bias[:, None, None, :])
                    out = out[0] if isinstance(out, tuple) else out
                weights = mask[..., None].to(out.dtype)
                wanted[chosen] = ((out * weights).sum(1) / weights.sum(1).clamp_min(1.0)).numpy()
        assert np.array_equal(encoder.pool(encoder.token_states(TEXTS)), wanted)
        assert np.array_equal(encoder.pool(encoder.token_states(TEXTS, kind="query")), wanted)
