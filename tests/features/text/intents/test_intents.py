"""The intent classifier on a tiny encoder: intents, none of them, files, what is not read, wrong examples."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load

from features.errors import BundleError, DataError
from features.text.encoder import TextEncoder
from features.text.encoder_config import EncoderConfig
from features.text.intents.config import IntentConfig
from features.text.intents.model import NO_INTENT, IntentModel
from features.text.intents.trainer import Examples, fit_intents, words_of_name

WORDS = {"green_tea": "green tea", "sweet-carrot": "sweet carrot", "paper towel": "paper towel", "sourdough": "sourdough bread"}
NAMES = tuple(WORDS)
SIZES = ("small", "large", "house", "loaf", "oat", "rye", "roll", "box")


def examples(per_intent: int, seed: int = 0) -> tuple[list[str], np.ndarray]:
    """Texts whose first words tell their intent; no two are equal."""
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(len(NAMES)), per_intent)
    texts = [f"{WORDS[NAMES[label]]} {' '.join(rng.choice(SIZES, 2))} {number}" for number, label in enumerate(labels.tolist())]
    return texts, labels


@pytest.fixture(scope="module")
def encoder(tiny_bert: Path) -> TextEncoder:
    return TextEncoder.pretrained(EncoderConfig(model=str(tiny_bert), max_tokens=24, upper_layers=1))


@pytest.fixture(scope="module")
def config() -> IntentConfig:
    return IntentConfig(layers=2, max_tokens=32, passes=300, batch=16, lr=1e-3, head_lr=1e-2)


@pytest.fixture(scope="module")
def model(encoder: TextEncoder, config: IntentConfig) -> IntentModel:
    return fit_intents(encoder, Examples.of(*examples(8), NAMES), config, 0)


def test_the_intent_is_told(model: IntentModel) -> None:
    texts, labels = examples(10, seed=1)
    found = model.read(texts)
    assert found.probabilities.dtype == found.known.dtype == np.float32
    assert found.probabilities.shape == (40, 4)
    assert found.probabilities.sum(axis=1) == pytest.approx(1, abs=1e-5)
    assert (found.probabilities.argmax(axis=1) == labels).mean() > 0.9
    told = found.labels != NO_INTENT
    assert told.mean() > 0.7
    assert (found.labels[told] == labels[told]).mean() > 0.9
    assert (found.labels[~told] == NO_INTENT).all()
    assert model.about == {"examples": 32, "counts": [8, 8, 8, 8]}


def test_known_intents_are_told_from_others(model: IntentModel) -> None:
    texts, _ = examples(10, seed=1)
    other = [f"{one} {two}" for one in SIZES for two in ("chips", "juice", "milk") if one != two]
    known, none = model.read(texts).known, model.read(other).known
    assert np.median(known) > np.median(none)
    assert ((known >= 0) & (known <= 1)).all()
    assert (model.read(other).labels == NO_INTENT).mean() > (model.read(texts).labels == NO_INTENT).mean()


def test_its_files_read_the_same_without_torch(model: IntentModel) -> None:
    texts, _ = examples(5, seed=2)
    files = model.to_files()
    assert not [name for name in files if not name.endswith((".json", ".safetensors", ".onnx"))]
    stored = IntentModel.from_files(files)
    assert stored.names == NAMES
    assert stored.to_files() == files
    found, again = model.read(texts), stored.read(texts)
    assert (again.probabilities == found.probabilities).all()
    assert (again.known == found.known).all()
    with pytest.raises(BundleError, match=r"the intent classifier lacks 'intents.json'"):
        IntentModel.from_files({name: content for name, content in files.items() if name != "intents.json"})


def test_equal_seeds_give_equal_classifiers(encoder: TextEncoder, config: IntentConfig, model: IntentModel) -> None:
    again = fit_intents(encoder, Examples.of(*examples(8), NAMES), config, 0)
    arrays, others = (load(one.to_files()["intents.safetensors"]) for one in (model, again))
    assert all((arrays[name] == others[name]).all() for name in arrays)
    assert encoder.config.max_tokens == 24  # the encoder that was passed still reads as it did


@pytest.mark.parametrize("nothing", ["", "   ", "😀😀", "?", "!!!", "12345", "\u200b", None])
def test_texts_without_words_have_no_intent(model: IntentModel, nothing: str | None) -> None:
    found = model.read(["green tea small 1", nothing, nothing])
    assert found.labels.tolist()[1:] == [NO_INTENT, NO_INTENT]
    assert found.known.tolist()[1:] == [0, 0]
    assert np.isnan(found.probabilities).all(axis=1).tolist() == [False, True, True]
    assert found.notes == ("note: 2 of 3 texts have no words (empty, or emoji only): they get no intent",)


@pytest.mark.parametrize("text", ["где мой заказ и когда он придёт", "我的订单在哪里", "สั่งซื้อของฉันอยู่ที่ไหน"])
def test_another_script_is_said_and_not_guessed(model: IntentModel, text: str) -> None:
    found = model.read([text, "green tea small 1"])
    assert found.labels[0] == NO_INTENT
    assert found.known[0] == 0
    (note,) = found.notes
    assert note.startswith("note: 1 of 2 texts are in a language that the text encoder does not read")
    assert text[:10] in note


def test_words_of_the_examples_are_read_in_any_language(encoder: TextEncoder, config: IntentConfig) -> None:
    russian = ["где мой заказ", "где сейчас заказ", "как вернуть товар", "вернуть товар обратно"]
    model = fit_intents(encoder, Examples.of(russian, np.array([0, 0, 1, 1]), ["order", "return"]), config, 0)
    assert not model.read(["где мой товар"]).unread.rows.any()
    assert model.read(["добрый вечер всем"]).unread.foreign.all()


def test_no_texts_a_long_one_and_one_a_thousand_times(model: IntentModel) -> None:
    assert model.read([]).probabilities.shape == (0, 4)
    found = model.read(["green tea small"] * 1000 + ["sweet carrot " + "box " * 12_500])
    assert (found.known[:1000] == found.known[0]).all()
    assert not np.isnan(found.probabilities).any()


@pytest.mark.parametrize(
    ("name", "words"), [("card_arrival", "card arrival"), ("card-arrival", "card arrival"), (" card  arrival ", "card arrival")]
)
def test_names_are_read_as_words(name: str, words: str) -> None:
    assert words_of_name(name) == words


def test_names_alone_are_enough_and_two_intents(encoder: TextEncoder, config: IntentConfig) -> None:
    named = fit_intents(encoder, Examples.of([], np.zeros(0, dtype=np.int64), NAMES), config, 0)
    assert named.read(["green tea", "sweet carrot"]).probabilities.argmax(axis=1).tolist() == [0, 1]
    two = fit_intents(encoder, Examples.of(["green tea small", "sweet carrot box"], np.array([0, 1]), NAMES[:2]), config, 0)
    found = two.read(["green tea small", "sweet carrot box"])
    assert found.probabilities.argmax(axis=1).tolist() == [0, 1]
    assert (found.known > 0.5).all()  # their own examples


def test_examples_that_do_not_fit_are_refused() -> None:
    with pytest.raises(DataError, match=r"2 texts have 1 intents, expected one each"):
        Examples.of(["a", "b"], np.array([0]), NAMES)
    with pytest.raises(DataError, match=r"1 intents were given, expected two at least"):
        Examples.of(["a"], np.array([0]), NAMES[:1])
    for wrong in (4, -1):
        with pytest.raises(DataError, match=rf"an example has the intent {wrong}, expected 0 to 3"):
            Examples.of(["a", "b"], np.array([0, wrong]), NAMES)
