"""Read access to stored files: a mapping of names to bytes, and arrays that are read and verified block by block."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
from safetensors.numpy import load

from features.errors import BundleError
from features.storage.sorted_unique import sorted_unique

BLOCK = 1 << 16  # bytes that are read and verified together
DIGEST = 32  # bytes of a SHA-256 digest


class ByteReader(Protocol):
    """Read a part of one file, without verification."""

    def __call__(self, begin: int, stop: int) -> bytes:
        """Return the bytes begin:stop."""
        ...


@runtime_checkable
class InPieces(Protocol):
    """Files that can also be read in parts."""

    def source(self, name: str) -> ByteReader:
        """Return a reader of one file."""
        ...


@runtime_checkable
class Shared(Protocol):
    """Verified files in read-only memory that several processes share."""

    def content(self, name: str) -> np.ndarray:
        """Return the bytes of one file, uint8 (n,)."""
        ...

    def arrays(self, name: str) -> dict[str, np.ndarray]:
        """Return the arrays of a safetensors file."""
        ...


class Subfolder(Mapping[str, bytes]):
    """The files of one folder by their names in it, read on access."""

    def __init__(self, files: Mapping[str, bytes], folder: str) -> None:
        self._files, self._folder = files, f"{folder}/"

    def __getitem__(self, name: str) -> bytes:
        return self._files[self._folder + name]

    def __iter__(self) -> Iterator[str]:
        return (name.removeprefix(self._folder) for name in self._files if name.startswith(self._folder))

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __contains__(self, name: object) -> bool:
        return f"{self._folder}{name}" in self._files

    def inside(self, name: str) -> tuple[Mapping[str, bytes], str]:
        """Return the parent mapping, and the name of a file in it."""
        return self._files, self._folder + name

    def source(self, name: str) -> ByteReader:
        """Return a reader of one file."""
        return source_of(self._files, self._folder + name)


def in_folder(folder: str, files: Mapping[str, bytes]) -> dict[str, bytes]:
    """Return files under their path in a folder; `Subfolder` is the way back."""
    return {f"{folder}/{name}": content for name, content in files.items()}


def source_of(files: Mapping[str, bytes], name: str) -> ByteReader:
    """Return a reader of one file, which holds all its bytes if `files` cannot read in parts."""
    if isinstance(files, InPieces):
        return files.source(name)
    content = files[name]
    return lambda begin, stop: content[begin:stop]


def shared_of(files: Mapping[str, bytes], name: str) -> tuple[Shared, str] | None:
    """Return the shared files that hold a file, and its name there; None if it is not shared."""
    while isinstance(files, Subfolder):
        files, name = files.inside(name)
    return (files, name) if isinstance(files, Shared) else None


def content_of(files: Mapping[str, bytes], name: str) -> np.ndarray:
    """Return the bytes of a file, uint8 (n,), read-only; shared bytes are not copied."""
    shared = shared_of(files, name)
    return shared[0].content(shared[1]) if shared else np.frombuffer(files[name], dtype=np.uint8)


def arrays_of(files: Mapping[str, bytes], name: str) -> dict[str, np.ndarray]:
    """Return the arrays of a safetensors file; shared arrays are read-only and not copied.

    Raises
    ------
    SafetensorError
        If the file is not in the safetensors format.
    """
    shared = shared_of(files, name)
    return shared[0].arrays(shared[1]) if shared else load(files[name])


def array_files(name: str, array: np.ndarray) -> dict[str, bytes]:
    """Return an array as an .npy file, and the SHA-256 digests of its blocks, so that each can be verified alone."""
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, np.ascontiguousarray(array), allow_pickle=False)
    content = buffer.getvalue()
    hashes = [hashlib.sha256(content[begin : begin + BLOCK]).digest() for begin in range(0, len(content), BLOCK)]
    return {f"{name}.npy": content, f"{name}.sha256": b"".join(hashes)}


@dataclass(frozen=True)
class Layout:
    """The header of an .npy file, and the offset of its data in bytes."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    begin: int

    @classmethod
    def of(cls, header: bytes) -> Layout:
        """Parse the header.

        Raises
        ------
        ValueError
            If the bytes are not a header, or the array is not stored row by row.
        """
        file = io.BytesIO(header)
        if np.lib.format.read_magic(file) != (1, 0):
            raise ValueError("not an array of version 1.0")
        shape, by_column, dtype = np.lib.format.read_array_header_1_0(file)
        if by_column or dtype.hasobject or not shape:
            raise ValueError(f"an array of {dtype}, {shape}, cannot be read by rows")
        return cls(shape, dtype, file.tell())

    @property
    def row_bytes(self) -> int:
        """Bytes of one row."""
        return int(np.prod(self.shape[1:])) * self.dtype.itemsize

    @property
    def stop(self) -> int:
        """Length of the file in bytes."""
        return self.begin + self.shape[0] * self.row_bytes


class StoredArray:
    """An array from `array_files` that reads and verifies only the blocks of the requested rows.

    It is indexed by rows, like an array. Blocks stay in memory, so that the verified bytes are the bytes that are used.

    Raises
    ------
    BundleError
        On construction or access, if a block does not match its digest.
    """

    def __init__(self, files: Mapping[str, bytes], name: str) -> None:
        self._name, self._source = f"{name}.npy", source_of(files, f"{name}.npy")
        self._hashes = files[f"{name}.sha256"]
        try:
            self._layout = Layout.of(self._verified(0))
        except ValueError as error:
            raise BundleError(f"{self._name} is not an array ({error}): build the index again, or roll back") from error
        blocks = -(-self._layout.stop // BLOCK)
        if len(self._hashes) != blocks * DIGEST:
            raise BundleError(
                f"{self._name} has {len(self._hashes) // DIGEST} hashes, expected {blocks}: build the index again, or roll back"
            )
        shared = shared_of(files, self._name)
        self._loaded = np.full(blocks, shared is not None)
        # Pages that nothing is written to take no memory.
        self._bytes = np.empty(self._layout.stop, dtype=np.uint8) if shared is None else shared[0].content(shared[1])
        self._array = self._bytes[self._layout.begin :].view(self._layout.dtype).reshape(self._layout.shape)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the whole array."""
        return self._layout.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the elements."""
        return self._layout.dtype

    @property
    def bytes_read(self) -> int:
        """Bytes of the file read so far."""
        return int(self._loaded.sum()) * BLOCK

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: np.ndarray) -> np.ndarray:
        """Return rows by index, int of any shape, none negative."""
        self._load(sorted_unique(rows))
        return self._array[rows]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray[Any, np.dtype[Any]]:
        """Read the whole array."""
        self._load(np.arange(len(self)))
        return np.array(self._array, dtype=dtype, copy=copy)

    def tolist(self) -> list[Any]:
        """Return the whole array as nested lists."""
        return np.asarray(self).tolist()

    def _load(self, rows: np.ndarray) -> None:
        """Read the missing blocks of some rows, sorted."""
        begin = self._layout.begin + rows * self._layout.row_bytes
        first, last = begin // BLOCK, (begin + self._layout.row_bytes - 1) // BLOCK
        needed = np.zeros(len(self._loaded), dtype=bool)
        for step in range(int((last - first).max(initial=-1)) + 1):
            needed[np.minimum(first + step, last)] = True
        for block in np.flatnonzero(needed & ~self._loaded).tolist():
            content = self._verified(block)
            self._bytes[block * BLOCK : block * BLOCK + len(content)] = np.frombuffer(content, dtype=np.uint8)
            self._loaded[block] = True

    def _verified(self, block: int) -> bytes:
        content = self._source(block * BLOCK, (block + 1) * BLOCK)
        if hashlib.sha256(content).digest() != self._hashes[block * DIGEST : (block + 1) * DIGEST]:
            raise BundleError(
                f"{self._name} is damaged: its sha256 is not the published one: run `recsys rollback`, or `recsys build-index`"
            )
        return content
