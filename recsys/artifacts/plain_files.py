"""Safe reads of a bundle's files: regular files inside its folder, of the published size; everything else is damage."""

from __future__ import annotations

import hashlib
import os
import stat
from bisect import bisect_right
from itertools import accumulate
from typing import TYPE_CHECKING, Self, TypeAlias

from pydantic import BaseModel, ConfigDict, Field

from features.errors import BundleError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from mmap import mmap
    from pathlib import Path

Piece: TypeAlias = tuple[str, int, int]  # path of the stored file in the bundle's folder, begin there, length

# A manifest lists a few dozen files and canaries; a much larger file cannot be one.
_MAX_MANIFEST = 64 * 2**20
_MAX_READ = 2**30  # Linux reads at most 2 GiB at once


class FileEntry(BaseModel):
    """The manifest's entry of one file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    size: int = Field(ge=0)
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")

    @classmethod
    def of(cls, content: bytes) -> Self:
        """Return the entry of some bytes."""
        return cls(size=len(content), sha256=hashlib.sha256(content).hexdigest())

    def check(self, content: bytes | mmap, bundle_id: str, name: str) -> None:
        """Raise BundleError unless the content of a file is the published one."""
        if hashlib.sha256(content).hexdigest() != self.sha256:
            raise damaged(bundle_id, f"{name}: its sha256 is not the published one")


class Pieces:
    """Reads parts of a file that is stored in pieces; implements `features.storage.arrays.ByteReader`.

    The stored files stay open, so that a bundle that is removed meanwhile still answers.

    Parameters
    ----------
    pieces : the path in the folder, the begin there, and the length of each piece, in the file's order.
    sizes : bytes of the stored files, by their path.
    """

    def __init__(self, folder: Path, pieces: Sequence[Piece], sizes: Mapping[str, int]) -> None:
        self._bundle_id, self._pieces, self._descriptors = folder.name, pieces, dict[str, int]()
        self._ends = list(accumulate(length for _, _, length in pieces))
        for name, size in sizes.items():
            self._descriptors[name] = opened(folder, name, size)

    def __call__(self, begin: int, stop: int) -> bytes:
        read: list[bytes] = []
        for number in range(bisect_right(self._ends, begin), len(self._pieces)):
            name, at, length = self._pieces[number]
            first = self._ends[number] - length  # of the piece, in the file
            if first >= stop:
                break
            skipped = max(0, begin - first)
            read += self._read(name, at + skipped, min(stop - first, length) - skipped)
        return read[0] if len(read) == 1 else b"".join(read)

    def _read(self, name: str, begin: int, length: int) -> Iterator[bytes]:
        while length > 0:
            try:
                content = os.pread(self._descriptors[name], min(length, _MAX_READ), begin)
            except OSError as error:
                raise damaged(self._bundle_id, f"{name}: {error.strerror or error}") from error
            if not content:
                return
            yield content
            begin, length = begin + len(content), length - len(content)

    def __del__(self) -> None:
        for descriptor in self._descriptors.values():
            os.close(descriptor)


def read_plain(folder: Path, name: str, size: int | None) -> bytes:
    """Return the content of a regular file inside `folder` without following links.

    Parameters
    ----------
    size : expected size in bytes; None for a manifest, whose size is only bounded.

    Raises
    ------
    BundleError
        If the file is missing, not regular, or of another size.
    """
    with os.fdopen(opened(folder, name, size), "rb") as file:
        try:
            return file.read()
        except OSError as error:
            raise damaged(folder.name, f"{name}: {error.strerror or error}") from error


def read_checked(folder: Path, name: str, entry: FileEntry) -> bytes:
    """Return the content that `read_plain` returns; raise BundleError unless it is the published one."""
    content = read_plain(folder, name, entry.size)
    entry.check(content, folder.name, name)
    return content


def opened(folder: Path, name: str, size: int | None) -> int:
    """Return an open descriptor of a file under the conditions of `read_plain`; the caller closes it."""
    path = folder / name
    if any(parent.is_symlink() for parent in path.parents if folder in parent.parents):
        raise damaged(folder.name, f"{name}: a folder on its way is a symbolic link")
    try:
        # Without O_NONBLOCK, a pipe in place of the file would block forever.
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        raise damaged(folder.name, f"{name}: missing") from None
    except OSError as error:
        raise damaged(folder.name, f"{name}: {error.strerror}") from error
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise damaged(folder.name, f"{name}: not a plain file")
        if status.st_size > _MAX_MANIFEST if size is None else status.st_size != size:
            raise damaged(folder.name, f"{name}: {status.st_size:,} bytes, expected {'fewer' if size is None else f'{size:,}'}")
    except BundleError:
        os.close(descriptor)
        raise
    return descriptor


def damaged(bundle_id: str, what: str) -> BundleError:
    """Return the error for a damaged bundle."""
    return BundleError(f"bundle {bundle_id} is damaged: {what}: run `recsys rollback`, or `recsys build-index` to publish a new one")
