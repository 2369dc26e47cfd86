"""`recsys benchmark aspects`: whether a sentence praises or blames a term in it.

TF-IDF and the frozen text encoder are tuned by cross-validation on the training sentences. The cross-encoder is fine-tuned on
them, laptops and restaurants together, once for each seed. Another one saw stars of reviews and nobody's labels.
"""

from __future__ import annotations

import json
import platform
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from safetensors.numpy import load, save

from eval.metrics.intervals import Bootstrap
from features.storage.digests import of_json
from features.text.encoder import TextEncoder
from ranking.cross_encoder.aspect_polarity import fit_aspect_polarity
from ranking.cross_encoder.config import SentenceTermConfig
from recsys.artifacts.job_cache import read_files, write_files
from recsys.environment import usable_cores, versions
from recsys.offline.aspect_polarity.baselines import FOLDS, NEAR, NGRAMS, C, frozen, tfidf
from recsys.offline.aspect_polarity.dataset import SETS, AspectTerms, read_aspect_terms, starred_mentions
from recsys.offline.aspect_polarity.result import NAME, OURS, PolarityResult, row_of
from recsys.progress import terminal_progress
from recsys.settings.presets import find_device
from recsys.training.pipeline import MODEL_VERSION

if TYPE_CHECKING:
    from pathlib import Path

    import torch

    from ranking.cross_encoder.aspect_polarity import LabelledMentions
    from recsys.settings.names import Device
    from recsys.settings.settings import Settings
    from recsys.workspace.workspace import Workspace

CONFIG = SentenceTermConfig()
SEEDS = 5
STARS_SEEDS = 1
MOST_REVIEWS = 4000  # of each set with stars
MAX_TOKENS = 96
TFIDF, FROZEN, STARS = "TF-IDF", "frozen encoder", "cross-encoder, from stars alone"


def run_aspects(workspace: Workspace, settings: Settings, folder: Path, device: Device, seed: int) -> PolarityResult:
    """Run the benchmark and write its JSON to reports/; finished trainings are not repeated.

    Raises
    ------
    DataError
        If the data is missing or incomplete.
    """
    data, starred = read_aspect_terms(folder), starred_mentions(folder, MOST_REVIEWS)
    place = workspace.root / f"benchmark-{NAME}"
    bench = PolarityBench(data, starred, settings, place, find_device(device), tuple(range(seed, seed + SEEDS)), CONFIG)
    result = bench.result()
    workspace.write_benchmark(NAME, result.to_json())
    return result


@dataclass(frozen=True)
class PolarityBench:
    """One run of the benchmark.

    Attributes
    ----------
    starred : mentions in reviews with stars; None where there are none.
    folder : for predictions that take long.
    """

    data: AspectTerms
    starred: LabelledMentions | None
    settings: Settings
    folder: Path
    device: torch.device
    seeds: tuple[int, ...]
    config: SentenceTermConfig

    def result(self) -> PolarityResult:
        """Return the table."""
        chosen: dict[str, Any] = {}
        classes: dict[str, list[np.ndarray]] = {}
        for name in (TFIDF, FROZEN):
            found = {dataset: self._baseline(name, dataset) for dataset in SETS}
            chosen[name] = {SETS[dataset]: setting for dataset, (_, setting) in found.items()}
            classes[name] = [self._together({dataset: predicted for dataset, (predicted, _) in found.items()})]
        if self.starred is not None:
            classes[STARS] = [self._trained(STARS, self.starred, seed) for seed in self.seeds[:STARS_SEEDS]]
        classes[OURS] = [self._trained(OURS, self.data.training, seed) for seed in self.seeds]
        test = self.data.part(True)
        right = {name: [(one == self.data.labels)[test] for one in columns] for name, columns in classes.items()}
        sets = {name: self.data.part(True, dataset)[test] for dataset, name in SETS.items()}
        boot, base, clusters = Bootstrap(), right[TFIDF][0], self.data.mentions["sentence"].to_numpy()[test]
        return PolarityResult(
            mentions={name: int(judged.sum()) for name, judged in sets.items()},
            rows=tuple(row_of(name, seeds, base, sets, (boot, clusters)) for name, seeds in right.items()),
            settings={"seeds": list(self.seeds), "cross_encoder": self.config.model_dump(), "tuned": chosen},
            versions=versions(),
            machine={"cores": usable_cores(), "device": self.device.type, "system": platform.machine()},
        )

    def _together(self, predicted: dict[str, np.ndarray]) -> np.ndarray:
        """Return the classes of all mentions, int64 (m,); -1 where a dataset's baseline judged none."""
        out = np.full(len(self.data.mentions), -1, dtype=np.int64)
        for dataset, classes in predicted.items():
            out[self.data.part(True, dataset)] = classes
        return out

    def _baseline(self, name: str, dataset: str) -> tuple[np.ndarray, dict[str, Any]]:
        facts = {"name": name, "data": self.data.digest, "dataset": dataset, "encoder": self.encoder.fingerprint}
        place = self.folder / f"baseline-{of_json(facts | {'grid': [C, NGRAMS, NEAR, FOLDS]})[:16]}"
        if not place.is_dir():
            found = tfidf(self.data, dataset) if name == TFIDF else frozen(self.data, dataset, self.encoder)
            write_files(place, {"classes.safetensors": save({"classes": found[0]}), "chosen.json": json.dumps(found[1]).encode()})
        files = read_files(place)
        return load(files["classes.safetensors"])["classes"], json.loads(files["chosen.json"])

    def _trained(self, name: str, labelled: LabelledMentions, seed: int) -> np.ndarray:
        """Return the class of each mention by a cross-encoder trained with a seed, int64 (m,)."""
        facts = {"version": MODEL_VERSION, "name": name, "data": self.data.digest, "encoder": self.encoder.fingerprint, "seed": seed}
        facts |= {"config": self.config.model_dump(), "labels": of_json([labelled.labels.tolist(), labelled.weights.tolist()])}
        place = self.folder / f"cross-encoder-{of_json(facts)[:16]}"
        if not place.is_dir():
            work = place.with_suffix(".training")
            fitted = fit_aspect_polarity(self.encoder, labelled, self.config, seed, work, terminal_progress)
            probabilities = fitted.probabilities(self.data.sentences, self.data.mentions, terminal_progress)
            write_files(place, {"probabilities.safetensors": save({"probabilities": probabilities})})
        return load(read_files(place)["probabilities.safetensors"])["probabilities"].argmax(axis=1)

    @cached_property
    def encoder(self) -> TextEncoder:
        """The pretrained text encoder, for whole sentences."""
        config = self.settings.encoder
        config = config.model_copy(update={"max_tokens": max(config.max_tokens, MAX_TOKENS)})
        return TextEncoder.pretrained(config).to(self.device)
