"""Fetches what the shared store has in use into a workspace, and brings it into use there."""

from __future__ import annotations

import dataclasses
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from features.errors import StorageError
from features.ingest.erased_users import ErasedUsers
from features.progress import silent
from features.storage.remote.store import open_store
from recsys.artifacts.model_store import mark
from recsys.privacy.erasure import PATIENCE, forget_beside
from recsys.remote.parts import local_parts
from recsys.remote.published import CURRENT, InStep, PartName, Published
from recsys.remote.transfers import assemble, each, fetch_object, from_here

if TYPE_CHECKING:
    from collections.abc import Collection

    from features.progress import Progress
    from features.storage.remote.store import SharedStore
    from recsys.remote.parts import LocalPart
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


def pull(workspace: Workspace, settings: Settings, *, replace: bool = False, progress: Progress = silent) -> Pulled:
    """Bring a workspace up to date with the shared store. Every object is checked before anything of it is used.

    Parameters
    ----------
    replace : whether what is new in this workspace, and was never published, gives way.

    Raises
    ------
    StorageError
        If the store cannot be used, is empty, holds something damaged, or the workspace has something new of its own. What is in use stays.
    DataError, BundleError
        If the workspace cannot be written.
    """
    store = open_store(settings.storage)
    wanted = {PartName.ERASED, *map(PartName, settings.storage.pull)}
    parts = {name: part for name, part in local_parts(workspace, settings.bundles.keep).items() if name in wanted}
    here = {name: part.in_use() for name, part in parts.items()}
    step = InStep.read(workspace.in_step, store.url)
    if step.tag is not None and all(here[name] == step.parts.get(name) for name in parts) and store.tag(CURRENT) == step.tag:
        return Pulled(store.url, {})
    there, tag = Published.read(store)
    if there is None:
        raise StorageError(f"nothing was published in {store.url}: run `recsys push` where the shop's bundles are built")
    differ = [name for name in parts if name in there.parts and there.in_use(name) != here[name]]
    own = {name for name in differ if here[name] not in (None, step.parts.get(name))}
    ahead = {name for name in own if there.in_use(name) == step.parts.get(name) and not replace}
    _check(own - ahead - {PartName.ERASED}, store.url, replace=replace)
    changed = {name: parts[name] for name in differ if name not in ahead}
    done = _Pull(workspace, store, there, progress).run(changed) if changed else Pulled(store.url, {})
    agreed = {name: version for name in parts if (version := there.in_use(name)) is not None}
    InStep(url=store.url, tag=tag, parts=step.parts | agreed).write(workspace.in_step)
    return dataclasses.replace(done, ahead=tuple(sorted(ahead)))


def _check(own: Collection[PartName], url: str, *, replace: bool) -> None:
    """Raise StorageError if the pull would replace what exists here alone."""
    if own and not replace:
        names = ", ".join(name.word for name in sorted(own))
        advice = "run `recsys pull --replace` to take the store's, or `recsys push --replace` to put this workspace's in its place"
        raise StorageError(f"{url} has something newer, and so has this workspace, which never published it ({names}): {advice}")


@dataclass(frozen=True)
class _Pull:
    workspace: Workspace
    store: SharedStore
    there: Published
    progress: Progress

    def run(self, changed: dict[PartName, LocalPart]) -> Pulled:
        """Fetch all parts that have changed, then bring them into use."""
        self.workspace.cache.mkdir(parents=True, exist_ok=True)
        try:
            with FileLock(self.workspace.cache / ".pull.lock", timeout=0):
                return self._fetched(changed)
        except Timeout:
            raise StorageError(f"another pull is at work in {self.workspace.root}: wait until it is done") from None

    def _fetched(self, changed: dict[PartName, LocalPart]) -> Pulled:
        # The next try takes over what this one has fetched. The folder is on the disk of the workspace, so that files can be renamed.
        folder = self.workspace.cache / "pull"
        objects = folder / "objects"
        objects.mkdir(parents=True, exist_ok=True)
        files = {file.sha256: (part, name, file) for of, part in changed.items() for name, file in self.there.parts[of].files.items()}
        missing = [file for part, name, file in files.values() if not from_here(part, name, file, objects)]
        each(lambda file: fetch_object(self.store, file, objects), missing, "fetch", self.progress)
        with self.workspace.alone(PATIENCE):
            for name, part in changed.items():
                assemble(self.there.parts[name].files, objects, folder / name)
                if name is PartName.ERASED:
                    self._forget(ErasedUsers.read(folder / name / self.workspace.erased.name))
                part.adopt(self.there.parts[name].in_use, folder / name)
        shutil.rmtree(folder, ignore_errors=True)
        versions = {name: self.there.parts[name].in_use for name in changed}
        return Pulled(self.store.url, versions, len(missing), sum(file.size for file in missing), len(files) - len(missing))

    def _forget(self, erased: ErasedUsers) -> None:
        """Remove what may hold the users that were erased elsewhere: earlier versions, and what lies beside them."""
        for name, part in local_parts(self.workspace, 1).items():
            part.keep_only(self.there.parts[name].versions if name in self.there.parts else ())
        mark(self.workspace.root / "evaluation", erased)
        forget_beside(self.workspace, erased)
