"""Transfers between a workspace and a shared store, several at once: each waits for the network most of the time."""

from __future__ import annotations

import os
import shutil
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import TYPE_CHECKING

from features.errors import StorageError
from features.storage.atomic import sync
from features.storage.digests import of_file

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path
    from typing import TypeVar

    from features.progress import Progress
    from features.storage.remote.store import SharedStore
    from recsys.remote.parts import LocalPart
    from recsys.remote.published import StoredFile

    T = TypeVar("T")

STREAMS = 4  # each may hold a file of a bundle in memory


def each(work: Callable[[T], None], items: Sequence[T], label: str, progress: Progress) -> None:
    """Call a function for each item, a few at once. The first error ends it; what has begun is waited for."""
    if not items:
        return
    with ThreadPoolExecutor(STREAMS) as pool, progress(label, len(items)) as step:
        try:
            for done in as_completed([pool.submit(work, item) for item in items]):
                done.result()
                step()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def fetch_object(store: SharedStore, file: StoredFile, folder: Path) -> None:
    """Fetch an object into a folder, where its file has the name of its digest; one that is there from an earlier try stays.

    Raises
    ------
    StorageError
        If it cannot be fetched, or its content is not the published one.
    """
    place = folder / file.sha256
    if place.is_file() and of_file(place) == file.sha256:
        return
    temporary = place.with_suffix(".part")
    store.fetch(file.object, temporary)
    if temporary.stat().st_size != file.size or of_file(temporary) != file.sha256:
        temporary.unlink()
        advice = "what is in use here stays; run `recsys push --all` where it was published"
        raise StorageError(f"{file.object} of {store.url} is damaged: its sha256 is not the published one: {advice}")
    sync(temporary)
    os.replace(temporary, place)


def from_here(part: LocalPart, name: str, file: StoredFile, folder: Path) -> bool:
    """Take a file over that the workspace has in another version. Returns whether it has it, undamaged."""
    copy, place = part.copy_of(name, file), folder / file.sha256
    if copy is not None and not place.exists():
        _link(copy, place)
    return copy is not None


def assemble(files: Mapping[str, StoredFile], fetched: Path, folder: Path) -> None:
    """Make a version's folder of fetched files, and sync it to disk."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    folders = {folder}
    for name, file in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        folders.update(parent for parent in path.parents if folder in parent.parents)
        _link(fetched / file.sha256, path)
    for one in folders:
        sync(one)


def _link(source: Path, target: Path) -> None:
    """Give a file a second name, or copy it where the disk cannot: published files are never changed in place."""
    try:
        os.link(source, target)
    except OSError:
        temporary = target.with_name(f"{target.name}.part")  # a copy that was interrupted does not pass for a whole one
        shutil.copyfile(source, temporary)
        sync(temporary)
        os.replace(temporary, target)
