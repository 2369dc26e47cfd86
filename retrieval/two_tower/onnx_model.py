"""The towers at inference: the user tower and the query encoder as ONNX graphs, run by onnxruntime."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from tokenizers import Tokenizer

from features.onnx.session import Device, OnnxSession
from features.text.template import token_ids
from retrieval.two_tower.config import TowerConfig
from retrieval.two_tower.user_inputs import BATCH, recent_of, user_inputs

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from features.data.histories import Histories


@dataclass(frozen=True)
class OnnxUserTower:
    """The user tower of `retrieval.two_tower.model.TwoTower` as a graph. Implements `UserTower`."""

    session: OnnxSession
    config: TowerConfig

    def user_vectors(self, users: Histories, item_vectors: np.ndarray) -> np.ndarray:
        """See `UserTower`."""
        out = [np.zeros((0, self.config.dim), dtype=np.float32)]
        for start in range(0, len(users), BATCH):
            part = users.take(np.arange(start, min(start + BATCH, len(users))))
            recent = recent_of(part, len(item_vectors), self.config)
            vectors = item_vectors[np.maximum(recent.rows, 0)]  # (b, n, dim)
            out.append(self.session(vectors=vectors, **user_inputs(recent, self.config)))
        return np.concatenate(out)

    @classmethod
    def from_files(cls, files: Mapping[str, bytes], device: Device = "cpu") -> OnnxUserTower:
        """Read the files of `retrieval.two_tower.export.user_tower_files`."""
        return cls(OnnxSession(files["user.onnx"], device), TowerConfig.from_stored(json.loads(files["tower.json"])["tower"]))


@dataclass(frozen=True)
class QueryEncoder:
    """Encoder of queries into the item space: a tokenizer, then text encoder, pooling and projection in one graph.

    Attributes
    ----------
    tokenizer : Tokenizer
    session : OnnxSession
    prompt : str
        Prefix of every query.
    """

    tokenizer: Tokenizer
    session: OnnxSession
    prompt: str = ""

    def vectors(self, texts: Sequence[str]) -> np.ndarray:
        """Return unit vectors of texts, float32 (n, dim)."""
        tokens = token_ids(self.tokenizer, texts, self.prompt)
        ids = np.zeros((len(tokens), max(map(len, tokens))), dtype=np.int64)
        mask = np.zeros(ids.shape, dtype=bool)
        for row, text_ids in enumerate(tokens):
            ids[row, : len(text_ids)], mask[row, : len(text_ids)] = text_ids, True
        return self.session(ids=ids, mask=mask)

    @classmethod
    def from_files(cls, files: Mapping[str, bytes], device: Device = "cpu") -> QueryEncoder:
        """Read the files of `retrieval.two_tower.export.query_files`."""
        tokenizer = Tokenizer.from_str(files["tokenizer.json"].decode())
        return cls(tokenizer, OnnxSession(files["query.onnx"], device), json.loads(files["query.json"])["prompt"])
