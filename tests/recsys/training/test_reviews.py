"""The polarity of aspects within training: learned from a shop's labels, judged on others, and kept only if it is better."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pytest

from features.names import SENTIMENTS
from features.progress import silent
from features.reviews.polarities import Polarities, read_polarities
from features.text.classifier.readable import Unread
from features.text.encoder import TextEncoder
from features.text.encoder_config import EncoderConfig
from features.text.sentiment.model import Sentiments
from ranking.cross_encoder.aspect_polarity import AspectPolarity, LabelledMentions, sentence_encoder
from ranking.cross_encoder.config import SentenceTermConfig
from recsys.artifacts.bundle import Bundle
from recsys.refresh import build
from recsys.settings.apps.reviews import ReviewsConfig
from recsys.training import find_or_train, reviews
from recsys.training.find_or_train import TrainingPlan
from recsys.training.options import TrainOptions
from recsys.training.reviews import fit_polarity
from tests.recsys.conftest import Place

if TYPE_CHECKING:
    from collections.abc import Callable

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


class ByFirstTerm:
    """The first term's polarity, which is right for half of the labels; or always the same. Some sentences are not read."""

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
    settings = SimpleNamespace(reviews=ReviewsConfig(polarity=CONFIG))
    return SimpleNamespace(seed=0, settings=settings, progress=silent)


def sentiment(label: int | None, unread: str = "never") -> Any:
    return ByFirstTerm(label, unread)


@pytest.fixture(scope="module")
def fitted(job: Any, given: Polarities, encoder: TextEncoder) -> tuple[AspectPolarity | None, dict[str, Any]]:
    return fit_polarity(job, given, encoder, sentiment(None))


def test_it_is_kept_where_it_tells_more_held_out_labels_right(fitted: tuple[AspectPolarity | None, dict[str, Any]]) -> None:
    polarity, report = fitted
    assert polarity is not None
    assert report["kept"]
    assert (report["labels"], report["judged"], report["of_sentences"]) == (144, 28, 0.5)
    assert report["accuracy"] > 0.8


def test_the_files_need_only_the_text_encoder(
    fitted: tuple[AspectPolarity | None, dict[str, Any]], given: Polarities, encoder: TextEncoder
) -> None:
    polarity, _ = fitted
    assert polarity is not None
    again = AspectPolarity.from_files(polarity.to_files(), encoder)
    assert again.digest == polarity.digest
    sentences, mentions = given.rows["sentence"], given.rows.select("begin", "end").with_row_index("sentence")[:8]
    np.testing.assert_array_equal(again.probabilities(sentences, mentions), polarity.probabilities(sentences, mentions))
    other = AspectPolarity(again.model, sentence_encoder(encoder, CONFIG.model_copy(update={"sentence_tokens": 8})))
    assert other.digest != again.digest


class Perfect:
    """Stands in for a fitted network: right for the labels of each sentence whose mark is not given."""

    def __init__(self, wrong: str = "") -> None:
        self.wrong, self.model = wrong, SimpleNamespace(cpu=lambda: None)

    def probabilities(self, sentences: pl.Series, mentions: pl.DataFrame) -> np.ndarray:
        words = [sentences[row][end:].split()[0] for row, end in mentions.select("sentence", "end").rows()]
        marks = [sentences[row][0] for row in mentions["sentence"]]
        right = [JUDGED.index(word) for word in words]
        return np.eye(3)[[(label + 1) % 3 if mark in self.wrong else label for label, mark in zip(right, marks, strict=True)]]


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[LabelledMentions]:
    """What was trained on, instead of training."""
    trained: list[LabelledMentions] = []
    monkeypatch.setattr(reviews, "fit_aspect_polarity", lambda _, labelled, *_more, **_named: (trained.append(labelled), Perfect())[1])
    return trained


def test_no_sentence_trains_and_judges(job: Any, given: Polarities, encoder: TextEncoder, seen: list[LabelledMentions]) -> None:
    _, report = fit_polarity(job, given, encoder, sentiment(None))
    (labelled,) = seen
    trained = set(labelled.sentences.gather(labelled.mentions["sentence"].to_numpy()))
    assert len(trained) == 58
    assert report["judged"] == 2 * (72 - 58)
    words = [labelled.sentences[row][end:].split()[0] for row, end in labelled.mentions.select("sentence", "end").rows()]
    assert [JUDGED.index(word) for word in words] == labelled.labels.tolist()


def test_sentences_without_sentiment_do_not_judge(job: Any, given: Polarities, encoder: TextEncoder, seen: list[LabelledMentions]) -> None:
    _, all_told = fit_polarity(job, given, encoder, sentiment(None))
    some = [mark for mark in "abcdefghij" if fit_polarity(job, given, encoder, sentiment(None, mark))[1]["judged"] < all_told["judged"]]
    assert some
    assert len(seen) == 11
    nobody, report = fit_polarity(job, given, encoder, sentiment(None, ""))
    assert nobody is None
    assert "sentences to judge by" in report["lacking"]


@pytest.mark.parametrize("wrong", ["abcdefghijklmnopqrstuvwxyz", "acegikmoqsuwy", "bdfhjlnprtvxz"])
def test_what_is_not_better_beyond_chance_is_not_kept(
    wrong: str, job: Any, given: Polarities, encoder: TextEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reviews, "fit_aspect_polarity", lambda *_, **_named: Perfect(wrong))
    polarity, report = fit_polarity(job, given, encoder, sentiment(None))
    assert polarity is None
    assert not report["kept"]
    assert report["accuracy"] < 0.7


def test_too_few_labels_train_nothing(job: Any, given: Polarities, encoder: TextEncoder, seen: list[LabelledMentions]) -> None:
    polarity, report = fit_polarity(job, Polarities(given.rows[:99]), encoder, sentiment(None))
    assert (polarity, seen) == (None, [])
    assert report == {"labels": 99, "kept": False, "lacking": "99 usable labels, expected at least 100"}


def test_a_shop_trains_stores_and_reads_by_its_labels(fresh: Callable[[], Place], caplog: pytest.LogCaptureFixture) -> None:
    place = fresh()
    texts = labels(40).filter(pl.col("term") == "tea")["sentence"]
    written = pl.DataFrame({"item_id": "sku-00", "text": texts, "user_id": [f"writer-{i}" for i in range(len(texts))], "rating": 5})
    written.with_columns(timestamp=pl.lit("2024-02-01T12:00:00")).write_csv(place.folder / "reviews.csv")
    place.shop.ingest(items=place.items, interactions=place.log, reviews=place.folder / "reviews.csv")
    labels().write_csv(place.folder / "labels.csv")
    aspects = [f'[[aspect]]\nname = "{name}"\nterms = ["={name}"]\n' for name in ("tea", "bread")]
    (place.folder / "aspects.toml").write_text("".join(aspects), encoding="utf-8")
    files = {"polarities": place.folder / "labels.csv", "aspects": place.folder / "aspects.toml"}
    settings = place.settings.model_copy(update={"reviews": place.settings.reviews.model_copy(update={"polarity": CONFIG, **files})})
    find_or_train.train(place.workspace, settings, TrainOptions())
    card = Bundle.open(place.workspace.models).read("MODEL_CARD.md").decode()
    assert "- polarity of aspects: learned from 144 labels; of the 28 that judge and do not train, it tells" in card
    assert card.split("polarity of aspects: ")[1].splitlines()[0].endswith("; it is used")
    build.build_index(place.workspace, settings)
    mentions = place.shop.recommender.snapshot.reviews.mentions
    words = [sentence.split(aspect)[1].split()[0] for aspect, sentence in mentions.select("aspect", "sentence").rows()]
    told = np.array([JUDGED.index(word) for word in words]) == [SENTIMENTS.index(label) for label in mentions["sentiment"]]
    assert len(told) > 20
    assert told.mean() > 0.6  # a sentiment of the sentence is right for half of them at most
    assert "already there" in find_or_train.train(place.workspace, settings, TrainOptions())
    labels(80)[:144].write_csv(place.folder / "labels.csv")  # the same again
    assert "already there" in find_or_train.train(place.workspace, settings, TrainOptions())
    caplog.clear()
    labels(40).write_csv(place.folder / "labels.csv")
    catalog, log = place.workspace.load(settings.events)
    options = TrainOptions(reviews=place.workspace.load_reviews(catalog, log.user_ids))
    assert TrainingPlan.of(settings, options, (catalog, log), log.end).find(place.workspace.models) is None
    assert "note: labels.csv: 80 usable labels, expected at least 100: nothing is learned from it" in caplog.text
    TrainingPlan.of(settings, TrainOptions(), (catalog, log), log.end)
    assert "note: reviews.polarities is not read, because there are no reviews before the end of the log" in caplog.text
