"""Vectors of all items, and the update that encodes only the texts that are new or changed."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import save

from features.errors import BundleError, ModelError
from features.storage.arrays import arrays_of
from features.text.template import item_texts, text_hashes

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from features.data.catalog import Catalog


@dataclass(frozen=True)
class ItemVectors:
    """One vector an item, with what it was made of; validated when made.

    Attributes
    ----------
    ids: external item ids, object (n,). vectors: float32 (n, dim), unit norm. hashes: of the items' texts, uint8 (n, 16).
    fingerprint: of the encoder; vectors of two encoders do not compare.

    Raises
    ------
    ModelError: the shapes disagree, an id stands twice, or a vector is not of length 1.
    """

    ids: np.ndarray
    vectors: np.ndarray
    hashes: np.ndarray
    fingerprint: str

    def __post_init__(self) -> None:
        n = len(self.ids)
        if self.vectors.ndim != 2 or len(self.vectors) != n or self.hashes.shape != (n, 16):
            found = f"{n} ids, vectors {self.vectors.shape}, hashes {self.hashes.shape}"
            raise ModelError(f"item vectors do not fit together: {found}; expected (n,), (n, dim), (n, 16): build the index again")
        if len(set(self.ids.tolist())) != n:
            raise ModelError("an item id stands twice among the item vectors: build the index again")
        wrong = ~(np.abs(np.einsum("nd,nd->n", self.vectors, self.vectors) - 1) < 1e-3)  # nan is wrong too
        if wrong.any():
            item = self.ids[int(np.argmax(wrong))]
            raise ModelError(f"{int(wrong.sum()):,} of {n:,} item vectors are not of length 1, {item!r} first: the encoder must normalise")

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def dim(self) -> int:
        return self.vectors.shape[1]


@dataclass(frozen=True)
class TextVectors:
    """One vector a distinct text, and which text each item has: what is kept of `ItemVectors`, many items sharing a text.

    Attributes
    ----------
    vectors: float32 (t, dim), unit norm. hashes: of the texts, uint8 (t, 16), ascending. text_of: each item's text, int64 (n,).
    fingerprint: of the encoder.
    """

    vectors: np.ndarray
    hashes: np.ndarray
    text_of: np.ndarray
    fingerprint: str

    @classmethod
    def of(cls, items: ItemVectors) -> TextVectors:
        """The items' texts, each once."""
        first, text_of = group(items.hashes)
        return cls(items.vectors[first], items.hashes[first], text_of, items.fingerprint)

    def __len__(self) -> int:
        return len(self.vectors)

    def alone(self) -> ItemVectors:
        """Each text as an item of its own, named by its hash: for looking up what has a vector."""
        names = np.array([key.tobytes().hex() for key in self.hashes], dtype=object)
        return ItemVectors(names, self.vectors, self.hashes, self.fingerprint)

    def to_files(self) -> dict[str, bytes]:
        """The arrays in safetensors, the fingerprint in JSON."""
        arrays = {"vectors": self.vectors, "hashes": self.hashes, "text_of": self.text_of.astype(np.int32)}
        about = json.dumps({"fingerprint": self.fingerprint}).encode()
        return {"vectors.safetensors": save({name: np.ascontiguousarray(array) for name, array in arrays.items()}), "about.json": about}

    @classmethod
    def from_files(cls, files: Mapping[str, bytes]) -> TextVectors:
        """What `to_files` made.

        Raises
        ------
        BundleError: the files are not text vectors.
        """
        try:
            arrays, about = arrays_of(files, "vectors.safetensors"), json.loads(files["about.json"])
            return cls(arrays["vectors"], arrays["hashes"], arrays["text_of"].astype(np.int64), about["fingerprint"])
        except (KeyError, ValueError, SafetensorError) as error:
            raise BundleError(f"the text vectors cannot be read ({error!r}): build the index again, or roll back") from error


def group(hashes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Distinct hashes (n, 16): the first item of each, int64 (t,), and each item's place among them, int64 (n,)."""
    _, first, place = np.unique(np.ascontiguousarray(hashes).view("V16").ravel(), return_index=True, return_inverse=True)
    return first, place.reshape(-1).astype(np.int64)


def update(
    catalog: Catalog, encode: Callable[[list[str]], np.ndarray], fingerprint: str, previous: ItemVectors | None = None
) -> tuple[ItemVectors, int]:
    """Vectors of the catalogue's items; a text that `previous` has a vector for, by this encoder, is not encoded again.

    Each distinct text is encoded once. The answer is the same with and without `previous`, if `encode` gives a text the same vector
    whatever stands beside it.

    encode: texts -> float32 (m, dim), unit norm. fingerprint: of that encoder.

    Returns
    -------
    the vectors, in the catalogue's order, and how many texts were encoded.

    Raises
    ------
    ModelError: `encode` answers in another shape than asked, or not in unit norm.
    """
    texts = item_texts(catalog)
    hashes = text_hashes(texts)
    # Looked up by what the text is, never by where it stood: two items that swap their texts swap their vectors.
    place: dict[bytes, int] = {}
    kept = []
    if previous is not None and previous.fingerprint == fingerprint:
        place = {key: row for row, key in enumerate(_keys(previous.hashes))}
        kept.append(previous.vectors)
    begin = sum(map(len, kept))
    new: list[str] = []
    rows = np.empty(len(catalog), dtype=np.int64)
    for row, (key, text) in enumerate(zip(_keys(hashes), texts.to_list(), strict=True)):
        if key not in place:
            place[key] = begin + len(new)
            new.append(text)
        rows[row] = place[key]
    if new or not kept:
        kept.append(_encoded(encode, new, kept[0].shape[1] if kept else None))
    return ItemVectors(catalog.ids, np.concatenate(kept)[rows], hashes, fingerprint), len(new)


def _keys(hashes: np.ndarray) -> list[bytes]:
    return np.ascontiguousarray(hashes).view("V16").ravel().tolist()


def _encoded(encode: Callable[[list[str]], np.ndarray], texts: list[str], dim: int | None) -> np.ndarray:
    vectors = np.asarray(encode(texts), dtype=np.float32)
    if vectors.ndim != 2 or len(vectors) != len(texts) or (dim is not None and vectors.shape[1] != dim):
        expected = f"({len(texts)}, {dim or 'dim'})"
        raise ModelError(f"the encoder answered {vectors.shape} to {len(texts)} texts, expected {expected}: build the index anew")
    return vectors
