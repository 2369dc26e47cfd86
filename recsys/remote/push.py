"""Publishes what a workspace has in use into the shared store."""

from __future__ import annotations

import contextlib
import logging
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal

from features.errors import DataError, RecsysError, StorageError
from features.ingest.erased_users import ErasedUsers
from features.progress import silent
from features.storage.remote.store import open_store
from recsys.remote.parts import local_parts
from recsys.remote.published import CURRENT, OBJECTS, InStep, PartName, StoredFile, StoredPart, StoreManifest, new_publishing
from recsys.remote.transfers import each

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from features.progress import Progress
    from features.storage.remote.store import SharedStore
    from recsys.remote.parts import LocalFile, LocalPart
    from recsys.settings.settings import Settings
    from recsys.workspace.workspace import Workspace

_log = logging.getLogger(__name__)
Standing = Literal["same", "new", "behind", "conflict"]


@dataclass(frozen=True)
class PushOptions:
    """How to publish.

    Attributes
    ----------
    everything : send all contents again, for a store that has lost or damaged some.
    replace : publish also where the store has something newer that this workspace has not seen.
    clean : remove what nothing names any more even if there is nothing new.
    """

    everything: bool = False
    replace: bool = False
    clean: bool = False


@dataclass(frozen=True)
class Pushed:
    """What a publishing did.

    Attributes
    ----------
    parts : those that changed in the store.
    behind : parts of which the store has something newer, which this workspace has not fetched.
    sent, size : objects sent, and their bytes.
    kept : objects of the published versions that the store had.
    removed : objects that nothing named any more.
    """

    url: str
    parts: tuple[PartName, ...] = ()
    behind: tuple[PartName, ...] = ()
    sent: int = 0
    size: int = 0
    kept: int = 0
    removed: int = 0

    def __str__(self) -> str:
        if not (self.parts or self.removed):
            line = f"nothing has changed: {self.url} has what this workspace has in use"
        else:
            what = ", ".join(part.word for part in self.parts) or "nothing new"
            line = f"{self.url}: {what} published, {self.sent:,} objects sent ({self.size / 2**20:,.1f} MiB), {self.kept:,} were there"
            line += f", {self.removed:,} removed that nothing names any more" if self.removed else ""
        newer = ", ".join(part.word for part in self.behind)
        return f"{line}\nnote: the store has a newer {newer}: run `recsys pull`" if newer else line


def share(workspace: Workspace, settings: Settings, *, clean: bool = False) -> Pushed | None:
    """Publish what has just come into use here, if the settings name a shared store; log what was sent. None without a store.

    Raises
    ------
    StorageError
        If that fails. What is in use here stays, and the next publishing command, or `recsys push`, makes up for it.
    """
    if settings.storage.url is None:
        return None
    step = InStep.read(workspace.in_step, settings.storage.address)
    here = {name: part.in_use() for name, part in local_parts(workspace, settings.bundles.keep).items()}
    if not clean and all(version in (None, step.parts.get(name)) for name, version in here.items()):
        return None
    try:
        done = push(workspace, settings, PushOptions(clean=clean))
    except RecsysError as error:
        raise StorageError(f"done here, but not in the shared store: {error}") from error
    _log.info("%s", done)
    return done


def push(workspace: Workspace, settings: Settings, options: PushOptions | None = None, progress: Progress = silent) -> Pushed:
    """Publish what the workspace has in use: send the contents that the store lacks, then replace CURRENT, if it is as it was.

    Raises
    ------
    StorageError
        If the store cannot be used, has something newer in the place of what would be published, or another publisher was first.
        The store is as it was then.
    DataError, BundleError
        If the workspace is damaged, or an erasure in it is not complete.
    """
    store = open_store(settings.storage)
    if ErasedUsers.read(workspace.erased).pending:
        raise DataError("an erasure was interrupted, so that users may be left: run `recsys erase` again, or `recsys refresh`")
    return _Push(workspace, settings.bundles.keep, store, options or PushOptions(), progress).run()


@dataclass
class _Push:
    workspace: Workspace
    keep: int
    store: SharedStore
    options: PushOptions
    progress: Progress
    sent: dict[str, int] = field(default_factory=dict)  # object -> bytes
    known: dict[str, str] = field(default_factory=dict)  # SHA-256 -> object

    def run(self) -> Pushed:
        there, tag = StoreManifest.read(self.store)
        step = InStep.read(self.workspace.in_step, self.store.url)
        local = local_parts(self.workspace, self.keep)
        here = {name: version for name, part in local.items() if (version := part.in_use()) is not None}
        if not here:
            raise DataError(f"nothing is in use in {self.workspace.root} that could be published: run `recsys ingest` first")
        standing = compare(here, there, step, replace=self.options.replace)
        check(standing, self.store.url)
        behind = tuple(name for name, one in standing.items() if one == "behind")
        publish = tuple(name for name in here if standing[name] == "new" or (self.options.everything and name not in behind))
        if not publish and not (self.options.clean and there is not None and self._unnamed(there)):
            if there is not None and not behind:
                InStep(url=self.store.url, tag=tag, parts=here).write(self.workspace.in_step)
            return Pushed(self.store.url, behind=behind)
        if there is not None and not self.options.everything:
            self.known = {content: name for name, content in there.objects.items()}
        # Earlier versions may hold the erased users, or lack objects.
        forget = standing.get(PartName.ERASED) == "new" or self.options.everything
        new = self._sent(there, {name: local[name] for name in publish}, here, forget=forget)
        garbage = self._unnamed(new) - set(self.sent)
        # An error leaves open whether CURRENT was written: then what was sent stays, and a later publishing removes it if need be.
        if not self.store.swap(CURRENT, new.model_dump_json(indent=1).encode(), tag):
            self._withdraw()
            raise StorageError(
                f"another publisher of {self.store.url} was first, and nothing of this one is visible: run `recsys push` again"
            )
        self.store.remove(sorted(garbage))
        agreed = {name: version for name, version in here.items() if new.in_use(name) == version}
        InStep(url=self.store.url, parts=step.parts | agreed).write(self.workspace.in_step)
        kept = {file.object for name in publish for file in new.parts[name].files.values()} - set(self.sent)
        return Pushed(self.store.url, publish, behind, len(self.sent), sum(self.sent.values()), len(kept), len(garbage))

    def _sent(
        self, there: StoreManifest | None, publish: dict[PartName, LocalPart], here: dict[PartName, str], *, forget: bool
    ) -> StoreManifest:
        """Send what the store lacks of some parts, and return the CURRENT that names it."""
        new = StoreManifest(written=datetime.now(UTC), publishing=new_publishing(), parts={})
        parts = dict(there.parts) if there is not None else {}
        try:
            for name, part in publish.items():
                files = self._files(part.files(here[name]), new.publishing, name.word)
                parts[name] = parts.get(name, StoredPart.empty()).with_version(here[name], files, part.keep)
        except BaseException:
            self._withdraw()
            raise
        return new.model_copy(update={"parts": {name: part.alone() if forget else part for name, part in parts.items()}})

    def _files(self, local: Iterable[LocalFile], publishing: str, label: str) -> dict[str, StoredFile]:
        """Send what the store lacks of some files, and return all of them."""
        files, missing = {}, []
        for file in local:
            if file.sha256 not in self.known:
                self.known[file.sha256] = f"{OBJECTS}/{file.sha256}-{publishing}"
                missing.append(file)
            files[file.name] = StoredFile(size=file.size, sha256=file.sha256, object=self.known[file.sha256])

        def send(file: LocalFile) -> None:
            name = self.known[file.sha256]
            self.sent[name] = file.size  # before it is sent, so that it is withdrawn after a failure
            self.store.send(name, file.path)

        each(send, missing, label, self.progress)
        return files

    def _unnamed(self, new: StoreManifest) -> set[str]:
        """Return the objects that a CURRENT does not name. Whoever is sending some has to lose by the swap that follows."""
        return set(self.store.names(OBJECTS)) - set(new.objects)

    def _withdraw(self) -> None:
        """Remove what was sent: no CURRENT can name it."""
        with contextlib.suppress(StorageError):
            self.store.remove(sorted(self.sent))


def compare(here: Mapping[PartName, str], there: StoreManifest | None, step: InStep, *, replace: bool = False) -> dict[PartName, Standing]:
    """Return how each part of a workspace stands to the store, by what the two had when they last agreed.

    Parameters
    ----------
    here : part -> version in use in the workspace.
    replace : whether what is newer in the store gives way. The list of erased users never does: they would come back.
    """
    standing: dict[PartName, Standing] = {}
    for name in PartName:
        version = here.get(name)
        if version is None and (name is not PartName.ERASED or there is None or name not in there.parts):
            continue
        theirs, agreed = None if there is None else there.in_use(name), step.parts.get(name)
        if theirs == version:
            standing[name] = "same"
        elif theirs is None or theirs == agreed or (replace and name is not PartName.ERASED):
            standing[name] = "new"
        else:
            standing[name] = "behind" if version == agreed else "conflict"
    values = set(standing.values())
    if standing.get(PartName.ERASED) == "behind" and "new" in values:
        standing[PartName.ERASED] = "conflict"  # what is new here may hold them
    if standing.get(PartName.ERASED) == "new" and "behind" in values:
        standing |= {name: "conflict" for name, one in standing.items() if one == "behind"}  # what is new there may hold them
    return standing


def check(standing: Mapping[PartName, Standing], url: str) -> None:
    """Raise StorageError if a part of the store would be lost."""
    names = [name for name, one in standing.items() if one == "conflict"]
    if names:
        take, put = "`recsys pull --replace` to take the store's", "`recsys push --replace` to put this workspace's in its place"
        # Of a list of erased users, nobody may be lost.
        advice = "run " + (put if standing.get(PartName.ERASED) == "new" else take if PartName.ERASED in names else f"{take}, or {put}")
        newer = ", ".join(name.word for name in names)
        raise StorageError(f"{url} has a newer {newer} than this workspace has seen, and nothing was published: {advice}")
