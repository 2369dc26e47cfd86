"""The intent of a text, and a calibrated probability that it has any of the intents at all."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
from safetensors.numpy import load, save
from scipy.special import expit, logsumexp, softmax

from features.errors import BundleError
from features.text.classifier.onnx_reader import OnnxReader
from features.text.classifier.readable import Unread, find_unread

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
class IntentModel:
    """A fitted classifier.

    Attributes
    ----------
    names : of the intents, in the order of the probabilities.
    about : how it was trained.
    """

    reader: Reader
    names: tuple[str, ...]
    arrays: Mapping[str, np.ndarray]
    about: Mapping[str, Any] = field(default_factory=dict)

    def read(self, texts: Sequence[str | None]) -> Intents:
        """Return the intents of texts; each distinct text is read once."""
        clean = clean_texts(texts)
        distinct = clean.unique(maintain_order=True).to_list()
        unread = find_unread(distinct, self.reader.tokenizer, None)
        probabilities = np.full((len(distinct), len(self.names)), np.nan, dtype=np.float32)
        known = np.zeros(len(distinct), dtype=np.float32)
        rows = np.flatnonzero(~unread.rows)
        if len(rows):
            logits = self.reader.logits([distinct[int(i)] for i in rows])
            probabilities[rows] = softmax(logits, axis=1)
            known[rows] = expit(logsumexp(logits, axis=1) * self.arrays["slope"] + self.arrays["intercept"])
        labels = np.where(known < self.arrays["threshold"], NO_INTENT, np.nan_to_num(probabilities, nan=0).argmax(axis=1))
        labels = np.where(unread.rows, NO_INTENT, labels).astype(np.int64)
        row_of = {text: row for row, text in enumerate(distinct)}
        place = np.array([row_of[text] for text in clean.to_list()], dtype=np.int64)
        return Intents(
            probabilities[place], known[place], labels[place], Unread(unread.empty[place], unread.foreign[place], unread.example)
        )

    def to_files(self) -> dict[str, bytes]:
        """Return the reader as an ONNX graph, arrays as safetensors, and the rest as JSON."""
        about = {"names": list(self.names), "about": dict(self.about)}
        return self.reader.to_files() | {
            "intents.json": json.dumps(about, ensure_ascii=False).encode(),
            "intents.safetensors": save(dict(self.arrays)),
        }

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
            return cls(OnnxReader.from_files(files, device), tuple(about["names"]), arrays, about["about"])
        except KeyError as error:
            raise BundleError(f"the intent classifier lacks {error.args[0]!r}: train it again, or roll back") from error


def clean_texts(texts: Sequence[str | None]) -> pl.Series:
    """Return the texts as they are read: white space becomes one space, and what exceeds `LONGEST` is cut; null is empty."""
    column = pl.Series(texts, dtype=pl.String).fill_null("")
    return column.str.slice(0, LONGEST).str.replace_all(r"[\s\p{C}]+", " ").str.strip_chars()
