"""The sentiment of reviews: calibrated probabilities of negative, neutral and positive, and no opinion where the text is not read.

The text encoder with a head, and a regression over TF-IDF of the words, are mixed and calibrated on reviews that trained neither. A review
whose words alone settle its class is not read by the encoder: on a shop's praise, that saves half of the time.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
from safetensors.numpy import load, save

from features.errors import BundleError
from features.progress import silent
from features.text.classifier.onnx_reader import OnnxReader
from features.text.classifier.readable import BLOCK, Unread, find_unread
from features.text.sentiment.calibration import SentimentCalibration
from features.text.sentiment.labels import CLASSES
from features.text.sentiment.words import WordModel

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from features.onnx.session import Device
    from features.progress import Progress
    from features.text.classifier.onnx_reader import Reader

LONGEST = 4_000  # characters of a review that are read; the encoder's limit in tokens comes before it


@dataclass(frozen=True)
class Sentiments:
    """The sentiment of n texts.

    Attributes
    ----------
    probabilities : of negative, neutral and positive, float32 (n, 3); nan without an opinion.
    labels : the class to tell, int64 (n,); -1 without an opinion.
    unread : which texts have no opinion, and why.
    """

    probabilities: np.ndarray
    labels: np.ndarray
    unread: Unread

    @property
    def notes(self) -> tuple[str, ...]:
        """What to tell the user about texts without an opinion, if anything."""
        return self.unread.notes("reviews", "no sentiment")


@dataclass(frozen=True)
class Words:
    """The regression over words, and when it decides alone.

    Attributes
    ----------
    alone : its calibration without the encoder.
    settled : probability from which it decides alone.
    """

    model: WordModel
    alone: SentimentCalibration
    settled: float


@dataclass(frozen=True)
class SentimentModel:
    """A fitted classifier.

    Attributes
    ----------
    words : None where too few reviews were labelled for them.
    about : how it was trained: the way, and counts of rows.
    """

    reader: Reader
    words: Words | None
    calibration: SentimentCalibration
    about: Mapping[str, Any] = field(default_factory=dict)

    def probabilities(self, texts: Sequence[str | None]) -> np.ndarray:
        """Return the probabilities of negative, neutral and positive, float32 (n, 3); nan without an opinion."""
        return self.read(texts).probabilities

    def labels(self, probabilities: np.ndarray) -> np.ndarray:
        """Return the class to tell, int64 (n,); -1 without an opinion.

        It is not the class of the highest probability: see `features.text.sentiment.calibration`.
        """
        return self.calibration.labels(probabilities)

    def read(self, texts: Sequence[str | None], progress: Progress = silent) -> Sentiments:
        """Return probabilities and classes, and what was not read; each distinct text is read once."""
        clean = review_texts(texts)
        distinct = clean.unique(maintain_order=True).to_list()
        found = np.full((len(distinct), len(CLASSES)), np.nan, dtype=np.float32)
        empty, foreign, example = np.zeros(len(distinct), dtype=bool), np.zeros(len(distinct), dtype=bool), ""
        with progress("sentiment of reviews", len(distinct)) as step:
            for start in range(0, len(distinct), BLOCK):
                some, place = distinct[start : start + BLOCK], slice(start, start + BLOCK)
                unread = find_unread(some, self.reader.tokenizer, None if self.words is None else self.words.model)
                empty[place], foreign[place], example = unread.empty, unread.foreign, example or unread.example
                rows = np.flatnonzero(~unread.rows)
                if len(rows):
                    found[start + rows] = self._probabilities([some[int(i)] for i in rows])
                step(len(some))
        row_of = {text: row for row, text in enumerate(distinct)}
        rows = np.array([row_of[text] for text in clean.to_list()], dtype=np.int64)
        return Sentiments(found[rows], self.labels(found)[rows], Unread(empty[rows], foreign[rows], example))

    def _probabilities(self, texts: Sequence[str]) -> np.ndarray:
        if self.words is None:
            return self.calibration.probabilities([self.reader.logits(texts)])
        logits = self.words.model.logits(texts)
        out = self.words.alone.probabilities([logits])
        rest = np.flatnonzero(out.max(axis=1) < self.words.settled)
        if len(rest):
            out[rest] = self.calibration.probabilities([self.reader.logits([texts[int(i)] for i in rest]), logits[rest]])
        return out

    def to_files(self) -> dict[str, bytes]:
        """Return the reader as an ONNX graph, arrays as safetensors, and the rest as JSON."""
        files, arrays = self.reader.to_files(), self.calibration.to_arrays()
        about: dict[str, Any] = {"about": dict(self.about)}
        if self.words is not None:
            files |= self.words.model.to_files()
            arrays |= {f"alone.{name}": array for name, array in self.words.alone.to_arrays().items()}
            about["settled"] = self.words.settled
        return files | {"sentiment.json": json.dumps(about).encode(), "sentiment.safetensors": save(arrays)}

    @classmethod
    def from_files(cls, files: Mapping[str, bytes], device: Device = "cpu") -> SentimentModel:
        """Read the files of `to_files`; scoring needs no torch.

        Raises
        ------
        BundleError
            If a file is missing.
        """
        try:
            arrays, about = load(files["sentiment.safetensors"]), json.loads(files["sentiment.json"])
            words = None
            if "settled" in about:
                words = Words(WordModel.from_files(files), SentimentCalibration.of_arrays(arrays, "alone."), about["settled"])
            return cls(OnnxReader.from_files(files, device), words, SentimentCalibration.of_arrays(arrays), about["about"])
        except KeyError as error:
            raise BundleError(f"the sentiment classifier lacks {error.args[0]!r}: train it again, or roll back") from error


def review_texts(texts: Sequence[str | None]) -> pl.Series:
    """Return the texts as they are read: white space becomes one space, and what exceeds `LONGEST` is cut; null is empty."""
    column = pl.Series(texts, dtype=pl.String).fill_null("")
    return column.str.slice(0, LONGEST).str.replace_all(r"[\s\p{C}]+", " ").str.strip_chars()
