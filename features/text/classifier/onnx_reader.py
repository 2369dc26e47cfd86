"""A classifier's reader for scoring: the tokenizer, and the encoder with the network as one ONNX graph."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
from tokenizers import Tokenizer

from features.onnx.session import Device, OnnxSession
from features.text.template import token_ids

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

FILES = ("reader.json", "tokenizer.json", "reader.onnx")
TOKENS = 2048  # of a batch, padding included


class Reader(Protocol):
    """The network: texts to logits."""

    @property
    def tokenizer(self) -> Tokenizer:
        """Tokenizer of the text encoder."""
        ...

    def logits(self, texts: Sequence[str]) -> np.ndarray:
        """Return the logits, float32 (n, classes)."""
        ...

    def to_files(self) -> dict[str, bytes]:
        """Return what `OnnxReader.from_files` reads."""
        ...


@dataclass(frozen=True)
class OnnxReader:
    """`features.text.classifier.network.TorchReader` in onnxruntime.

    Attributes
    ----------
    files : those that it was read from.
    """

    tokenizer: Tokenizer
    session: OnnxSession
    prompt: str
    files: Mapping[str, bytes]

    def logits(self, texts: Sequence[str]) -> np.ndarray:
        """Return the logits, float32 (n, classes); texts of similar length are read together.

        There must be at least one text."""
        tokens = token_ids(self.tokenizer, texts, self.prompt)
        lengths = np.array([len(ids) for ids in tokens], dtype=np.int64)
        order = np.argsort(lengths, kind="stable")
        parts: list[np.ndarray] = []
        start = 0
        while start < len(order):
            stop = start + 1
            while stop < len(order) and (stop + 1 - start) * lengths[order[stop]] <= TOKENS:
                stop += 1
            chosen = order[start:stop]
            mask = np.arange(int(lengths[chosen[-1]]))[None, :] < lengths[chosen][:, None]
            ids = np.zeros(mask.shape, dtype=np.int64)
            ids[mask] = np.concatenate([tokens[i] for i in chosen])
            parts.append(self.session(ids=ids, mask=mask))
            start = stop
        return np.concatenate(parts)[np.argsort(order)]

    def to_files(self) -> dict[str, bytes]:
        """Return the files that it was read from."""
        return dict(self.files)

    @classmethod
    def from_files(cls, files: Mapping[str, bytes], device: Device = "cpu") -> OnnxReader:
        """Read the files of `features.text.classifier.export.reader_files`."""
        tokenizer = Tokenizer.from_str(files["tokenizer.json"].decode())
        own = {name: files[name] for name in FILES}
        return cls(tokenizer, OnnxSession(own["reader.onnx"], device), json.loads(own["reader.json"])["prompt"], own)
