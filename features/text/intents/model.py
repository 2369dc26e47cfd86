"""The intent of a text, and a calibrated probability that it has any of the intents at all."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
from safetensors.numpy import load, save
from scipy.special import log_softmax, softmax

from features.errors import BundleError
from features.text.classifier.onnx_reader import OnnxReader
from features.text.classifier.readable import Unread, find_unread
from features.text.intents.known import KnownTexts
from features.text.intents.regression import Regression
from features.text.intents.words import WordMargins

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from features.onnx.session import Device
    from features.text.classifier.onnx_reader import Reader

NO_INTENT = -1
LONGEST = 4_000  # characters of a text that are read; the encoder's limit in tokens comes before it


@dataclass(frozen=True)
class Intents:
    """The intents of n texts.

    Attributes
    ----------
    probabilities : of each intent, given that the text has one, float32 (n, classes); nan for a text that is not read.
    known : calibrated probability that the text has any of the intents, float32 (n,); 0 for a text that is not read.
    labels : the intent to tell, int64 (n,); -1 where the text has most likely none, or is not read.
    unread : which texts are not read, and why.
    """

    probabilities: np.ndarray
    known: np.ndarray
    labels: np.ndarray
    unread: Unread

    @property
    def notes(self) -> tuple[str, ...]:
        """What to tell the user about texts that are not read, if anything."""
        return self.unread.notes("texts", "no intent")


@dataclass(frozen=True)
class Classes:
    """The intent of a text: regressions over the encoder's own vector and over that of the trained layers, and margins of words, mixed.

    Attributes
    ----------
    mix : weight of the log-probabilities of each regression, and of the margins, float64 (3,).
    """

    own: Regression
    tuned: Regression
    mix: np.ndarray

    def probabilities(self, own: np.ndarray, tuned: np.ndarray, margins: np.ndarray) -> np.ndarray:
        """Return probabilities from the logits of both and the margins, (n, classes) each, float32 (n, classes)."""
        parts = (log_softmax(own, axis=1), log_softmax(tuned, axis=1), margins)
        return softmax(np.tensordot(self.mix, np.stack(parts), axes=1), axis=1).astype(np.float32)

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Return the arrays by name."""
        return self.own.to_arrays("own") | self.tuned.to_arrays("tuned") | {"mix": self.mix}

    @classmethod
    def of_arrays(cls, arrays: Mapping[str, np.ndarray]) -> Classes:
        """Read what `to_arrays` gave."""
        return cls(Regression.of_arrays(arrays, "own"), Regression.of_arrays(arrays, "tuned"), arrays["mix"])


@dataclass(frozen=True)
class IntentModel:
    """A fitted classifier.

    Attributes
    ----------
    reader : gives the encoder's own vector and that of the trained layers, side by side.
    names : of the intents, in the order of the probabilities.
    words : of the examples; they count as read, whatever their language.
    about : how it was trained.
    """

    reader: Reader
    names: tuple[str, ...]
    classes: Classes
    known: KnownTexts
    words: WordMargins
    about: Mapping[str, Any] = field(default_factory=dict)

    def read(self, texts: Sequence[str | None]) -> Intents:
        """Return the intents of texts; each distinct text is read once."""
        clean = clean_texts(texts)
        distinct = clean.unique(maintain_order=True).to_list()
        unread = find_unread(distinct, self.reader.tokenizer, self.words)
        probabilities = np.full((len(distinct), len(self.names)), np.nan, dtype=np.float32)
        known = np.zeros(len(distinct), dtype=np.float32)
        labels = np.full(len(distinct), NO_INTENT, dtype=np.int64)
        rows = np.flatnonzero(~unread.rows)
        if len(rows):
            some = [distinct[int(i)] for i in rows]
            own, tuned = np.split(self.reader.logits(some), 2, axis=1)
            logits = self.classes.own.logits(own)
            probabilities[rows] = self.classes.probabilities(logits, self.classes.tuned.logits(tuned), self.words.margins(some))
            known[rows] = self.known.probabilities(logits, own)
            labels[rows] = np.where(known[rows] < self.known.threshold, NO_INTENT, probabilities[rows].argmax(axis=1))
        row_of = {text: row for row, text in enumerate(distinct)}
        place = np.array([row_of[text] for text in clean.to_list()], dtype=np.int64)
        return Intents(
            probabilities[place], known[place], labels[place], Unread(unread.empty[place], unread.foreign[place], unread.example)
        )

    def to_files(self) -> dict[str, bytes]:
        """Return the reader as an ONNX graph, arrays as safetensors, and the rest as JSON."""
        about = {"names": list(self.names), "about": dict(self.about)}
        arrays = self.classes.to_arrays() | self.known.to_arrays()
        # safetensors writes the bytes as they lie, whatever the order of the axes.
        own = {
            "intents.json": json.dumps(about, ensure_ascii=False).encode(),
            "intents.safetensors": save({name: np.ascontiguousarray(array) for name, array in arrays.items()}),
        }
        return self.reader.to_files() | self.words.to_files() | own

    @classmethod
    def from_files(cls, files: Mapping[str, bytes], device: Device = "cpu") -> IntentModel:
        """Read the files of `to_files`; reading texts needs no torch.

        Raises
        ------
        BundleError
            If a file is missing.
        """
        try:
            arrays, about = load(files["intents.safetensors"]), json.loads(files["intents.json"])
            reader, words = OnnxReader.from_files(files, device), WordMargins.from_files(files)
            return cls(reader, tuple(about["names"]), Classes.of_arrays(arrays), KnownTexts.of_arrays(arrays), words, about["about"])
        except KeyError as error:
            raise BundleError(f"the intent classifier lacks {error.args[0]!r}: train it again, or roll back") from error


def clean_texts(texts: Sequence[str | None]) -> pl.Series:
    """Return the texts as they are read: white space becomes one space, and what exceeds `LONGEST` is cut; null is empty."""
    column = pl.Series(texts, dtype=pl.String).fill_null("")
    return column.str.slice(0, LONGEST).str.replace_all(r"[\s\p{C}]+", " ").str.strip_chars()
