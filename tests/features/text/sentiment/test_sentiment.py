"""The sentiment classifier on a tiny encoder: ratings, few labels, none; files; what gets no opinion."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load

from features.errors import BundleError, DataError
from features.text.encoder import TextEncoder
from features.text.encoder_config import EncoderConfig
from features.text.sentiment import model as model_module
from features.text.sentiment import readable
from features.text.sentiment.config import SentimentConfig
from features.text.sentiment.labels import NEGATIVE, NEUTRAL, POSITIVE
from features.text.sentiment.model import SentimentModel
from features.text.sentiment.trainer import capped, fit_sentiment

WORDS = {NEGATIVE: "sweet carrot", NEUTRAL: "paper towel", POSITIVE: "green tea"}
SIZES = ("small", "large", "house", "loaf", "oat", "rye", "roll", "box")


def reviews(per_class: tuple[int, int, int], seed: int = 0) -> tuple[list[str], np.ndarray]:
    """Reviews whose first words tell their class; no two are equal."""
    rng = np.random.default_rng(seed)
    labels = np.repeat([NEGATIVE, NEUTRAL, POSITIVE], per_class)
    texts = [f"{WORDS[label]} {' '.join(rng.choice(SIZES, 5))} {number}" for number, label in enumerate(labels.tolist())]
    order = rng.permutation(len(labels))
    return [texts[i] for i in order], labels[order]


@pytest.fixture(scope="module")
def encoder(tiny_bert: Path) -> TextEncoder:
    return TextEncoder.pretrained(EncoderConfig(model=str(tiny_bert), max_tokens=24, upper_layers=1))


@pytest.fixture(scope="module")
def config() -> SentimentConfig:
    return SentimentConfig(layers=2, max_tokens=32, few=30, epochs=2, batch=16, lr=1e-3, head_lr=1e-2)


@pytest.fixture(scope="module")
def rated(encoder: TextEncoder, config: SentimentConfig) -> SentimentModel:
    return fit_sentiment(encoder, *reviews((60, 40, 200)), config, 0)


def test_ratings_train_a_classifier_that_tells_the_classes(rated: SentimentModel) -> None:
    texts, labels = reviews((20, 20, 20), seed=1)
    found = rated.read(texts)
    assert found.probabilities.dtype == np.float32
    assert found.probabilities.sum(axis=1) == pytest.approx(1, abs=1e-5)
    assert (found.labels == labels).mean() > 0.95
    assert rated.about == {"way": "ratings", "trained": 270, "words_trained": 270, "held_out": 30, "counts": [60, 40, 200]}


def test_its_files_score_the_same_without_torch(rated: SentimentModel) -> None:
    texts, _ = reviews((5, 5, 5), seed=2)
    files = rated.to_files()
    assert not [name for name in files if not name.endswith((".json", ".safetensors", ".onnx"))]
    stored = SentimentModel.from_files(files)
    assert stored.probabilities(texts) == pytest.approx(rated.probabilities(texts), abs=0.02)  # bfloat16, where the CPU has units for it
    assert stored.to_files() == files
    with pytest.raises(BundleError, match=r"lacks 'reader.onnx'"):
        SentimentModel.from_files({name: content for name, content in files.items() if name != "reader.onnx"})


def test_equal_seeds_give_equal_classifiers(encoder: TextEncoder, config: SentimentConfig, rated: SentimentModel) -> None:
    again = fit_sentiment(encoder, *reviews((60, 40, 200)), config, 0)
    arrays, others = (load(model.to_files()["sentiment.safetensors"]) for model in (rated, again))
    assert all((arrays[name] == others[name]).all() for name in arrays)
    assert encoder.config.max_tokens == 24  # the encoder that was passed still reads as it did
    assert len(encoder.tokens([" ".join(["tea"] * 60)])[0]) == 24


def test_clear_reviews_are_not_read_by_the_encoder(rated: SentimentModel, monkeypatch: pytest.MonkeyPatch) -> None:
    assert rated.words is not None
    texts, labels = reviews((10, 10, 10), seed=3)
    model = replace(rated, words=replace(rated.words, settled=0.5))

    def never(self: object, texts: list[str]) -> np.ndarray:
        raise AssertionError(texts)

    monkeypatch.setattr(type(rated.reader), "logits", never)
    assert (model.read(texts).labels == labels).mean() > 0.95
    with pytest.raises(AssertionError):
        replace(rated, words=replace(rated.words, settled=1.1)).read(texts)


@pytest.mark.parametrize("nothing", ["", "   ", "😀😀", "👍🏽", "!!!", "10/10", "\u200b", None])
def test_texts_without_words_get_no_opinion(rated: SentimentModel, nothing: str | None) -> None:
    found = rated.read(["green tea small", nothing, nothing])
    assert np.isnan(found.probabilities).all(axis=1).tolist() == [False, True, True]
    assert found.labels.tolist()[1:] == [-1, -1]
    assert found.notes == ("note: 2 of 3 reviews have no words (empty, or emoji only): they get no sentiment",)


def test_no_texts_and_one_text_a_thousand_times(rated: SentimentModel) -> None:
    assert rated.probabilities([]).shape == (0, 3)
    found = rated.probabilities(["green tea small"] * 1000 + ["sweet carrot " + "box " * 5000])
    assert (found[:1000] == found[0]).all()
    assert not np.isnan(found).any()


def test_blocks_change_nothing(rated: SentimentModel, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [*reviews((4, 4, 4), seed=6)[0], "", "😀"]
    whole = rated.read(texts)
    monkeypatch.setattr(model_module, "BLOCK", 5)
    monkeypatch.setattr(readable, "BLOCK", 2)
    parts = rated.read(texts)
    assert parts.probabilities == pytest.approx(whole.probabilities, abs=0.02, nan_ok=True)
    assert (parts.unread.rows == whole.unread.rows).all()


def test_two_classes_are_enough(encoder: TextEncoder, config: SentimentConfig) -> None:
    model = fit_sentiment(encoder, *reviews((100, 0, 100)), config, 0)
    texts, labels = reviews((15, 0, 15), seed=4)
    found = model.read(texts)
    assert model.about["way"] == "ratings"
    assert (found.labels == labels).mean() > 0.95
    assert found.probabilities[:, NEUTRAL].max() < 0.05


def test_few_labels_are_learned_from(encoder: TextEncoder, config: SentimentConfig) -> None:
    model = fit_sentiment(encoder, *reviews((16, 16, 16)), config, 0)
    texts, labels = reviews((20, 20, 20), seed=5)
    assert model.about == {"way": "few-shot", "trained": 48, "held_out": 0, "counts": [16, 16, 16]}
    none = fit_sentiment(encoder, texts, np.full(60, -1), config, 0)
    assert none.about == {"way": "packaged sentences", "trained": 0, "held_out": 0, "counts": [0, 0, 0]}
    assert (model.read(texts).labels == labels).mean() > (none.read(texts).labels == labels).mean() + 0.1
    stored = SentimentModel.from_files(none.to_files())
    assert stored.words is None
    assert stored.probabilities(texts) == pytest.approx(none.probabilities(texts), abs=0.05)


def test_labels_that_do_not_fit_are_refused(encoder: TextEncoder, config: SentimentConfig) -> None:
    with pytest.raises(DataError, match=r"2 texts of reviews have 1 labels"):
        fit_sentiment(encoder, ["a", "b"], np.array([1]), config, 0)
    with pytest.raises(DataError, match=r"a label of a review is 5, expected -1 to 2"):
        fit_sentiment(encoder, ["a", "b"], np.array([1, 5]), config, 0)


@pytest.mark.parametrize(("most", "expected"), [(300, [10, 50, 200]), (150, [10, 50, 90]), (90, [10, 40, 40]), (12, [4, 4, 4])])
def test_a_cap_takes_from_the_largest_classes(most: int, expected: list[int]) -> None:
    labels = np.repeat([0, 1, 2], [10, 50, 200])
    rows = capped(labels, most, np.random.default_rng(0))
    assert np.bincount(labels[rows]).tolist() == expected
    assert len(set(rows.tolist())) == len(rows)
