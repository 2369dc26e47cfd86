"""Safe reads of a bundle's files: regular files inside its folder, of the published size; everything else is damage."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from features.errors import BundleError

if TYPE_CHECKING:
    from pathlib import Path

# A manifest lists a few dozen files and canaries; a much larger file cannot be one.
_MAX_MANIFEST = 64 * 2**20


class Pieces:
    """Reads parts of a file; implements `features.storage.arrays.ByteReader`.

    The file stays open, so that a bundle that is removed meanwhile still answers.
    """

    def __init__(self, folder: Path, name: str, size: int) -> None:
        self._size = size
        self._descriptor = opened(folder, name, size)

    def __call__(self, begin: int, stop: int) -> bytes:
        return os.pread(self._descriptor, max(0, min(stop, self._size) - begin), begin)

    def __del__(self) -> None:
        if hasattr(self, "_descriptor"):
            os.close(self._descriptor)


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
