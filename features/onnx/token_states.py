"""Token states of texts that are not known in advance, such as queries: the encoder's lower layers in onnxruntime."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from tokenizers import Tokenizer

from features.onnx.session import Device, OnnxSession
from features.text.template import token_ids
from features.text.token_states import TokenStates

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


@dataclass(frozen=True)
class OnnxTokenStates:
    """Lower layers of `features.text.encoder.TextEncoder` as a graph, with its tokenizer.

    Attributes
    ----------
    tokenizer : Tokenizer
    session : OnnxSession
    width : int
        Length of a state.
    prompt : str
        Prefix of every text.
    """

    tokenizer: Tokenizer
    session: OnnxSession
    width: int
    prompt: str = ""

    def token_states(self, texts: Sequence[str]) -> TokenStates:
        """Return the token states of texts, rounded to float16 as those of the catalogue are."""
        tokens = token_ids(self.tokenizer, texts, self.prompt)
        lengths = np.array([len(ids) for ids in tokens], dtype=np.int64)
        offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        if not len(lengths):
            return TokenStates(offsets, np.zeros((0, self.width), dtype=np.float16))
        mask = np.arange(lengths.max())[None, :] < lengths[:, None]  # (n, L)
        ids = np.zeros(mask.shape, dtype=np.int64)
        ids[mask] = np.concatenate([np.asarray(text, dtype=np.int64) for text in tokens])
        return TokenStates(offsets, self.session(ids=ids, mask=mask)[mask].astype(np.float16))

    @classmethod
    def from_files(cls, files: Mapping[str, bytes], device: Device = "cpu") -> OnnxTokenStates:
        """Read the files of `features.onnx.lower_layers.lower_layer_files`."""
        header = json.loads(files["lower.json"])
        tokenizer = Tokenizer.from_str(files["tokenizer.json"].decode())
        return cls(tokenizer, OnnxSession(files["lower.onnx"], device), header["width"], header["prompt"])
