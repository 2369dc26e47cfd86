"""Queries at inference: the tokenizer, and an ONNX graph run by onnxruntime."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from tokenizers import Tokenizer

from features.onnx.session import Device, OnnxSession
from features.text.template import token_ids
from features.text.token_states import TokenStates
from retrieval.query_tower.encoded_queries import EncodedQueries

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


@dataclass(frozen=True)
class QueryEncoder:
    """Encoder of queries: a tokenizer, then lower layers and query tower in one graph.

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

    def encode(self, texts: Sequence[str]) -> EncodedQueries:
        """Encode texts, all in one batch."""
        tokens = token_ids(self.tokenizer, texts, self.prompt)
        lengths = np.array([len(text) for text in tokens], dtype=np.int64)
        ids = np.zeros((len(tokens), max(lengths)), dtype=np.int64)
        mask = np.arange(ids.shape[1]) < lengths[:, None]
        ids[mask] = np.concatenate(tokens)
        vectors, states = self.session.all(ids=ids, mask=mask)
        offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        return EncodedQueries(vectors, TokenStates(offsets, states[mask].astype(np.float16)))

    @classmethod
    def from_files(cls, files: Mapping[str, bytes], device: Device = "cpu") -> QueryEncoder:
        """Read the files of `retrieval.query_tower.export.query_files`."""
        tokenizer = Tokenizer.from_str(files["tokenizer.json"].decode())
        return cls(tokenizer, OnnxSession(files["query.onnx"], device), json.loads(files["query.json"])["prompt"])
