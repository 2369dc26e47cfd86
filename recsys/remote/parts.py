"""The parts of a workspace that a shared store holds: what is in use here, its files, and how a fetched version comes into use."""

from __future__ import annotations

import logging
import os
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from features.errors import BundleError, DataError, StorageError
from features.ingest import table_versions
from features.ingest.erased_users import ErasedUsers
from features.storage.atomic import replace_durably
from features.storage.digests import of_file
from recsys.artifacts.bundle import Bundle, current_id, list_bundles
from recsys.artifacts.publish import use
from recsys.remote.published import PartName

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from pathlib import Path

    from recsys.remote.published import StoredFile
    from recsys.workspace.workspace import Workspace


_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class LocalFile:
    """A file to send: its name in the version, size in bytes, digest, and where it lies."""

    name: str
    size: int
    sha256: str
    path: Path


class LocalPart(Protocol):
    """A part of a workspace."""

    @property
    def keep(self) -> int:
        """How many versions of it to keep."""
        ...

    def in_use(self) -> str | None:
        """Return the id of the version in use here; None without one."""
        ...

    def files(self, version: str) -> Iterator[LocalFile]:
        """Yield the files of a version here."""
        ...

    def copy_of(self, name: str, file: StoredFile) -> Path | None:
        """Return a file here that has the content of a stored one; None without one."""
        ...

    def adopt(self, version: str, folder: Path) -> None:
        """Move a complete folder into its place, and bring it into use. The caller holds the lock of the workspace."""
        ...

    def keep_only(self, versions: Collection[str]) -> None:
        """Remove all versions but these and the one in use."""
        ...


@dataclass(frozen=True)
class Tables:
    """The ingested tables. The store keeps the previous version for readers that have begun to fetch it."""

    out: Path
    keep: int = 2

    def in_use(self) -> str | None:
        """Return the version that data/CURRENT names."""
        folder = table_versions.in_use(self.out)
        return None if folder == self.out else folder.name

    def files(self, version: str) -> Iterator[LocalFile]:
        """Yield the tables with their quarantine and profile."""
        yield from _in_folder(self.out / version)

    def copy_of(self, name: str, file: StoredFile) -> Path | None:
        """Return the file of that name in use, if it is the same."""
        path = table_versions.in_use(self.out) / name
        return path if _is(path, file) else None

    def adopt(self, version: str, folder: Path) -> None:
        """Publish the folder under the name that it has in the store."""
        self.out.mkdir(parents=True, exist_ok=True)
        if (self.out / version).exists():  # it came before, and may be damaged: the fetched one is whole
            shutil.rmtree(self.out / version)
        table_versions.publish(folder, self.out, version)

    def keep_only(self, versions: Collection[str]) -> None:
        """Remove the versions that are not in use."""
        table_versions.remove_but(self.out, {table_versions.in_use(self.out)}, strict=True)


@dataclass(frozen=True)
class Bundles:
    """Published bundles, or models, which are published alike."""

    folder: Path
    keep: int

    def in_use(self) -> str | None:
        """Return the id that CURRENT names."""
        return current_id(self.folder) if list_bundles(self.folder) else None

    def files(self, version: str) -> Iterator[LocalFile]:
        """Yield what lies in the bundle's folder, which is whole by itself, once it is known to be undamaged."""
        bundle = Bundle.open(self.folder, version)
        if problems := bundle.verify():
            raise BundleError(problems[0])
        yield from _in_folder(bundle.folder)

    def copy_of(self, name: str, file: StoredFile) -> Path | None:
        """Return the file of that name in any bundle here that is the same."""
        return next((path for one in list_bundles(self.folder) if _is(path := self.folder / one / name, file)), None)

    def adopt(self, version: str, folder: Path) -> None:
        """Rename the folder, replace CURRENT, and remove what is beyond `keep`, oldest first."""
        self.folder.mkdir(parents=True, exist_ok=True)
        place = self.folder / version
        if place.exists():  # it came before, and may be damaged: the fetched one is whole
            shutil.rmtree(place)
        os.rename(folder, place)
        use(self.folder, version)
        others = [name for name in list_bundles(self.folder) if name != version]
        self.keep_only(others[: self.keep - 1])

    def keep_only(self, versions: Collection[str]) -> None:
        """Remove all bundles but these and the one in use."""
        for bundle_id in set(list_bundles(self.folder)) - {self.in_use(), *versions}:
            shutil.rmtree(self.folder / bundle_id)


@dataclass(frozen=True)
class Erased:
    """The list of erased users. Without it, another machine that reads the same sources would bring them back."""

    path: Path
    keep: int = 1

    def in_use(self) -> str | None:
        """Return the beginning of the list's digest."""
        return of_file(self.path)[:16] if self.path.is_file() else None

    def files(self, version: str) -> Iterator[LocalFile]:
        """Yield the one file."""
        sha256 = of_file(self.path)
        if not sha256.startswith(version):
            raise DataError(f"{self.path} changed while it was being published: run `recsys push`")
        yield LocalFile(self.path.name, self.path.stat().st_size, sha256, self.path)

    def copy_of(self, name: str, file: StoredFile) -> Path | None:
        """Return none: a list is small, and differs from the last one."""
        return None

    def adopt(self, version: str, folder: Path) -> None:
        """Take the store's list; users who were erased here alone are added to it, and the next sweep removes them.

        Raises
        ------
        StorageError
            If the two cannot be joined.
        """
        mine, theirs = ErasedUsers.read(self.path), ErasedUsers.read(folder / self.path.name)
        alone = mine.users.keys() - theirs.users.keys()
        if alone and mine.salt != theirs.salt:
            advice = f"erase its users where the shop's tables are, remove {self.path}, and run `recsys pull` again"
            raise StorageError(f"{self.path} was begun apart from the shared store's list of erased users: {advice}")
        if alone:
            _log.warning("users were erased here alone: run `recsys refresh`, which removes them from what was fetched and publishes it")
            theirs.model_copy(update={"users": theirs.users | mine.users, "pending": True}).write(self.path)
        else:
            replace_durably(self.path, (folder / self.path.name).read_bytes())

    def keep_only(self, versions: Collection[str]) -> None:
        """Do nothing: there is one list."""


def _in_folder(folder: Path) -> Iterator[LocalFile]:
    """Yield the files of a version that is never changed in place."""
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        yield LocalFile(path.relative_to(folder).as_posix(), path.stat().st_size, of_file(path), path)


def _is(path: Path, file: StoredFile) -> bool:
    return path.is_file() and path.stat().st_size == file.size and of_file(path) == file.sha256


def local_parts(workspace: Workspace, keep: int) -> dict[PartName, LocalPart]:
    """Return the parts of a workspace in the order in which a fetched version comes into use.

    The list of erased users is last: until it is there, a pull that was interrupted removes them again.

    Parameters
    ----------
    keep : how many models and bundles to keep.
    """
    return {
        PartName.DATA: Tables(workspace.data),
        PartName.MODELS: Bundles(workspace.models, keep),
        PartName.BUNDLES: Bundles(workspace.bundles, keep),
        PartName.ERASED: Erased(workspace.erased),
    }
