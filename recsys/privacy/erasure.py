"""`recsys erase`: a user's rows leave the workspace and every kept bundle, and stay away when the same sources are read again.

First a tombstone is written (`features.ingest.erased_users`), then everything is swept by it: whatever is cut short,
the next erasure or refresh
ends it. What is counted from the log is counted anew, so that a bundle is what it would be had the user never been there; the weights of
trained models cannot be, and those models are marked. What this does and does not do for a person: docs/privacy.md.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from features.errors import BundleError, DataError
from features.ingest.erased_users import ErasedUsers
from features.ingest.table_store import forget, users_among
from features.storage.arrays import Subfolder
from recsys.artifacts.bundle import RETRAIN, Bundle, list_bundles
from recsys.artifacts.model_store import mark
from recsys.artifacts.publish import rewrite

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from recsys.workspace.workspace import Workspace

PATIENCE = 600.0  # seconds to wait for a refresh to end
_USERS = "snapshot/log/users.json"


@dataclass(frozen=True)
class Erased:
    """What an erasure found. users: of those asked for, or left over from an erasure cut short, who were there at all.

    rows: of the log. bundles: that were rewritten. models: that are now to be trained again. events: that the service was told.
    """

    users: int = 0
    rows: int = 0
    bundles: int = 0
    models: int = 0
    events: int = 0

    def __str__(self) -> str:
        if not self.users and not self.events:
            return "nothing was found of them; if they come with a later read of the sources, they are left out"
        done = f"{self.users:,} users erased: {self.rows:,} rows of the log, {self.events:,} events, {self.bundles} bundles rewritten"
        return f"{done}; {self.models} models were trained with them: run `recsys train`" if self.models else done


def erase(workspace: Workspace, *user_ids: str, patience: float = PATIENCE) -> Erased:
    """Erase users; a second time does no harm. Waits for a refresh that is under way, `patience` seconds at most.

    Raises
    ------
    DataError: the workspace is busy or cannot be written; from the tombstone on, the next erasure or refresh ends the work.
    BundleError: the bundles cannot be written; the same holds.
    """
    with workspace.alone(patience):
        ErasedUsers.read(workspace.erased).with_users(user_ids).write(workspace.erased)
        return sweep(workspace)


def finish(workspace: Workspace) -> None:
    """End an erasure that was cut short, if there is one. Raises what `erase` does."""
    if ErasedUsers.read(workspace.erased).pending:
        with workspace.alone(PATIENCE):
            sweep(workspace)


def sweep(workspace: Workspace) -> Erased:
    """Remove what is left of erased users, where an erasure has begun and not ended. For who is alone in the workspace."""
    erased_users = ErasedUsers.read(workspace.erased)
    if not erased_users.pending:
        return Erased()
    there = _there(workspace, erased_users)
    models = bundles = 0
    if there:
        # The tables go last: as long as they hold the user, what was cut short is begun again from here.
        models = sum(mark(folder, erased_users) for folder in (workspace.models, workspace.root / "evaluation"))
        renamed = rewrite(workspace.bundles, lambda bundle: _without(bundle, erased_users))
        bundles = sum(old != new for old, new in renamed.items())
    # What was fitted for the gates of a refresh, what a database said, and simulated answers can be made again, without them.
    for folder in (workspace.cache / "gates", workspace.extracts, workspace.root / "simulations"):
        _remove(folder)
    rows = forget(workspace.data, erased_users)
    events = workspace.events.forget(erased_users)
    erased_users.done().write(workspace.erased)
    return Erased(len(there), rows, bundles, models, events)


def _there(workspace: Workspace, erased_users: ErasedUsers) -> set[str]:
    """Erased users who are still in the tables, the events or a bundle."""
    found = set(workspace.events.among(erased_users)) | users_among(workspace.data, erased_users)
    for bundle_id in list_bundles(workspace.bundles):
        try:
            found.update(_gone(Bundle.open(workspace.bundles, bundle_id), erased_users))
        except BundleError:  # nobody can say whom it holds: it has to go
            found.add("")
    return found


def _remove(folder: Path) -> None:
    if folder.exists():
        try:
            shutil.rmtree(folder)
        except OSError as error:
            raise DataError(f"{folder} cannot be removed ({error.strerror or error}): check its rights, and erase again") from error


def _gone(bundle: Bundle, erased_users: ErasedUsers) -> list[str]:
    return erased_users.among(json.loads(bundle.read(_USERS))["user_ids"])


def _without(bundle: Bundle, erased_users: ErasedUsers) -> tuple[Mapping[str, bytes], dict[str, Any]] | None:
    """The files of a bundle that change when erased users leave its log."""
    from recsys.artifacts.model import ServedModel
    from recsys.snapshot.snapshot import Snapshot, recounted

    gone = _gone(bundle, erased_users)
    if not gone:
        return None
    try:
        snapshot = Snapshot.from_files(Subfolder(bundle.files, "snapshot"))
        retrieval = ServedModel(bundle.files).retrieval
    except (KeyError, ValueError, TypeError) as error:
        raise BundleError(f"bundle {bundle.id} is of another version and cannot be changed ({error!r})") from error
    log = snapshot.log
    left = log.where(~np.isin(log.user, log.user_rows(gone))).with_known_users()
    files = recounted(snapshot, left, retrieval).to_files()
    # Of other data now: the next build does not take this bundle for its own work.
    about = bundle.manifest.about | {"inputs": None, RETRAIN: True}
    return {f"snapshot/{name}": content for name, content in files.items()}, about
