"""Fetches what the shared store has in use into a workspace, and brings it into use there."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import TYPE_CHECKING, Self

from filelock import FileLock, Timeout

from features.errors import StorageError
from features.ingest.erased_users import ErasedUsers
from features.progress import silent
from features.storage.remote.store import open_store
from recsys.privacy.erasure import PATIENCE, remove_users
from recsys.remote.parts import ErasedPart, local_parts
from recsys.remote.published import CURRENT, InStep, PartName, StoreManifest
from recsys.remote.transfers import assemble, each, fetch_object, from_here

if TYPE_CHECKING:
    from pathlib import Path

    from features.progress import Progress
    from features.storage.remote.store import SharedStore
    from recsys.remote.parts import LocalPart
    from recsys.remote.published import StoredFile
    from recsys.settings.settings import Settings
    from recsys.workspace.workspace import Workspace


@dataclass(frozen=True)
class Pulled:
    """What was fetched.

    Attributes
    ----------
    parts : those that changed here, with the version in use now.
    fetched, size : objects fetched, and their bytes.
    kept : files that the workspace had already.
    ahead : parts that are new here and that the store does not have.
    """

    url: str
    parts: dict[PartName, str]
    fetched: int = 0
    size: int = 0
    kept: int = 0
    ahead: tuple[PartName, ...] = ()

    def __str__(self) -> str:
        line = f"nothing has changed: {self.url} has nothing newer"
        if self.parts:
            what = ", ".join(f"{name.word} {version}" for name, version in self.parts.items())
            line = f"in use now: {what}; {self.fetched:,} objects fetched ({self.size / 2**20:,.1f} MiB), {self.kept:,} were here"
        own = ", ".join(name.word for name in self.ahead)
        return f"{line}\nnote: never published from here: {own}; run `recsys push`" if own else line


def pull(
    workspace: Workspace,
    settings: Settings,
    *,
    replace: bool = False,
    keep: bool = False,
    patience: float = PATIENCE,
    progress: Progress = silent,
) -> Pulled:
    """Bring a workspace up to date with the shared store. Every object is checked before anything of it is used.

    Parameters
    ----------
    replace : whether what is new in this workspace, and was never published, gives way.
    keep : whether it stays where the store has something newer too, and the rest is fetched: for commands that publish afterwards, which
        also replace a bundle that this version cannot answer from.
    patience : seconds to wait for another pull, and for a refresh that is at work.

    Raises
    ------
    StorageError
        If the store cannot be used, is empty, holds something damaged, a bundle that this version of the program cannot answer from, or
        the workspace has something new of its own. What is in use stays.
    DataError, BundleError
        If the workspace cannot be written, or another command holds its lock for longer than `patience`.
    """
    return _Pull(workspace, settings, open_store(settings.storage), replace, keep, patience, progress).run()


@dataclass(frozen=True)
class _Difference:
    """What differs between a workspace and a store.

    Attributes
    ----------
    here : versions in use in the workspace, of all parts.
    changed : parts to fetch.
    ahead : parts that are new here alone.
    conflicts : parts that are new here and there.
    """

    there: StoreManifest
    tag: str | None
    here: dict[PartName, str | None]
    step: InStep
    changed: tuple[PartName, ...]
    ahead: frozenset[PartName]
    conflicts: frozenset[PartName]

    @classmethod
    def of(cls, there: tuple[StoreManifest, str | None], here: dict[PartName, str | None], step: InStep, wanted: set[PartName]) -> Self:
        published, tag = there
        differ = [name for name in here if name in wanted and published.in_use(name) not in (None, here[name])]
        own = {name for name in differ if here[name] not in (None, step.parts.get(name))}
        ahead = frozenset(name for name in own if published.in_use(name) == step.parts.get(name))
        return cls(published, tag, here, step, tuple(differ), ahead, frozenset(own - ahead - {PartName.ERASED}))

    def check(self, url: str) -> None:
        """Raise StorageError if the pull would replace what exists here alone."""
        if self.conflicts:
            names = ", ".join(name.word for name in sorted(self.conflicts))
            advice = "run `recsys pull --replace` to take the store's"
            if PartName.ERASED not in self.changed:  # a push in their place needs them erased here first
                advice += ", or `recsys push --replace` to put this workspace's in its place"
            raise StorageError(f"{url} has something newer, and so has this workspace, which never published it ({names}): {advice}")

    def without_own(self) -> Self:
        """Return the difference without fetching what is new here."""
        return replace(self, changed=tuple(name for name in self.changed if name not in self.ahead | self.conflicts))


@dataclass(frozen=True)
class _Pull:
    workspace: Workspace
    settings: Settings
    store: SharedStore
    replace: bool
    keep: bool
    patience: float
    progress: Progress

    @cached_property
    def parts(self) -> dict[PartName, LocalPart]:
        return local_parts(self.workspace, self.settings.bundles.keep)

    @cached_property
    def wanted(self) -> set[PartName]:
        return {PartName.ERASED, *map(PartName, self.settings.storage.pull)}

    @property
    def folder(self) -> Path:
        """Holds what was fetched, for the next try too. It is on the disk of the workspace, so that files can be renamed."""
        return self.workspace.pulled

    def run(self) -> Pulled:
        """Fetch what has changed, then bring it into use; start anew where the workspace has changed meanwhile."""
        if self._in_step(*self._state()):
            return Pulled(self.store.url, {})
        self.workspace.cache.mkdir(parents=True, exist_ok=True)
        try:
            with FileLock(self.workspace.pull_lock, timeout=self.patience):
                while (done := self._pulled()) is None:
                    pass
                return done
        except Timeout:
            waited = f"has been at work in {self.workspace.root} for {self.patience:g} seconds"
            raise StorageError(f"another pull {waited}: wait until it is done") from None

    def _state(self) -> tuple[dict[PartName, str | None], InStep]:
        here = {name: part.in_use() for name, part in self.parts.items()}
        return here, InStep.read(self.workspace.in_step, self.store.url)

    def _in_step(self, here: dict[PartName, str | None], step: InStep) -> bool:
        """Return whether nothing has changed here or there; this asks the store for no content."""
        agreed = all(here[name] == step.parts.get(name) for name in self.wanted)
        return step.tag is not None and agreed and self.store.tag(CURRENT) == step.tag

    def _pulled(self) -> Pulled | None:
        """Fetch and bring into use once; None if another command has changed the workspace meanwhile."""
        here, step = self._state()
        if self._in_step(here, step):  # another pull has done it
            return Pulled(self.store.url, {})
        there, tag = StoreManifest.read(self.store)
        if there is None:
            if self.keep:
                return Pulled(self.store.url, {})
            raise StorageError(f"nothing was published in {self.store.url}: run `recsys push` where the shop's bundles are built")
        found = _Difference.of((there, tag), here, step, self.wanted)
        if not self.replace:
            if not self.keep:
                found.check(self.store.url)
            found = found.without_own()
        if not found.changed:
            self._note(found)
            return Pulled(self.store.url, {}, ahead=self._left(found))
        fetched, kept = self._fetch(found)
        with self.workspace.alone(self.patience):
            if self._state() != (here, step):
                return None
            self._adopt(found)
        shutil.rmtree(self.folder, ignore_errors=True)
        versions = {name: there.parts[name].in_use for name in found.changed}
        return Pulled(self.store.url, versions, len(fetched), sum(file.size for file in fetched), kept, self._left(found))

    def _left(self, found: _Difference) -> tuple[PartName, ...]:
        return tuple(sorted((found.ahead | found.conflicts) - set(found.changed)))

    def _fetch(self, found: _Difference) -> tuple[list[StoredFile], int]:
        """Fetch the files of all parts that have changed. Return what came from the store, and how many files were here."""
        objects = self.folder / "objects"
        objects.mkdir(parents=True, exist_ok=True)
        changed = {name: found.there.parts[name] for name in found.changed}
        for name, part in changed.items():
            if name is not PartName.BUNDLES or not self.keep:
                self.parts[name].check(part.in_use, partial(self._file, part.files, objects))
        files = {file.sha256: (self.parts[of], name, file) for of, part in changed.items() for name, file in part.files.items()}
        missing = [file for part, name, file in files.values() if not from_here(part, name, file, objects)]
        each(lambda file: fetch_object(self.store, file, objects), missing, "fetch", self.progress)
        return missing, len(files) - len(missing)

    def _file(self, files: dict[str, StoredFile], objects: Path, name: str) -> Path:
        fetch_object(self.store, files[name], objects)
        return objects / files[name].sha256

    def _adopt(self, found: _Difference) -> None:
        """Bring into use what was fetched. The caller holds the lock of the workspace."""
        erased = self.workspace.erased
        if PartName.ERASED not in found.changed and found.here[PartName.ERASED] not in (None, found.there.in_use(PartName.ERASED)):
            ErasedPart(erased).reopen(ErasedUsers.read(erased))
        for name in found.changed:
            part, version = self.parts[name], found.there.parts[name]
            assemble(version.files, self.folder / "objects", self.folder / name)
            if name is PartName.ERASED:
                self._forget(found.there, ErasedPart(erased).joined(self.folder / name / erased.name))
            part.adopt(version.in_use, self.folder / name)
        self._note(found)

    def _forget(self, there: StoreManifest, erased: ErasedUsers) -> None:
        """Remove the users that were erased elsewhere: earlier versions, what lies beside them, and their rows in what was not fetched."""
        folders = {PartName.DATA: self.workspace.data, PartName.MODELS: self.workspace.models, PartName.BUNDLES: self.workspace.bundles}
        clean = {name for name in folders if name in there.parts and self.parts[name].in_use() == there.in_use(name)}
        for name in clean:
            self.parts[name].keep_only(there.parts[name].versions)
        remove_users(self.workspace, erased, {folders[name] for name in clean})

    def _note(self, found: _Difference) -> None:
        """Note what the two agree on."""
        there, step = found.there, found.step
        agreed = {name: version for name in self.wanted - found.conflicts if (version := there.in_use(name)) is not None}
        if self.replace:
            agreed |= {name: version for name in found.conflicts if (version := there.in_use(name)) is not None}
        # What is not fetched, and was the store's: without erased users it is no new version.
        others = {name: part.in_use() for name, part in self.parts.items() if name not in self.wanted}
        agreed |= {name: now for name, now in others.items() if now is not None and found.here[name] == step.parts.get(name)}
        tag = None if found.conflicts and not self.replace else found.tag
        InStep(url=self.store.url, tag=tag, parts=step.parts | agreed).write(self.workspace.in_step)
