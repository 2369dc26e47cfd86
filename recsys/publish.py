"""Publishing bundles, going back to an older one, and keeping only the last few. What a bundle is: `recsys.bundle`."""

from __future__ import annotations

import hashlib
import os
import shutil
import uuid
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout

from features.errors import BundleError
from recsys.bundle import CURRENT, HASH_DIGITS, MANIFEST, Bundle, BundleConfig, FileEntry, Manifest, check_name, current_id, list_bundles

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

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
        bundle_id = _write(bundles, files, about, _current_or_none(bundles))
        _set_current(bundles, bundle_id)
        _prune(bundles, keep)
    return bundle_id


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


def _write(bundles: Path, files: Mapping[str, bytes], about: dict[str, Any], parent: str | None) -> str:
    """Write a whole bundle under a temporary name, make sure of it on disk, and give it its name."""
    created = datetime.now(UTC)
    entries = {name: FileEntry(size=len(content), sha256=hashlib.sha256(content).hexdigest()) for name, content in sorted(files.items())}
    manifest = Manifest(created=created, parent=parent, files=entries, about=about)
    manifest_bytes = manifest.model_dump_json(indent=1).encode()
    bundle_id = f"{created:%Y%m%dT%H%M%S%fZ}-{hashlib.sha256(manifest_bytes).hexdigest()[:HASH_DIGITS]}"
    temporary = bundles / f"{_TEMPORARY}{uuid.uuid4().hex}"
    try:
        temporary.mkdir()
        folders = {temporary}
        for name, content in {**files, MANIFEST: manifest_bytes}.items():
            path = temporary / name
            path.parent.mkdir(parents=True, exist_ok=True)
            folders.update(parent for parent in path.parents if temporary in parent.parents)
            _write_durably(path, content)
        for folder in folders:
            _sync_folder(folder)
        os.rename(temporary, bundles / bundle_id)
        _sync_folder(bundles)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return bundle_id


def _set_current(bundles: Path, bundle_id: str) -> None:
    temporary = bundles / f"{_TEMPORARY}{CURRENT}"
    _write_durably(temporary, f"{bundle_id}\n".encode())
    os.replace(temporary, bundles / CURRENT)
    _sync_folder(bundles)


def _write_durably(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _writing(bundles: Path) -> Iterator[None]:
    """Alone in the folder; what the disk refuses becomes an error the user can act on."""
    try:
        bundles.mkdir(parents=True, exist_ok=True)
        with FileLock(bundles / ".lock", timeout=_LOCK_SECONDS):
            yield
    except Timeout:
        advice = "wait until it is done and run it again"
        raise BundleError(f"another process has been publishing into {bundles} for {_LOCK_SECONDS} seconds: {advice}") from None
    except OSError as error:
        raise BundleError(f"cannot write in {bundles}: {error}; the bundle in use is still whole: mend this and run it again") from error


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
