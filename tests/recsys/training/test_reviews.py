"""The polarity of aspects within training: learned from a shop's labels, judged on others, and kept only if it is better."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from features.data.reviews import Reviews
from features.errors import DataError
from features.names import SENTIMENTS
from features.reviews.polarities import Polarities, read_polarities
from features.text.encoder import TextEncoder
from features.text.encoder_config import EncoderConfig
from features.text.sentiment.model import Sentiments
from features.text.sentiment.readable import Unread
from ranking.cross_encoder.aspect_polarity import AspectPolarity
from ranking.cross_encoder.config import SentenceTermConfig
from recsys.artifacts.model import Model
from recsys.settings.reviews import ReviewsConfig
from recsys.training.find_or_train import TrainingPlan
from recsys.training.options import TrainOptions
from recsys.training.reviews import fit_polarity, fit_reviews

JUDGED = ("small", "green", "large")  # bad, neither, good: the word after a term judges it
CONFIG = SentenceTermConfig(layers=2, batch_sentences=4, epochs=20, lr=3e-3, head_lr=3e-2)


def labels(count: int = 72) -> pl.DataFrame:
    """Sentences of two terms whose polarities differ, so that no sentiment of the sentence is right for both."""
    rng, rows = np.random.default_rng(0), []
    for i in range(count):
        first, second = (int(x) for x in rng.permutation(3)[:2])
        mark = chr(97 + i % 26) + chr(97 + i // 26)  # so that no two sentences are equal
        sentence = f"{mark} tea {JUDGED[first]} , bread {JUDGED[second]}"
        rows += [(sentence, "tea", SENTIMENTS[first]), (sentence, "bread", SENTIMENTS[second])]
    return pl.DataFrame(rows, schema=["sentence", "term", "polarity"], orient="row")


class Constant:
    """Always the same sentiment; or the first term's polarity, which is right for half of the labels."""

    def __init__(self, label: int | None, unread: str = "never") -> None:
        self.label, self.unread = label, unread

    def read(self, texts: list[str]) -> Sentiments:
        found = [JUDGED.index(text.split()[2]) if self.label is None else self.label for text in texts]
        unread = np.array([text.startswith(self.unread) for text in texts])
        told = np.where(unread, -1, found)
        return Sentiments(np.full((len(texts), 3), 1 / 3, dtype=np.float32), told, Unread(unread, np.zeros(len(texts), dtype=bool)))


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> Polarities:
    path = tmp_path_factory.mktemp("labels") / "labels.csv"
    labels().write_csv(path)
    return read_polarities(path)


@pytest.fixture(scope="module")
def encoder(tiny_bert: Path) -> TextEncoder:
    return TextEncoder.pretrained(EncoderConfig(model=str(tiny_bert), max_tokens=6))  # shorter than a sentence


@pytest.fixture(scope="module")
def job() -> Any:
    class Job:
        seed = 0
        settings = type("Settings", (), {"reviews": ReviewsConfig(polarity=CONFIG)})
        progress = staticmethod(__import__("features.progress", fromlist=["silent"]).silent)

    return Job()


def sentiment(label: int | None, unread: str = "never") -> Any:
    return Constant(label, unread)


@pytest.fixture(scope="module")
def fitted(job: Any, given: Polarities, encoder: TextEncoder) -> tuple[AspectPolarity | None, dict[str, Any]]:
    return fit_polarity(job, given, encoder, sentiment(None))


def test_it_is_kept_where_it_tells_more_held_out_labels_right(fitted: tuple[AspectPolarity | None, dict[str, Any]]) -> None:
    polarity, report = fitted
    assert polarity is not None
    assert report["kept"]
    assert (report["labels"], report["judged"], report["of_sentences"]) == (144, 28, 0.5)
    assert report["accuracy"] > 0.8
