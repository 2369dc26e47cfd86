"""A shared store in a folder, such as one that a file server exports to several machines."""

from __future__ import annotations

import hashlib
import os
import shutil
import uuid
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

from filelock import FileLock, Timeout

from features.errors import StorageError, disk_errors
from features.storage.atomic import replace_durably, sync

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from features.storage.remote.config import StorageConfig

_TEMPORARY = ".tmp-"


@dataclass(frozen=True)
class FolderStore:
    """Implements `features.storage.remote.store.SharedStore`: objects are files, and `swap` holds a lock of the folder.

    Attributes
    ----------
    root : a folder that exists; it is not created, because a folder that is missing is a file server that is not mounted.
    patience : seconds to wait for the lock.
    """

    root: Path
    patience: float = 10.0

    @classmethod
    def of(cls, config: StorageConfig) -> Self:
        """Return the folder of the settings."""
        return cls(Path(config.place), config.timeout_seconds)

    @property
    def url(self) -> str:
        """The folder's path."""
        return self.root.as_posix()

    def tag(self, name: str) -> str | None:
        """Return the SHA-256 of a file; None without one."""
        with self._open():
            try:
                return hashlib.sha256((self.root / name).read_bytes()).hexdigest()
            except FileNotFoundError:
                return None

    def read(self, name: str) -> bytes:
        """Return the content of a file."""
        with self._open():
            return (self.root / name).read_bytes()

    def fetch(self, name: str, path: Path) -> None:
        """Copy a file."""
        with self._open():
            shutil.copyfile(self.root / name, path)

    def send(self, name: str, path: Path) -> None:
        """Copy a file under a temporary name, sync it to disk, and rename it."""
        place = self.root / name
        temporary = place.with_name(f"{_TEMPORARY}{uuid.uuid4().hex}")
        with self._open():
            place.parent.mkdir(parents=True, exist_ok=True)
            try:
                shutil.copyfile(path, temporary)
                sync(temporary)
                os.replace(temporary, place)
            finally:
                temporary.unlink(missing_ok=True)
            sync(place.parent)

    def swap(self, name: str, content: bytes, expected: str | None) -> bool:
        """Replace a file under the lock if its tag is the expected one."""
        with self._open():
            try:
                with FileLock(self.root / ".lock", timeout=self.patience):
                    if self.tag(name) != expected:
                        return False
                    replace_durably(self.root / name, content)
                    return True
            except Timeout:
                raise StorageError(f"another publisher holds {self.root / '.lock'}: run it again") from None

    def names(self, folder: str) -> list[str]:
        """Return the files below a folder; temporary files of killed publishers are among them."""
        with self._open():
            return sorted(path.relative_to(self.root).as_posix() for path in (self.root / folder).rglob("*") if path.is_file())

    def remove(self, names: Sequence[str]) -> None:
        """Remove files."""
        with self._open():
            for name in names:
                (self.root / name).unlink(missing_ok=True)

    @contextmanager
    def _open(self) -> Iterator[None]:
        if not self.root.is_dir():
            raise StorageError(f"the shared store {self.root} does not exist: create the folder, or mount it")
        with disk_errors(self.root, kind=StorageError, more="; what is in use stays"):
            yield
