"""The shop's help pages in a bundle, with the vectors of all texts that the search among them needs."""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Self

import numpy as np
import polars as pl
from safetensors.numpy import save

from features.data.help_pages import HelpPages
from features.storage.arrays import Subfolder, arrays_of, in_folder
from features.text.template import text_hashes
from retrieval.passages.index import PassageIndex

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from retrieval.query_tower.recent_queries import QuestionEncoder


@dataclass
class RememberingEncoder:
    """A text encoder that encodes no text of the shop twice; implements `retrieval.passages.index.PassageEncoder`.

    Attributes
    ----------
    known : vector by the hash of its text, float32 (dim,).
    remembers : whether new texts become known; what customers ask does not.
    """

    model: QuestionEncoder
    known: dict[bytes, np.ndarray] = field(default_factory=dict)
    remembers: bool = True

    @property
    def dim(self) -> int:
        """Length of a vector."""
        return self.encode(["a"]).shape[1]

    def encode(self, texts: Sequence[str], kind: Literal["passage", "query"] = "passage") -> np.ndarray:
        """Return vectors of unit norm, float32 (n, dim)."""
        keys = [row.tobytes() for row in text_hashes(pl.Series(texts, dtype=pl.String))]
        new = {key: text for key, text in zip(keys, texts, strict=True) if key not in self.known}
        vectors = dict(zip(new, self.model.encode_queries(list(new.values())).vectors if new else (), strict=True))
        if self.remembers:
            self.known |= vectors
        return np.stack([self.known[key] if key in self.known else vectors[key] for key in keys])


@dataclass(frozen=True)
class HelpTexts:
    """Help pages, the index over them, and the vectors of their texts, from which an index with further pages is made.

    Attributes
    ----------
    known : vector by the hash of its text, float32 (dim,).
    index : files of the index, see `PassageIndex.to_files`; none of a shop without help pages.
    """

    pages: HelpPages
    known: Mapping[bytes, np.ndarray] = field(default_factory=dict)
    index: Mapping[str, bytes] = field(default_factory=dict)

    @classmethod
    def empty(cls) -> Self:
        """Return those of a shop without help pages."""
        return cls(HelpPages.of(pl.DataFrame({"question": [], "answer": []}, schema={"question": pl.String, "answer": pl.String})))

    @classmethod
    def read(cls, pages: HelpPages | None, model: QuestionEncoder) -> Self:
        """Encode what the search among the pages needs."""
        if pages is None or not len(pages):
            return cls.empty()
        encoder = RememberingEncoder(model)
        index = PassageIndex.of(pages, encoder)
        return cls(pages, encoder.known, index.to_files())

    def to_files(self) -> dict[str, bytes]:
        """Return the pages as Parquet and the vectors as safetensors; no file of a shop without help pages."""
        if not len(self.pages):
            return {}
        buffer = io.BytesIO()
        self.pages.frame.write_parquet(buffer)
        hashes = np.frombuffer(b"".join(self.known), dtype=np.uint8).reshape(len(self.known), -1)
        return {
            "pages.parquet": buffer.getvalue(),
            "vectors.safetensors": save({"hashes": hashes, "vectors": np.stack(list(self.known.values()))}),
            **in_folder("index", self.index),
        }

    @classmethod
    def from_files(cls, files: Mapping[str, bytes]) -> Self:
        """Read the files that `to_files` wrote."""
        if "pages.parquet" not in files:
            return cls.empty()
        arrays = arrays_of(files, "vectors.safetensors")
        known = {key.tobytes(): vector for key, vector in zip(arrays["hashes"], arrays["vectors"], strict=True)}
        index = Subfolder(files, "index")
        return cls(HelpPages.of(pl.read_parquet(io.BytesIO(files["pages.parquet"]))), known, {name: index[name] for name in index})
