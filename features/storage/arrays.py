"""Stored files as those see them who read them: names to bytes, read when asked for; large arrays block by block."""

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

BLOCK = 1 << 16  # bytes that are read and checked together
DIGEST = 32  # of SHA-256


class Source(Protocol):
    """One file, read in pieces; nothing is checked."""

    def __call__(self, begin: int, stop: int) -> bytes:
        """The bytes begin:stop."""
        ...


@runtime_checkable
class InPieces(Protocol):
    """Files that can be read in pieces as well."""

    def source(self, name: str) -> Source:
        """One file."""
        ...


@runtime_checkable
class Shared(Protocol):
    """Files that lie, checked, in memory which other processes read as well; nobody writes into it."""

    def content(self, name: str) -> np.ndarray:
        """One file, uint8 (n,)."""
        ...

    def arrays(self, name: str) -> dict[str, np.ndarray]:
        """Those of a safetensors file."""
        ...


class Subfolder(Mapping[str, bytes]):
    """The files of one folder, by their names in it; each is read when it is asked for."""

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
        """The files that it is a folder of, and a file's name there."""
        return self._files, self._folder + name

    def source(self, name: str) -> Source:
        """See `InPieces`."""
        return source_of(self._files, self._folder + name)


def source_of(files: Mapping[str, bytes], name: str) -> Source:
    """A file in pieces, from files that can, or from its bytes."""
    if isinstance(files, InPieces):
        return files.source(name)
    content = files[name]
    return lambda begin, stop: content[begin:stop]


def shared_of(files: Mapping[str, bytes], name: str) -> tuple[Shared, str] | None:
    """Where a file lies in shared memory, and its name there; None where it does not."""
    while isinstance(files, Subfolder):
        files, name = files.inside(name)
    return (files, name) if isinstance(files, Shared) else None


def content_of(files: Mapping[str, bytes], name: str) -> np.ndarray:
    """The bytes of a file, uint8 (n,), read-only; not copied where they are shared."""
    shared = shared_of(files, name)
    return shared[0].content(shared[1]) if shared else np.frombuffer(files[name], dtype=np.uint8)


def arrays_of(files: Mapping[str, bytes], name: str) -> dict[str, np.ndarray]:
    """The arrays of a safetensors file; not copied, and read-only, where they are shared.

    Raises
    ------
    SafetensorError: it is none.
    """
    shared = shared_of(files, name)
    return shared[0].arrays(shared[1]) if shared else load(files[name])


def array_files(name: str, array: np.ndarray) -> dict[str, bytes]:
    """An array as numpy's own file, and the SHA-256 of each of its blocks, so that a part of it can be checked alone."""
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, np.ascontiguousarray(array), allow_pickle=False)
    content = buffer.getvalue()
    hashes = [hashlib.sha256(content[begin : begin + BLOCK]).digest() for begin in range(0, len(content), BLOCK)]
    return {f"{name}.npy": content, f"{name}.sha256": b"".join(hashes)}


@dataclass(frozen=True)
class Layout:
    """What the head of numpy's file says, and where the numbers begin."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    begin: int

    @classmethod
    def of(cls, head: bytes) -> Layout:
        """Read the head.

        Raises
        ------
        ValueError: it is none, or of an array whose rows do not lie one after another.
        """
        file = io.BytesIO(head)
        if np.lib.format.read_magic(file) != (1, 0):
            raise ValueError("not an array of version 1.0")
        shape, by_column, dtype = np.lib.format.read_array_header_1_0(file)
        if by_column or dtype.hasobject or not shape:
            raise ValueError(f"an array of {dtype}, {shape}, cannot be read by rows")
        return cls(shape, dtype, file.tell())

    @property
    def row_bytes(self) -> int:
        return int(np.prod(self.shape[1:])) * self.dtype.itemsize

    @property
    def stop(self) -> int:
        return self.begin + self.shape[0] * self.row_bytes


class StoredArray:
    """An array that `array_files` made, of which only those blocks are read that hold the rows asked for; each is checked as it comes.

    Indexed by rows, as an array is. What was read stays in memory: bytes that were checked are the bytes that are used.

    Raises
    ------
    BundleError: when made or when read, the file is not the one whose hashes are given.
    """

    def __init__(self, files: Mapping[str, bytes], name: str) -> None:
        self._name, self._source = f"{name}.npy", source_of(files, f"{name}.npy")
        self._hashes = files[f"{name}.sha256"]
        try:
            self._layout = Layout.of(self._checked(0))
        except ValueError as error:
            raise BundleError(f"{self._name} is no array ({error}): build the index again, or roll back") from error
        blocks = -(-self._layout.stop // BLOCK)
        if len(self._hashes) != blocks * DIGEST:
            raise BundleError(
                f"{self._name} has {len(self._hashes) // DIGEST} hashes, expected {blocks}: build the index again, or roll back"
            )
        shared = shared_of(files, self._name)
        self._here = np.full(blocks, shared is not None)
        # Memory that nothing has been written to costs nothing.
        self._bytes = np.empty(self._layout.stop, dtype=np.uint8) if shared is None else shared[0].content(shared[1])
        self._array = self._bytes[self._layout.begin :].view(self._layout.dtype).reshape(self._layout.shape)

    @property
    def shape(self) -> tuple[int, ...]:
        return self._layout.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        return self._layout.dtype

    @property
    def bytes_read(self) -> int:
        """How much of the file has been read so far."""
        return int(self._here.sum()) * BLOCK

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: np.ndarray) -> np.ndarray:
        """Rows by their numbers, int of any shape, none of them negative."""
        self._need(sorted_unique(rows))
        return self._array[rows]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray[Any, np.dtype[Any]]:
        """All of it."""
        self._need(np.arange(len(self)))
        return np.array(self._array, dtype=dtype, copy=copy)

    def tolist(self) -> list[Any]:
        """All of it, as numpy does."""
        return np.asarray(self).tolist()

    def _need(self, rows: np.ndarray) -> None:
        """Read what is missing of some rows, sorted."""
        begin = self._layout.begin + rows * self._layout.row_bytes
        first, last = begin // BLOCK, (begin + self._layout.row_bytes - 1) // BLOCK
        wanted = np.zeros(len(self._here), dtype=bool)
        for step in range(int((last - first).max(initial=-1)) + 1):
            wanted[np.minimum(first + step, last)] = True
        for block in np.flatnonzero(wanted & ~self._here).tolist():
            content = self._checked(block)
            self._bytes[block * BLOCK : block * BLOCK + len(content)] = np.frombuffer(content, dtype=np.uint8)
            self._here[block] = True

    def _checked(self, block: int) -> bytes:
        content = self._source(block * BLOCK, (block + 1) * BLOCK)
        if hashlib.sha256(content).digest() != self._hashes[block * DIGEST : (block + 1) * DIGEST]:
            raise BundleError(
                f"{self._name} is damaged: its sha256 is not the published one: run `recsys rollback`, or `recsys build-index`"
            )
        return content
