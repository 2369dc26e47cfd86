"""A store that several machines share: named objects, and one conditional write.

    store = open_store(StorageConfig(url="s3://bucket/shop"))

Objects are written once and never changed. A name that changes, such as CURRENT, is written by `swap`, which succeeds only if nobody has
written the name since it was looked at. All else that a store needs to be safe follows from that: see `recsys.remote`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from features.errors import ConfigError
from features.storage.remote.config import FOLDER

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from features.storage.remote.config import StorageConfig


class SharedStore(Protocol):
    """Objects by name; a name is a relative path. Any number of threads may use it at once.

    Raises
    ------
    StorageError
        From any method, if the store cannot be reached, refuses, or lacks an object. The message holds no credentials.
    """

    @property
    def url(self) -> str:
        """The store's address, for messages."""
        ...

    def tag(self, name: str) -> str | None:
        """Return what identifies the content that a name has now, without reading it; None if the store lacks it."""
        ...

    def read(self, name: str) -> bytes:
        """Return the content of an object."""
        ...

    def fetch(self, name: str, path: Path) -> None:
        """Copy an object into a local file."""
        ...

    def send(self, name: str, path: Path) -> None:
        """Store a local file under a new name; readers see it whole or not at all."""
        ...

    def swap(self, name: str, content: bytes, expected: str | None) -> bool:
        """Write a name if its tag is still `expected`, atomically.

        Parameters
        ----------
        expected : the tag that was read before; None if the name did not exist.

        Returns
        -------
        Whether it was written. False leaves what another has written.
        """
        ...

    def names(self, folder: str) -> list[str]:
        """Return the names of all objects below a folder, sorted."""
        ...

    def remove(self, names: Sequence[str]) -> None:
        """Remove objects; those that are not there do no harm."""
        ...


def open_store(config: StorageConfig) -> SharedStore:
    """Return the store of the settings, without connecting to it.

    Raises
    ------
    ConfigError
        If `storage.url` is not set.
    StorageError
        If the driver of its scheme is not installed.
    """
    if config.url is None:
        raise ConfigError('there is no shared store: set storage.url, as in "s3://bucket/shop" or a folder; see docs/storage.md')
    if config.scheme == FOLDER:
        from features.storage.remote.folder import FolderStore

        return FolderStore.of(config)
    from features.storage.remote.objects import ObjectStore

    return ObjectStore(config)
