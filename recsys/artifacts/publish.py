"""Publishing, rollback and pruning of bundles; `recsys.artifacts.bundle` describes and reads them."""

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
from features.storage.atomic import replace_durably, sync
from recsys.artifacts.bundle import CURRENT, HASH_DIGITS, Bundle, Manifest, check_name, current_id, list_bundles
from recsys.artifacts.sharing.writer import BundleWriter
from recsys.settings.refresh import BundleConfig

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_log = logging.getLogger(__name__)
_TEMPORARY = ".tmp-"
_LOCK_SECONDS = 30


def publish(bundles: Path, files: Mapping[str, bytes], about: dict[str, Any], keep: int = BundleConfig().keep) -> str:
    """Write a new bundle, make it current, remove older ones beyond `keep`, and return its id.

    What the bundle in use has is linked, and not written again, see `recsys.artifacts.sharing.writer`. The previous
    bundle stays current until CURRENT is replaced; by then the new one is complete on disk.

    Raises
    ------
    BundleError
        If it cannot be written, or another process is publishing.
    ValueError
        If a name in `files` is not a plain relative path.
    """
    for name in files:
        check_name(name)
    with _writing(bundles):
        _remove_leftovers(bundles)
        before = _opened_or_none(bundles)
        manifest = Manifest(created=datetime.now(UTC), parent=_current_or_none(bundles), files={}, about=about)
        bundle_id = _write(bundles, files, manifest, before)
        _set_current(bundles, bundle_id)
        _prune(bundles, keep)
    return bundle_id


Change = Callable[[Bundle], tuple[Mapping[str, bytes], dict[str, Any]] | None]


def rewrite(bundles: Path, change: Change, *, compact: bool = False) -> dict[str, str]:
    """Replace stored bundles, the current one included, by changed ones; remove those that cannot be read.

    A bundle keeps its time of publishing, and its id changes with its content. The new bundles are written first, then
    CURRENT is replaced, then the old ones are removed. If this is interrupted, CURRENT names a complete bundle, and
    calling it again finishes.

    Parameters
    ----------
    change : maps a bundle to the files that change and the new `about`; None leaves the bundle as it is.
    compact : whether parts with bytes that no file of their bundle has any more are written anew without these.

    Returns
    -------
    renamed : new id by old id.

    Raises
    ------
    BundleError
        If they cannot be written, or another process is publishing.
    """
    if not bundles.is_dir():
        return {}
    with _writing(bundles):
        _remove_leftovers(bundles)
        before, renamed = list_bundles(bundles), {}
        for bundle_id in reversed(before):  # parents first
            try:
                renamed[bundle_id] = _rewritten(bundles, Bundle.open(bundles, bundle_id), change, renamed, compact)
            except BundleError as error:
                _log.warning("%s; it is removed", error)
        current = _current_or_none(bundles)
        if current is not None and renamed.get(current, current) != current:
            _set_current(bundles, renamed[current])
        for bundle_id in set(before) - set(renamed.values()):
            shutil.rmtree(bundles / bundle_id)
        sync(bundles)
    return renamed


def _rewritten(bundles: Path, bundle: Bundle, change: Change, renamed: Mapping[str, str], compact: bool) -> str:
    """Write the changed bundle and return its id."""
    changed, parent = change(bundle), bundle.manifest.parent
    new_parent = renamed.get(parent, parent) if parent else parent
    if changed is None and new_parent == parent and not (compact and bundle.manifest.assembled):
        return bundle.id
    files, about = changed or ({}, bundle.manifest.about)
    manifest = bundle.manifest.model_copy(update={"parent": new_parent, "about": about})
    return _write(bundles, ChainMap(dict(files), cast("dict[str, bytes]", bundle.files)), manifest, bundle, assemble=not compact)


def use(bundles: Path, bundle_id: str) -> None:
    """Make a stored bundle the current one.

    Raises
    ------
    BundleError
        If it is damaged, or another process is publishing; nothing has changed then.
    """
    problems = Bundle.open(bundles, bundle_id).verify()
    if problems:
        raise BundleError(problems[0])
    with _writing(bundles):
        _set_current(bundles, bundle_id)


def rollback(bundles: Path) -> str:
    """Make the nearest earlier undamaged bundle current (the newest if CURRENT is unreadable) and return its id.

    Raises
    ------
    BundleError
        If no earlier bundle is undamaged; nothing has changed then.
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
    """Return the candidates of a rollback, best first: ancestors of the current bundle, then other older ones."""
    current, everything = _current_or_none(bundles), list_bundles(bundles)
    ancestors = [bundle_id for bundle_id in _ancestors(bundles, current) if bundle_id != current]
    older = [bundle_id for bundle_id in everything if current is None or bundle_id < current]
    # If CURRENT is missing or dangling, any undamaged bundle is better than none.
    rest = [] if current in everything else everything
    return list(dict.fromkeys(ancestors + older + rest))


def _is_whole(bundles: Path, bundle_id: str) -> bool:
    try:
        return not Bundle.open(bundles, bundle_id).verify()
    except BundleError:
        return False


def _ancestors(bundles: Path, bundle_id: str | None) -> Iterator[str]:
    """Yield a bundle and its ancestors, as far as their manifests can be read."""
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


def _opened_or_none(bundles: Path) -> Bundle | None:
    try:
        return Bundle.open(bundles)
    except BundleError:
        return None


def _write(bundles: Path, files: Mapping[str, bytes], manifest: Manifest, before: Bundle | None = None, *, assemble: bool = True) -> str:
    """Write a bundle under a temporary name, sync it to disk, and rename it; return the id. See `BundleWriter` for the last two."""
    temporary = bundles / f"{_TEMPORARY}{uuid.uuid4().hex}"
    try:
        temporary.mkdir()
        writer = BundleWriter(temporary, before, assemble)
        for name in sorted(files):
            writer.write(name, files[name])
        content = writer.finish(manifest)
        bundle_id = f"{manifest.created:%Y%m%dT%H%M%S%fZ}-{hashlib.sha256(content).hexdigest()[:HASH_DIGITS]}"
        _give_name(temporary, bundles, bundle_id)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    size = sum(entry.size for entry in writer.files.values())
    _log.info("bundle %s: %.1f of %.1f MiB written, the rest is shared", bundle_id, writer.written / 2**20, size / 2**20)
    return bundle_id


def _give_name(temporary: Path, bundles: Path, bundle_id: str) -> None:
    """Rename a temporary folder.

    A bundle of that name exists only after an interrupted `rewrite`; it stays if it is undamaged.
    """
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
    """Hold the folder's lock, and turn errors of the disk into ones that a user can act on."""
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
    """Remove temporary folders of killed publishers; the lock ensures that nobody is writing them."""
    for path in bundles.glob(f"{_TEMPORARY}*"):
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def _prune(bundles: Path, keep: int) -> None:
    """Keep `keep` bundles: the current one and its ancestors first, then the newest others."""
    ancestors = list(_ancestors(bundles, _current_or_none(bundles)))
    kept = list(dict.fromkeys(ancestors + list_bundles(bundles)))[:keep]
    for bundle_id in set(list_bundles(bundles)) - set(kept):
        shutil.rmtree(bundles / bundle_id, ignore_errors=True)
