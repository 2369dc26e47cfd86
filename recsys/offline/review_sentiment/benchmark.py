"""`recsys benchmark reviews` and `reviews-zh`: the sentiment of reviews beside TF-IDF with logistic regression.

The classifier trains on the training part, and calibrates on the validation part, on which the baseline is tuned.
"""

from __future__ import annotations

import json
import platform
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
from safetensors.numpy import load, save

from eval.metrics.intervals import Bootstrap
from features.errors import ModelError
from features.storage.digests import of_json
from features.text.classifier.export import TorchReader
from features.text.classifier.network import fast_arithmetic, reading
from features.text.coverage import ADVICE, unread_texts
from features.text.encoder import TextEncoder
from features.text.sentiment.few_shot import fit_few
from features.text.sentiment.model import SentimentModel
from features.text.sentiment.trainer import HELD_OUT, LabelledTexts, fit_rated
from features.text.sentiment.words import STRENGTH
from recsys.artifacts.job_cache import read_files, write_files
from recsys.environment import usable_cores, versions
from recsys.offline.review_sentiment import baselines
from recsys.offline.review_sentiment.dataset import LabelledReviews, Language, read_reviews
from recsys.offline.review_sentiment.result import NAMES, OURS, Runs, SentimentResult, row_of
from recsys.progress import terminal_progress
from recsys.settings.presets import find_device
from recsys.training.pipeline import MODEL_VERSION

if TYPE_CHECKING:
    from pathlib import Path

    import torch

    from features.text.sentiment.config import SentimentConfig
    from recsys.settings.names import Device
    from recsys.settings.settings import Settings
    from recsys.workspace.workspace import Workspace

SEEDS, DRAWS, PER_CLASS = 3, 5, 16
RATED, FEW, NONE = "all ratings", f"{PER_CLASS} labels a class, {DRAWS} draws", "no labels"
TF_IDF, SENTENCES = "TF-IDF + logistic regression", "the same with the packaged sentences"


def run_reviews(
    workspace: Workspace, settings: Settings, config: SentimentConfig, folder: Path, language: Language, options: tuple[Device, int]
) -> SentimentResult:
    """Run the benchmark and write its JSON to reports/; finished trainings are not repeated.

    Parameters
    ----------
    options : the device, and the first of the seeds.

    Raises
    ------
    DataError
        If the data is missing or incomplete.
    ModelError
        If the text encoder does not read the language.
    """
    device, seed = options
    data = read_reviews(folder, language)
    name = NAMES[language]
    bench = SentimentBench(data, language, settings, config, workspace.root / f"benchmark-{name}", find_device(device), seed)
    result = bench.result()
    workspace.write_benchmark(name, result.to_json())
    return result


@dataclass(frozen=True)
class SentimentBench:
    """One run of the benchmark.

    Attributes
    ----------
    folder : for probabilities of finished trainings.
    seed : the first of the seeds.
    """

    data: LabelledReviews
    language: Language
    settings: Settings
    config: SentimentConfig
    folder: Path
    device: torch.device
    seed: int

    def result(self) -> SentimentResult:
        """Return the table."""
        if unread_texts(self.encoder.tokenizer, pl.Series(self.data.texts[:1000])).mean() > 0.5:  # pyright: ignore[reportOperatorIssue, reportOptionalOperand]
            raise ModelError(f"{self.settings.encoder.model} does not read these reviews: {ADVICE}")
        chosen, baseline = self.baseline()
        seeds = range(self.seed, self.seed + SEEDS)
        systems = [(RATED, TF_IDF, [baseline]), (RATED, OURS, [self.rated(seed) for seed in seeds])]
        if self.language == "en":
            plain, more, ours = zip(*(self.few(number) for number in range(DRAWS)), strict=True)
            systems += [(FEW, TF_IDF, list(plain)), (FEW, SENTENCES, list(more)), (FEW, OURS, list(ours))]
            systems += [(NONE, OURS, [self.unlabelled()])]
        labels, boot, rows = self.data.labels[self.data.rows("test")], Bootstrap(), []
        for part, name, runs in systems:
            base = next(found for where, _, found in systems if where == part)
            rows.append(row_of(part, name, labels, runs, base, boot))
        return SentimentResult(
            name=NAMES[self.language],
            reviews={part: len(self.data.rows(part)) for part in ("train", "valid", "test")},
            rows=tuple(rows),
            settings={"seeds": list(seeds), "sentiment": self.config.model_dump(), "tuned": chosen, "encoder": self.settings.encoder.model},
            versions=versions(),
            machine={"cores": usable_cores(), "device": self.device.type, "system": platform.machine()},
        )

    @cached_property
    def encoder(self) -> TextEncoder:
        """The pretrained text encoder."""
        return TextEncoder.pretrained(self.settings.encoder).to(self.device)

    def baseline(self) -> tuple[dict[str, Any], Runs]:
        """Return the tuned baseline's setting, and what it says of the test part."""
        facts = {"grid": baselines.GRID[self.language]}
        place = self._place("baseline", facts)
        if not place.is_dir():
            setting, probabilities = baselines.tuned(self.data, self.language)
            write_files(place, {"probabilities.safetensors": save({"ours": probabilities}), "setting.json": json.dumps(setting).encode()})
        files = read_files(place)
        probabilities = load(files["probabilities.safetensors"])["ours"]
        return json.loads(files["setting.json"]), Runs(probabilities, probabilities.argmax(axis=1))

    def rated(self, seed: int) -> Runs:
        """Return what the classifier says of the test part, trained on all ratings."""
        facts = {"version": MODEL_VERSION, "words": STRENGTH, "held_out": HELD_OUT, "seed": seed}
        place = self._place("rated", facts | {"encoder": self.encoder.fingerprint, "config": self.config.model_dump()})
        if not place.is_dir():
            files = self._rated(seed).to_files()
            found = SentimentModel.from_files(files).read(self.data.texts_of(self.data.rows("test")))  # as a shop scores its reviews
            write_files(place, files | {"test.safetensors": save({"probabilities": found.probabilities, "told": found.labels})})
        arrays = load(read_files(place)["test.safetensors"])
        return Runs(arrays["probabilities"], arrays["told"])

    def _rated(self, seed: int) -> SentimentModel:
        data = self.data
        valid = np.random.default_rng(seed).permutation(data.rows("valid"))[:HELD_OUT]
        rows = np.concatenate([data.rows("train"), valid])
        held = data.part[rows] == "valid"
        return fit_rated(self.encoder, LabelledTexts(data.texts_of(rows), data.labels[rows]), held, self.config, seed, terminal_progress)

    def few(self, number: int) -> tuple[Runs, Runs, Runs]:
        """Return what the baseline, the baseline with the packaged sentences, and the classifier say, trained on few labels."""
        data, rows = self.data, self.data.draw(PER_CLASS, number)
        found = (baselines.few(data, rows, sentences=sentences) for sentences in (False, True))
        plain, more = (Runs(probabilities, probabilities.argmax(axis=1)) for probabilities in found)
        return plain, more, self._frozen(fit_few(self.reader, data.texts_of(rows), data.labels[rows], number))

    def unlabelled(self) -> Runs:
        """Return what the classifier says that starts from the packaged sentences alone."""
        return self._frozen(fit_few(self.reader, [], np.zeros(0, dtype=np.int64), 0))

    def _frozen(self, model: SentimentModel) -> Runs:
        """Return what a classifier over frozen vectors says: all draws share the vectors."""
        assert isinstance(model.reader, TorchReader)
        head = model.reader.network.head
        logits = self.vectors @ head.weight.detach().cpu().numpy().T + head.bias.detach().cpu().numpy()
        probabilities = model.calibration.probabilities([logits])
        return Runs(probabilities, model.labels(probabilities))

    @cached_property
    def reader(self) -> TextEncoder:
        """The text encoder, reading as many tokens as the classifier does."""
        return reading(self.encoder, self.config.layers, self.config.max_tokens)

    @cached_property
    def vectors(self) -> np.ndarray:
        """Vectors of the test part by the frozen encoder, float32 (n, dim)."""
        place = self._place("vectors", {"encoder": self.reader.fingerprint})
        if not place.is_dir():
            with fast_arithmetic(self.reader):
                vectors = self.reader.encode(self.data.texts_of(self.data.rows("test")))
            write_files(place, {"vectors.safetensors": save({"vectors": vectors})})
        return load(read_files(place)["vectors.safetensors"])["vectors"]

    def _place(self, name: str, facts: dict[str, Any]) -> Path:
        return self.folder / f"{name}-{of_json({'data': self.data.digest, **facts})[:16]}"
