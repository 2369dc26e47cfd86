"""Which of the changes of items that the service received a newer catalogue takes the place of.

A change gives way to a catalogue that the shop wrote after it: the file's time of modification decides, or of a database the time of the
query. The store keeps what a bundle that is still there lacks, so that a rollback shows it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from features.errors import BundleError
from features.ingest.table_store import catalogue_written, stamps
from features.text.plain import agree, counted
from recsys.artifacts.bundle import Bundle, list_bundles
from recsys.recommend.live_items import ITEMS_AS_OF

if TYPE_CHECKING:
    from features.ingest.source import Source
    from recsys.workspace.workspace import Workspace

_FOREVER = 2.0**62


def settle(workspace: Workspace, previous: Bundle | None, as_of: float) -> tuple[str, ...]:
    """Remove changes that no bundle needs. Returns what to tell of those that gave way to the catalogue of a new bundle."""
    before = 0.0 if previous is None else _as_of(previous)
    store = workspace.item_changes
    told = _told(store.between(before, as_of), store.between(as_of, _FOREVER))
    store.remove(min((_as_of(bundle) for bundle in _bundles(workspace)), default=as_of))
    return told


def settle_unchanged(workspace: Workspace, files: Source) -> tuple[str, ...]:
    """Remove changes that are older than a catalogue which was written again as it was. Returns what to tell of them."""
    store = workspace.item_changes
    if not store.between(0.0, _FOREVER):
        return ()
    removed = store.remove(catalogue_written(files, stamps(files)))
    return _told(removed, store.between(0.0, _FOREVER))


def _told(gone: int, left: int) -> tuple[str, ...]:
    if not gone:
        return ()
    line = f"{counted(gone, 'item')} with a changed price or stock {agree(gone, 'follows', 'follow')} the catalogue again, which is newer"
    return (f"{line}; {counted(left, 'later change')} {agree(left, 'stays', 'stay')}" if left else line,)


def _bundles(workspace: Workspace) -> list[Bundle]:
    found = []
    for bundle_id in list_bundles(workspace.bundles):
        try:
            found.append(Bundle.open(workspace.bundles, bundle_id))
        except BundleError:  # damaged: nobody can go back to it
            continue
    return found


def _as_of(bundle: Bundle) -> float:
    return float(bundle.manifest.about.get(ITEMS_AS_OF) or 0)
