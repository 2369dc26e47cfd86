"""`recsys benchmark intents`: what a customer wants, from all examples, from ten and from five; and whether it is none of the intents.

TF-IDF with a linear SVM, and logistic regression over the frozen encoder, learn from the same examples. Whether a text has no intent is
judged with every third intent held back, from the first, the second and the third on.
"""

from __future__ import annotations

import json
import logging
import platform
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from safetensors.numpy import load, save

from eval.metrics.intervals import Bootstrap
from features.storage.digests import of_json
from features.text.classifier.network import UpperNetwork, fast_arithmetic, reading
from features.text.classifier.onnx_reader import OnnxReader
from features.text.encoder import TextEncoder
from features.text.intents.config import IntentConfig
from features.text.intents.trainer import Examples, fit_upon, trained_reader, two_vectors
from recsys.artifacts.job_cache import read_files, write_files
from recsys.environment import usable_cores
from recsys.offline.benchmark import versions
from recsys.offline.intents import baselines
from recsys.offline.intents.dataset import THIRDS, LabelledIntents, read_intents
from recsys.offline.intents.result import NAME, OURS, IntentResult, IntentRow, NoneScores, accuracy_row, none_row
from recsys.progress import terminal_progress
from recsys.settings.presets import find_device
from recsys.training.pipeline import MODEL_VERSION

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import torch

    from recsys.settings.names import Device
    from recsys.settings.settings import Settings
    from recsys.workspace.workspace import Workspace

_log = logging.getLogger(__name__)
CONFIG = IntentConfig()
DRAWS = 3
PARTS: dict[str, int | None] = {"all examples": None, "10 examples": 10, "5 examples": 5}
TF_IDF, FROZEN = "TF-IDF + SVM", "frozen encoder"
Arrays = dict[str, np.ndarray]


def run_intents(workspace: Workspace, settings: Settings, folder: Path, device: Device, seed: int) -> IntentResult:
    """Run the benchmark and write its JSON to reports/; finished steps are not repeated.

    Raises
    ------
    DataError
        If the data is missing or incomplete.
    """
    data = read_intents(folder)
    bench = IntentBench(data, settings, workspace.root / f"benchmark-{NAME}", find_device(device), seed, CONFIG)
    result = bench.result()
    workspace.write_benchmark(NAME, result.to_json())
    return result


@dataclass(frozen=True)
class IntentBench:
    """One run of the benchmark.

    Attributes
    ----------
    folder : for finished steps.
    seed : of the training.
    """

    data: LabelledIntents
    settings: Settings
    folder: Path
    device: torch.device
    seed: int
    config: IntentConfig

    def result(self) -> IntentResult:
        """Return the table."""
        rows = [*(row for part in PARTS for row in self._accuracies(part)), *(row for third in range(THIRDS) for row in self._none(third))]
        return IntentResult(
            texts={"train": len(self.data.rows(test=False)), "test": len(self.data.rows(test=True))},
            rows=tuple(rows),
            settings={"seed": self.seed, "intents": self.config.model_dump(), "encoder": self.settings.encoder.model},
            versions=versions(),
            machine={"cores": usable_cores(), "device": self.device.type, "system": platform.machine()},
        )

    @cached_property
    def encoder(self) -> TextEncoder:
        """The pretrained text encoder, divided and limited as the classifier's."""
        return reading(TextEncoder.pretrained(self.settings.encoder).to(self.device), self.config.layers, self.config.max_tokens)

    @cached_property
    def vectors(self) -> np.ndarray:
        """Vectors of all texts by the frozen encoder, float32 (n, dim)."""
        return self._kept("vectors", {}, self._encoded)["vectors"]

    def _encoded(self) -> Arrays:
        with fast_arithmetic(self.encoder):
            return {"vectors": self.encoder.encode(self.data.texts)}

    def _accuracies(self, part: str) -> Iterator[IntentRow]:
        data, boot = self.data, Bootstrap()
        labels = data.labels[data.rows(test=True)]
        right: dict[str, list[np.ndarray]] = {name: [] for name in (TF_IDF, FROZEN, OURS)}
        for draw in range(DRAWS if PARTS[part] is not None else 1):
            facts = {"examples": PARTS[part], "draw": draw}
            told = self._kept("told", facts | baselines.grid(), lambda draw=draw: self._baselines(PARTS[part], draw))
            told |= {OURS: self._kept("ours", facts | self._own, lambda draw=draw: self._ours(PARTS[part], draw))["told"]}
            for name, runs in right.items():
                runs.append(told[name] == labels)
        for name, runs in right.items():
            yield accuracy_row(part, name, runs, right[FROZEN], boot)

    def _baselines(self, per_intent: int | None, draw: int) -> Arrays:
        """Return the intents that both baselines tell of the test texts."""
        data, rows, test = self.data, self.data.draw(per_intent, draw), self.data.rows(test=True)
        labels = data.labels[rows]
        told, setting = baselines.tf_idf(data.texts_of(rows), labels, data.texts_of(test))
        logits, other = baselines.regression(self.vectors[rows], labels, self.vectors[test])
        _log.info("tuned on %d examples: %s", len(rows), json.dumps({TF_IDF: setting, FROZEN: other}))
        return {TF_IDF: told, FROZEN: logits.argmax(axis=1)}

    def _ours(self, per_intent: int | None, draw: int) -> Arrays:
        """Return the most probable intent of each test text; whether it has one at all is judged elsewhere."""
        data, rows = self.data, self.data.draw(per_intent, draw)
        seed, examples = self.seed + draw, Examples.of(data.texts_of(rows), data.labels[rows], data.names)
        place = self._place("reader", {"examples": per_intent, "draw": draw} | self._own)
        if not place.is_dir():
            write_files(place, trained_reader(self.encoder, examples, self.config, seed, terminal_progress).to_files())
        found = fit_upon(OnnxReader.from_files(read_files(place)), examples, self.config, seed).read(data.texts_of(data.rows(test=True)))
        told = np.where(np.isnan(found.probabilities[:, 0]), -1, np.nan_to_num(found.probabilities).argmax(axis=1))
        return {"told": told, "known": found.known, "confidence": found.probabilities.max(axis=1)}

    def _none(self, third: int) -> Iterator[IntentRow]:
        part = f"every third intent held back, from number {third + 1} on"
        scores = self._kept("none", {"third": third} | baselines.grid() | self._own, lambda: self._none_scores(third))
        of = {name: NoneScores(scores[f"{name}.known"], scores[f"{name}.none"]) for name in ("highest softmax", "energy", OURS)}
        for name, one in of.items():
            row = name if name == OURS else f"{FROZEN}, {name}"
            yield none_row(part, row, one, of["highest softmax"], Bootstrap(), probability=name == OURS)

    def _none_scores(self, third: int) -> Arrays:
        data, test = self.data, self.data.rows(test=True)
        held = data.held_back(third)
        train = data.rows(test=False)
        train = train[~np.isin(data.labels[train], held)]
        kept, labels = np.unique(data.labels[train], return_inverse=True)
        logits, _ = baselines.regression(self.vectors[train], labels, self.vectors[test])
        examples = Examples.of(data.texts_of(train), labels, [data.names[int(label)] for label in kept])
        found = fit_upon(self.untrained, examples, self.config, self.seed).read(data.texts_of(test))
        none = np.isin(data.labels[test], held)
        scores = baselines.softmax_and_energy(logits) | {OURS: found.known}
        return {f"{name}.{kind}": of[rows] for name, of in scores.items() for kind, rows in (("known", ~none), ("none", none))}

    @cached_property
    def untrained(self) -> OnnxReader:
        """A reader whose upper layers were not trained: the probability of any intent at all does not read those that were."""
        return two_vectors(self.encoder, UpperNetwork.upon(self.encoder, 1, unit=True))

    @property
    def _own(self) -> dict[str, Any]:
        return {"version": MODEL_VERSION, "seed": self.seed, "config": self.config.model_dump()}

    def _kept(self, name: str, facts: dict[str, Any], work: Callable[[], Arrays]) -> Arrays:
        """Return arrays that depend on the data, the encoder and the facts; computed once."""
        place = self._place(name, facts)
        if not place.is_dir():
            arrays = {key: np.ascontiguousarray(array) for key, array in work().items()}
            write_files(place, {"arrays.safetensors": save(arrays)})
        return load(read_files(place)["arrays.safetensors"])

    def _place(self, name: str, facts: dict[str, Any]) -> Path:
        return self.folder / f"{name}-{of_json({'data': self.data.digest, 'encoder': self.encoder.fingerprint, **facts})[:16]}"
