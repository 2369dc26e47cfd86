"""Publishing bundles, going back to an older one, and keeping only the last few. What a bundle is: `recsys.artifacts.bundle`."""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
import uuid
from collections import ChainMap
from collections.abc import Callable, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, cast

from filelock import FileLock, Timeout

from features.errors import BundleError, disk_errors
from features.storage.atomic import replace_durably, sync, write_durably
from recsys.artifacts.bundle import CURRENT, HASH_DIGITS, MANIFEST, Bundle, FileEntry, Manifest, check_name, current_id, list_bundles
from recsys.settings.bundles import BundleConfig

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_log = logging.getLogger(__name__)
_TEMPORARY = ".tmp-"
_LOCK_SECONDS = 30


def publish(bundles: Path, files: Mapping[str, bytes], about: dict[str, Any], keep: int = BundleConfig().keep) -> str:
    """Write a new bundle and make it the one in use; older ones beyond `keep` are removed. Returns its id.

    Until CURRENT is replaced, the bundle before it stays in use, whatever happens; from then on the new one is, and it is whole on disk.

    Raises
    ------
    BundleError: it could not be written, or another process is publishing.
    ValueError: a name in `files` is not a plain relative path.
    """
    for name in files:
        check_name(name)
    with _writing(bundles):
        _remove_leftovers(bundles)
        manifest = Manifest(created=datetime.now(UTC), parent=_current_or_none(bundles), files={}, about=about)
        bundle_id = _write(bundles, files, manifest)
        _set_current(bundles, bundle_id)
        _prune(bundles, keep)
    return bundle_id


Change = Callable[[Bundle], tuple[Mapping[str, bytes], dict[str, Any]] | None]


def rewrite(bundles: Path, change: Change) -> dict[str, str]:
    """Put changed bundles in the place of those that are kept, the one in use included. Returns old id -> new id.

    change: a bundle -> the files that change and the new `about`; None leaves it as it is.
    A bundle keeps its moment of publishing; its id, which vouches for its content, changes. First the new ones are written, then CURRENT
    is replaced, then the old ones go: cut short anywhere, CURRENT names a whole bundle, and the same call again ends the work. A bundle
    that cannot be read cannot be changed, and is removed.

    Raises
    ------
    BundleError: they could not be written, or another process is publishing.
    """
    if not bundles.is_dir():
        return {}
    with _writing(bundles):
        _remove_leftovers(bundles)
        before, renamed = list_bundles(bundles), {}
        for bundle_id in reversed(before):  # parents first
            try:
                renamed[bundle_id] = _rewritten(bundles, Bundle.open(bundles, bundle_id), change, renamed)
            except BundleError as error:
                _log.warning("%s; it is removed", error)
        now = _current_or_none(bundles)
        if now is not None and renamed.get(now, now) != now:
            _set_current(bundles, renamed[now])
        for bundle_id in set(before) - set(renamed.values()):
            shutil.rmtree(bundles / bundle_id)
        sync(bundles)
    return renamed


def _rewritten(bundles: Path, bundle: Bundle, change: Change, renamed: Mapping[str, str]) -> str:
    """Id of the bundle as it is after the change."""
    changed, parent = change(bundle), bundle.manifest.parent
    line = renamed.get(parent, parent) if parent else parent
    if changed is None and line == parent:
        return bundle.id
    files, about = changed or ({}, bundle.manifest.about)
    manifest = bundle.manifest.model_copy(update={"parent": line, "about": about, "files": {}})
    return _write(bundles, ChainMap(dict(files), cast("dict[str, bytes]", bundle.files)), manifest)


def use(bundles: Path, bundle_id: str) -> None:
    """Make a bundle that is kept the one in use.

    Raises
    ------
    BundleError: it is damaged, or another process is publishing; nothing was changed.
    """
    problems = Bundle.open(bundles, bundle_id).verify()
    if problems:
        raise BundleError(problems[0])
    with _writing(bundles):
        _set_current(bundles, bundle_id)


def rollback(bundles: Path) -> str:
    """Go back to the bundle before the one in use, or the nearest earlier one that is whole. Returns its id.

    Where CURRENT is missing or damaged, the newest whole bundle is taken.

    Raises
    ------
    BundleError: no earlier bundle is whole; nothing was changed.
    """
    if not bundles.is_dir():
        raise BundleError(f"there are no bundles in {bundles}: run `recsys build-index` first")
    with _writing(bundles):
        candidates = _earlier(bundles)
        for bundle_id in candidates:
            if _is_whole(bundles, bundle_id):
                _set_current(bundles, bundle_id)
                return bundle_id
    looked = f"{len(candidates)} looked at"
    raise BundleError(f"no earlier bundle in {bundles} is whole ({looked}): run `recsys build-index` to publish a new one")


def _earlier(bundles: Path) -> list[str]:
    """Where to go back to, best first: parents of the bundle in use, then what is older than it."""
    now, everything = _current_or_none(bundles), list_bundles(bundles)
    line = [bundle_id for bundle_id in _ancestors(bundles, now) if bundle_id != now]
    older = [bundle_id for bundle_id in everything if now is None or bundle_id < now]
    # With CURRENT gone, or pointing at nothing, any whole bundle is better than none.
    rest = [] if now in everything else everything
    return list(dict.fromkeys(line + older + rest))


def _is_whole(bundles: Path, bundle_id: str) -> bool:
    try:
        return not Bundle.open(bundles, bundle_id).verify()
    except BundleError:
        return False


def _ancestors(bundles: Path, bundle_id: str | None) -> Iterator[str]:
    """The bundle, its parent, its parent's parent, as far as the manifests can be read."""
    seen: set[str] = set()
    while bundle_id is not None and bundle_id not in seen:
        seen.add(bundle_id)
        try:
            manifest = Bundle.open(bundles, bundle_id).manifest
        except BundleError:
            return
        yield bundle_id
        bundle_id = manifest.parent


def _current_or_none(bundles: Path) -> str | None:
    try:
        return current_id(bundles)
    except BundleError:
        return None


def _write(bundles: Path, files: Mapping[str, bytes], manifest: Manifest) -> str:
    """Write a whole bundle under a temporary name, make sure of it on disk, and give it its name. `manifest.files` is made here."""
    temporary = bundles / f"{_TEMPORARY}{uuid.uuid4().hex}"
    try:
        temporary.mkdir()
        folders, entries = {temporary}, {}
        for name in sorted(files):
            content, path = files[name], temporary / name
            entries[name] = FileEntry(size=len(content), sha256=hashlib.sha256(content).hexdigest())
            path.parent.mkdir(parents=True, exist_ok=True)
            folders.update(parent for parent in path.parents if temporary in parent.parents)
            write_durably(path, content)
        manifest_bytes = manifest.model_copy(update={"files": entries}).model_dump_json(indent=1).encode()
        write_durably(temporary / MANIFEST, manifest_bytes)
        for folder in folders:
            sync(folder)
        bundle_id = f"{manifest.created:%Y%m%dT%H%M%S%fZ}-{hashlib.sha256(manifest_bytes).hexdigest()[:HASH_DIGITS]}"
        _give_name(temporary, bundles, bundle_id)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return bundle_id


def _give_name(temporary: Path, bundles: Path, bundle_id: str) -> None:
    """A bundle of this name can be there only where a rewriting was cut short; it is taken if it is whole."""
    if (bundles / bundle_id).exists():
        if _is_whole(bundles, bundle_id):
            return
        shutil.rmtree(bundles / bundle_id)
    os.rename(temporary, bundles / bundle_id)
    sync(bundles)


def _set_current(bundles: Path, bundle_id: str) -> None:
    replace_durably(bundles / CURRENT, f"{bundle_id}\n".encode())


@contextmanager
def _writing(bundles: Path) -> Iterator[None]:
    """Alone in the folder; what the disk refuses becomes an error the user can act on."""
    lock = FileLock(bundles / ".lock", timeout=_LOCK_SECONDS)
    with disk_errors(bundles, "written", BundleError, "; the bundle in use is still whole"):
        bundles.mkdir(parents=True, exist_ok=True)
        try:
            lock.acquire()
        except Timeout:
            advice = "wait until it is done and run it again"
            raise BundleError(f"another process has been publishing into {bundles} for {_LOCK_SECONDS} seconds: {advice}") from None
        try:
            yield
        finally:
            lock.release()


def _remove_leftovers(bundles: Path) -> None:
    """What publishers that were killed left behind; under the lock nobody else is writing."""
    for path in bundles.glob(f"{_TEMPORARY}*"):
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def _prune(bundles: Path, keep: int) -> None:
    """Keep the bundle in use and those it came from, newest first; others fill up to `keep`."""
    line = list(_ancestors(bundles, _current_or_none(bundles)))
    kept = list(dict.fromkeys(line + list_bundles(bundles)))[:keep]
    for bundle_id in set(list_bundles(bundles)) - set(kept):
        shutil.rmtree(bundles / bundle_id, ignore_errors=True)
