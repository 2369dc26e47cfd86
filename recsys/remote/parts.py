"""The parts of a workspace that a shared store holds: what is in use here, its files, and how a fetched version comes into use."""

from __future__ import annotations

import json
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
from recsys.artifacts.bundle import LAYOUT, MANIFEST, Bundle, current_id, list_bundles
from recsys.artifacts.publish import use
from recsys.remote.published import PartName

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator
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

    def check(self, version: str, fetch: Callable[[str], Path]) -> None:
        """Raise StorageError if a version of the store cannot be used here; `fetch` returns the path of one of its files."""
        ...

    def adopt(self, version: str, folder: Path) -> None:
        """Move a complete folder into its place, and bring it into use. The caller holds the lock of the workspace."""
        ...

    def keep_only(self, versions: Collection[str]) -> None:
        """Remove all versions but these and the one in use."""
        ...


@dataclass(frozen=True)
class TablesPart:
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
        _check_in_use(self.out / version, self.in_use())

    def copy_of(self, name: str, file: StoredFile) -> Path | None:
        """Return the file of that name in use, if it is the same."""
        path = table_versions.in_use(self.out) / name
        return path if _is(path, file) else None

    def check(self, version: str, fetch: Callable[[str], Path]) -> None:
        """Do nothing: tables are read by column."""

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
class BundlesPart:
    """Published bundles, or models, which are published alike.

    Attributes
    ----------
    answering : whether they are to be answered from, so that one of another layout is refused.
    """

    folder: Path
    keep: int
    answering: bool = False

    def in_use(self) -> str | None:
        """Return the id that CURRENT names."""
        return current_id(self.folder) if list_bundles(self.folder) else None

    def files(self, version: str) -> Iterator[LocalFile]:
        """Yield what lies in the bundle's folder, which is whole by itself, once it is known to be undamaged."""
        bundle = Bundle.open(self.folder, version)
        if problems := bundle.verify():
            raise BundleError(problems[0])
        yield from _in_folder(bundle.folder)
        _check_in_use(bundle.folder, self.in_use())

    def copy_of(self, name: str, file: StoredFile) -> Path | None:
        """Return the file of that name in any bundle here that is the same."""
        return next((path for one in list_bundles(self.folder) if _is(path := self.folder / one / name, file)), None)

    def check(self, version: str, fetch: Callable[[str], Path]) -> None:
        """Raise StorageError if this version of the program cannot answer from it."""
        if self.answering and (layout := _layout(fetch(MANIFEST))) != LAYOUT:
            advice = "install on this machine the version that publishes bundles, or publish one with this version; what is in use stays"
            raise StorageError(f"the shared store's bundle {version} has layout {layout}, this version answers from {LAYOUT}: {advice}")

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
class ErasedPart:
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

    def check(self, version: str, fetch: Callable[[str], Path]) -> None:
        """Raise StorageError if it cannot be joined with the list here."""
        self.joined(fetch(self.path.name))

    def joined(self, path: Path) -> ErasedUsers:
        """Return the store's list with the users who were erased here alone. It is pending if there are some.

        Raises
        ------
        StorageError
            If the two began apart.
        """
        mine, theirs = ErasedUsers.read(self.path), ErasedUsers.read(path)
        alone = mine.users.keys() - theirs.users.keys()
        if alone and mine.salt != theirs.salt:
            advice = f"erase its users where the shop's tables are, remove {self.path}, and run `recsys pull` again"
            raise StorageError(f"{self.path} was begun apart from the shared store's list of erased users: {advice}")
        return theirs.model_copy(update={"users": theirs.users | mine.users, "pending": True}) if alone else theirs

    def adopt(self, version: str, folder: Path) -> None:
        """Take the store's list; users who were erased here alone are added to it, and the next sweep removes them."""
        joined = self.joined(folder / self.path.name)
        if joined.pending:
            self.reopen(joined)
        else:
            replace_durably(self.path, (folder / self.path.name).read_bytes())

    def reopen(self, users: ErasedUsers) -> None:
        """Write a list whose next sweep removes users from what was fetched, because the store does not know of them."""
        _log.warning("users were erased here alone: run `recsys refresh`, which removes them from what was fetched and publishes it")
        users.model_copy(update={"pending": True}).write(self.path)

    def keep_only(self, versions: Collection[str]) -> None:
        """Do nothing: there is one list."""


def _in_folder(folder: Path) -> Iterator[LocalFile]:
    """Yield the files of a version that is never changed in place."""
    try:
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            yield LocalFile(path.relative_to(folder).as_posix(), path.stat().st_size, of_file(path), path)
    except FileNotFoundError as error:
        raise _replaced(folder) from error


def _check_in_use(folder: Path, version: str | None) -> None:
    """Raise StorageError if another version is in use by now: this one may have been removed while its files were listed."""
    if folder.name != version:
        raise _replaced(folder)


def _replaced(folder: Path) -> StorageError:
    return StorageError(f"{folder} was replaced while it was being published, and nothing of it is visible: run `recsys push` again")


def _layout(manifest: Path) -> object:
    """Return the layout that a manifest notes; None without one."""
    try:
        return json.loads(manifest.read_bytes())["about"]["layout"]
    except (ValueError, KeyError, TypeError):
        return None


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
        PartName.DATA: TablesPart(workspace.data),
        PartName.MODELS: BundlesPart(workspace.models, keep),
        PartName.BUNDLES: BundlesPart(workspace.bundles, keep, answering=True),
        PartName.ERASED: ErasedPart(workspace.erased),
    }
