"""Item vectors, and their update, which encodes only new and changed texts."""

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
    """One vector per item; validated on construction.

    Attributes
    ----------
    ids : object (n,)
        External item ids.
    vectors : float32 (n, dim)
        Vectors of unit norm.
    hashes : uint8 (n, 16)
        Hashes of the items' texts.
    fingerprint : str
        Fingerprint of the encoder. Vectors of different encoders are not comparable.

    Raises
    ------
    ModelError
        If the shapes disagree, an id is duplicated, or a vector is not of unit norm.
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
            raise ModelError("an item id is duplicated among the item vectors: build the index again")
        wrong = ~(np.abs(np.einsum("nd,nd->n", self.vectors, self.vectors) - 1) < 1e-3)  # nan is wrong too
        if wrong.any():
            item = self.ids[int(np.argmax(wrong))]
            raise ModelError(f"{int(wrong.sum()):,} of {n:,} item vectors are not of length 1, {item!r} first: the encoder must normalise")

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def dim(self) -> int:
        """Length of a vector."""
        return self.vectors.shape[1]


@dataclass(frozen=True)
class TextVectors:
    """One vector per distinct text, and each item's text. It is the stored form of `ItemVectors`: many items share a text.

    Attributes
    ----------
    vectors : float32 (t, dim)
        Vectors of unit norm.
    hashes : uint8 (t, 16)
        Hashes of the texts, ascending.
    text_of : int64 (n,)
        Index of each item's text.
    fingerprint : str
        Fingerprint of the encoder.
    """

    vectors: np.ndarray
    hashes: np.ndarray
    text_of: np.ndarray
    fingerprint: str

    @classmethod
    def of(cls, items: ItemVectors) -> TextVectors:
        """Keep one vector for each distinct text."""
        first, text_of = group(items.hashes)
        return cls(items.vectors[first], items.hashes[first], text_of, items.fingerprint)

    def __len__(self) -> int:
        return len(self.vectors)

    def alone(self) -> ItemVectors:
        """Return each text as a separate item with its hash as id, as `previous` of `update`."""
        names = np.array([key.tobytes().hex() for key in self.hashes], dtype=object)
        return ItemVectors(names, self.vectors, self.hashes, self.fingerprint)

    def to_files(self) -> dict[str, bytes]:
        """Return the arrays as safetensors and the fingerprint as JSON."""
        arrays = {"vectors": self.vectors, "hashes": self.hashes, "text_of": self.text_of.astype(np.int32)}
        about = json.dumps({"fingerprint": self.fingerprint}).encode()
        return {"vectors.safetensors": save({name: np.ascontiguousarray(array) for name, array in arrays.items()}), "about.json": about}

    @classmethod
    def from_files(cls, files: Mapping[str, bytes]) -> TextVectors:
        """Read the files of `to_files`.

        Raises
        ------
        BundleError
            If the files are not text vectors.
        """
        try:
            arrays, about = arrays_of(files, "vectors.safetensors"), json.loads(files["about.json"])
            return cls(arrays["vectors"], arrays["hashes"], arrays["text_of"].astype(np.int64), about["fingerprint"])
        except (KeyError, ValueError, SafetensorError) as error:
            raise BundleError(f"the text vectors cannot be read ({error!r}): build the index again, or roll back") from error


def group(hashes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Group equal hashes.

    Parameters
    ----------
    hashes : uint8 (n, 16)
        Hash of each item's text.

    Returns
    -------
    first : int64 (t,)
        First item of each distinct hash.
    place : int64 (n,)
        Index of each item's hash among the distinct ones.
    """
    _, first, place = np.unique(np.ascontiguousarray(hashes).view("V16").ravel(), return_index=True, return_inverse=True)
    return first, place.reshape(-1).astype(np.int64)


def update(
    catalog: Catalog, encode: Callable[[list[str]], np.ndarray], fingerprint: str, previous: ItemVectors | None = None
) -> tuple[ItemVectors, int]:
    """Compute the vectors of the catalogue's items; reuse those of `previous` for unchanged texts.

    Each distinct text is encoded once. The result does not depend on `previous` if the vector of a text does not depend
    on its batch.

    Parameters
    ----------
    catalog : Catalog
        The items.
    encode : callable
        Maps m texts to vectors of unit norm, float32 (m, dim).
    fingerprint : str
        Fingerprint of the encoder. Vectors of any other encoder are not reused.
    previous : ItemVectors, optional
        Vectors to reuse.

    Returns
    -------
    vectors : ItemVectors
        In the catalogue's order.
    encoded : int
        Number of texts encoded.

    Raises
    ------
    ModelError
        If `encode` returns another shape, or vectors that are not of unit norm.
    """
    texts = item_texts(catalog)
    hashes = text_hashes(texts)
    # Looked up by text, never by position: two items that swap their texts swap their vectors.
    place: dict[bytes, int] = {}
    parts = []
    if previous is not None and previous.fingerprint == fingerprint:
        place = {key: row for row, key in enumerate(_keys(previous.hashes))}
        parts.append(previous.vectors)
    begin = sum(map(len, parts))
    new: list[str] = []
    rows = np.empty(len(catalog), dtype=np.int64)
    for row, (key, text) in enumerate(zip(_keys(hashes), texts.to_list(), strict=True)):
        if key not in place:
            place[key] = begin + len(new)
            new.append(text)
        rows[row] = place[key]
    if new or not parts:
        parts.append(_encode(encode, new, parts[0].shape[1] if parts else None))
    return ItemVectors(catalog.ids, np.concatenate(parts)[rows], hashes, fingerprint), len(new)


def _keys(hashes: np.ndarray) -> list[bytes]:
    return np.ascontiguousarray(hashes).view("V16").ravel().tolist()


def _encode(encode: Callable[[list[str]], np.ndarray], texts: list[str], dim: int | None) -> np.ndarray:
    vectors = np.asarray(encode(texts), dtype=np.float32)
    if vectors.ndim != 2 or len(vectors) != len(texts) or (dim is not None and vectors.shape[1] != dim):
        expected = f"({len(texts)}, {dim or 'dim'})"
        raise ModelError(f"the encoder returned {vectors.shape} for {len(texts)} texts, expected {expected}: build the index again")
    return vectors
