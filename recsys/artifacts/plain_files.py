"""A bundle's files on the disk: plain, inside its folder, of the size that was published; anything else is damage."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from features.errors import BundleError

if TYPE_CHECKING:
    from pathlib import Path

# A manifest lists a few dozen files and canaries; anything much larger is not one of ours.
_MAX_MANIFEST = 64 * 2**20


class Pieces:
    """One file that is read in pieces. It stays open: a bundle that is removed meanwhile still answers. See
    `features.storage.arrays.Source`."""

    def __init__(self, folder: Path, name: str, size: int) -> None:
        self._size = size
        self._descriptor = opened(folder, name, size)

    def __call__(self, begin: int, stop: int) -> bytes:
        return os.pread(self._descriptor, max(0, min(stop, self._size) - begin), begin)

    def __del__(self) -> None:
        if hasattr(self, "_descriptor"):
            os.close(self._descriptor)


def read_plain(folder: Path, name: str, size: int | None) -> bytes:
    """The bytes of a regular file inside `folder`, of exactly `size` bytes; links are not followed."""
    with os.fdopen(opened(folder, name, size), "rb") as file:
        try:
            return file.read()
        except OSError as error:
            raise damaged(folder.name, f"{name}: {error.strerror or error}") from error


def opened(folder: Path, name: str, size: int | None) -> int:
    """Descriptor of such a file."""
    path = folder / name
    if any(parent.is_symlink() for parent in path.parents if folder in parent.parents):
        raise damaged(folder.name, f"{name}: a folder on its way is a symbolic link")
    try:
        # Without O_NONBLOCK a pipe put in the file's place would wait for ever.
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
    return BundleError(f"bundle {bundle_id} is damaged: {what}: run `recsys rollback`, or `recsys build-index` to publish a new one")
