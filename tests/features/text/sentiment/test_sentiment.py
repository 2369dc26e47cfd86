"""The sentiment classifier on a tiny encoder: ratings, few labels, none; files; what gets no opinion."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from features.errors import BundleError, DataError
from features.text.encoder import TextEncoder
from features.text.encoder_config import EncoderConfig
from features.text.sentiment.config import SentimentConfig
from features.text.sentiment.labels import NEGATIVE, NEUTRAL, POSITIVE, label_of_rating
from features.text.sentiment.model import SentimentModel
from features.text.sentiment.trainer import fit_sentiment

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
