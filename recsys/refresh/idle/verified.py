"""Which files of the bundle in use were read and found whole, so that the next refresh need not read them again at once.

Whoever opens the bundle to answer checks each byte that is used, as before. Only a refresh that looks whether there is anything to do
trusts the record, for some hours and as long as size, times and inode of every file are those of the last check.
"""

from __future__ import annotations

import contextlib
import json
import logging
import time
from typing import TYPE_CHECKING, Any

from features.errors import BundleError
from features.ingest.table_store import SETTLED
from features.storage.atomic import write_whole
from features.storage.file_stamp import file_stamp, newest
from recsys.artifacts.bundle import Bundle, list_bundles, sound_bundle

if TYPE_CHECKING:
    from pathlib import Path

    from recsys.settings.settings import Settings
    from recsys.workspace.workspace import Workspace

RECORD = "verified.json"  # of the cache
_log = logging.getLogger(__name__)


def bundle_in_use(workspace: Workspace, settings: Settings) -> Bundle | None:
    """Return the bundle in use if it is whole, as `sound_bundle` does; what was read within `refresh.verify_hours` is not read again."""
    if not list_bundles(workspace.bundles):
        return None
    record = workspace.cache / RECORD
    try:
        bundle = Bundle.open(workspace.bundles)
    except BundleError:
        return sound_bundle(workspace.bundles)
    before, now = _read(record), time.time_ns()
    files = _stamps(bundle)
    if verified_at(before, bundle.id, files) > now - settings.refresh.verify_hours * 3600 * 1_000_000_000:
        _log.debug("bundle %s: not read again, it was whole and its files have not been touched", bundle.id)
        return bundle
    sound = sound_bundle(workspace.bundles)
    if sound is not None and sound.id == bundle.id:
        with contextlib.suppress(OSError):  # a full disk: the next refresh reads the bundle again
            write_whole(record, json.dumps({"bundle": bundle.id, "at": now, "files": files}))
    return sound


def verified_at(record: dict[str, Any], bundle_id: str, files: dict[str, list[int] | None]) -> int:
    """Return when these files of a bundle were last read and found whole, nanoseconds since the epoch; 0 if never.

    A file that was written within two seconds of the check may have been written after it within one tick of the file system's clock.
    """
    if record.get("bundle") != bundle_id or record.get("files") != files or not all(files.values()):
        return 0
    at = int(record.get("at", 0))
    return at if newest(files.values()) < at - SETTLED else 0


def _stamps(bundle: Bundle) -> dict[str, list[int] | None]:
    """Return the stamps of all files in the bundle's folder and of all that are stored there by its manifest."""
    return {name: file_stamp(bundle.folder / name) for name in sorted(bundle.present() | bundle.manifest.stored.keys())}


def _read(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}
