"""`recsys erase`: removes a user's rows from the workspace and all stored bundles, and keeps them out of later ingests.

First a tombstone is written (`features.ingest.erased_users`), then every store is swept for it. The next erasure or refresh completes a
sweep that was interrupted. Statistics of the log are recomputed, so that a bundle is what it would be without the user. The weights of
trained models cannot be recomputed, and those models are marked. docs/privacy.md says what this does and does not do for a person.
"""

from __future__ import annotations

import contextlib
import json
import shutil
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout

from features.behavior.query_clicks import QueryClicks
from features.errors import BundleError, DataError
from features.ingest.erased_users import ErasedUsers
from features.ingest.table_store import forget, is_ingested, users_among
from features.names import REVIEW, USER_ID
from features.reviews.scored import ScoredReviews
from features.storage.arrays import Subfolder, in_folder
from recsys.artifacts.bundle import RETRAIN, Bundle, list_bundles
from recsys.artifacts.mapped import MAPPED
from recsys.artifacts.model_store import mark, to_be_trained
from recsys.artifacts.publish import rewrite

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from pathlib import Path

    from recsys.workspace.workspace import Workspace

PATIENCE = 600.0  # seconds to wait for a refresh to end
_USERS = "snapshot/log/users.json"


@dataclass(frozen=True)
class Erased:
    """Counts of an erasure.

    Attributes
    ----------
    users : users that were found, including those left over from an interrupted erasure.
    rows : rows removed from the log and the search log.
    bundles : bundles rewritten, without the users or without bytes of earlier bundles.
    models : models marked for retraining.
    events : events removed from the service's store.
    conversations : conversations with the assistant that were removed.
    pages : pages of the storefront that were removed with their impressions.
    """

    users: int = 0
    rows: int = 0
    bundles: int = 0
    models: int = 0
    events: int = 0
    conversations: int = 0
    pages: int = 0

    def __str__(self) -> str:
        if not (self.users or self.events or self.conversations or self.pages):
            rewritten = f"; {self.bundles} bundles, which may hold something of anybody, were rewritten" if self.bundles else ""
            return f"nothing was found of them; their rows are left out if a later read of the sources has some{rewritten}"
        removed = f"{self.rows:,} rows of the tables, {self.events:,} events, {self.conversations:,} conversations"
        removed += f", {self.pages:,} pages" if self.pages else ""
        done = f"{self.users:,} users erased: {removed}, {self.bundles} bundles rewritten"
        return f"{done}; {self.models} models were trained with them: run `recsys train`" if self.models else done


def erase(workspace: Workspace, *user_ids: str, patience: float = PATIENCE) -> Erased:
    """Erase users; repeating it does no harm.

    Parameters
    ----------
    patience : seconds to wait for a running refresh.

    Raises
    ------
    DataError
        If the workspace is busy or cannot be written. Once the tombstone is written, the next erasure or refresh completes the work.
    BundleError
        If the bundles cannot be written; the same holds.
    """
    with workspace.alone(patience):
        ErasedUsers.read(workspace.erased).with_users(user_ids).write(workspace.erased)
        return sweep(workspace)


def finish(workspace: Workspace) -> None:
    """Complete an interrupted erasure, if there is one. Raises what `erase` raises."""
    if ErasedUsers.read(workspace.erased).pending:
        with workspace.alone(PATIENCE):
            sweep(workspace)


def sweep(workspace: Workspace) -> Erased:
    """Remove what is left of erased users, if an erasure is pending. The caller holds the lock of the workspace."""
    erased_users = ErasedUsers.read(workspace.erased)
    if not erased_users.pending:
        return Erased()
    done = remove_users(workspace, erased_users)
    erased_users.done().write(workspace.erased)
    return done


def remove_users(workspace: Workspace, erased_users: ErasedUsers, clean: Collection[Path] = ()) -> Erased:
    """Remove erased users from tables, models, bundles and what lies beside them. The caller holds the lock of the workspace.

    Parameters
    ----------
    clean : folders of the workspace that were swept where they were published. They stay as they are.
    """
    found = _found(workspace, erased_users, clean)
    models = bundles = 0
    if found or clean:  # clean tables no longer tell whom the models were trained with
        # The tables go last: while they hold the user, an interrupted erasure starts again from here.
        folders = (folder for folder in (workspace.models, workspace.root / "evaluation") if folder not in clean)
        models = sum(mark(folder, erased_users) for folder in folders)
    if workspace.bundles not in clean and (found or _keep_more(workspace.bundles)):
        renamed = rewrite(workspace.bundles, lambda bundle: _without(workspace, bundle, erased_users), compact=True)
        bundles = sum(old != new for old, new in renamed.items())
    events, conversations, pages = forget_beside(workspace, erased_users)
    _remove_pulled(workspace)
    rows = 0 if workspace.data in clean else forget(workspace.data, erased_users)
    return Erased(len(found), rows, bundles, models, events, conversations, pages)


def forget_beside(workspace: Workspace, erased_users: ErasedUsers) -> tuple[int, int, int]:
    """Remove erased users from what lies beside tables, models and bundles. Returns how many events, conversations and pages it were."""
    # What is fitted for quality gates and trials, interrupted jobs, copies of bundles' files, extracts of databases and simulated answers
    # can be made again.
    fitted = (workspace.cache / name for name in ("gates", "customers", "tuning", "compute", MAPPED))
    for folder in (*fitted, workspace.extracts, workspace.root / "simulations"):
        _remove(folder)
    stores = (workspace.events, workspace.conversations, workspace.impressions)
    events, conversations, pages = (store.forget(erased_users) for store in stores)
    return events, conversations, pages


def _found(workspace: Workspace, erased_users: ErasedUsers, clean: Collection[Path]) -> set[str]:
    """Return erased users that are still in the tables, the events, the conversations, the impressions or a bundle."""
    stores = (workspace.events, workspace.conversations, workspace.impressions)
    found = {user for store in stores for user in store.among(erased_users)}
    found |= set() if workspace.data in clean else users_among(workspace.data, erased_users)
    for bundle_id in [] if workspace.bundles in clean else list_bundles(workspace.bundles):
        try:
            found.update(_gone(Bundle.open(workspace.bundles, bundle_id), erased_users))
        except BundleError:  # it may hold any of them, so it has to go
            found.add("")
    return found


def _remove_pulled(workspace: Workspace) -> None:
    """Remove what an interrupted pull has fetched. A pull at work removes it at its end, once it has adopted what the store has."""
    if workspace.pulled.exists():
        with contextlib.suppress(Timeout), FileLock(workspace.pull_lock, timeout=0):
            _remove(workspace.pulled)


def _keep_more(bundles: Path) -> bool:
    """Return whether a bundle keeps what may be of anybody: bytes that none of its files has any more, or models fitted on earlier logs."""
    from recsys.snapshot.fits.fit import Fit

    for bundle_id in list_bundles(bundles):
        try:
            bundle = Bundle.open(bundles, bundle_id)
        except BundleError:  # `rewrite` removes it
            return True
        if bundle.manifest.assembled or Fit.behind(bundle.manifest.about):
            return True
    return False


def _remove(folder: Path) -> None:
    if folder.exists():
        try:
            shutil.rmtree(folder)
        except OSError as error:
            raise DataError(f"{folder} cannot be removed ({error.strerror or error}): check its permissions, and erase again") from error


def _gone(bundle: Bundle, erased_users: ErasedUsers) -> list[str]:
    authors = ScoredReviews.from_files(Subfolder(bundle.files, "snapshot/reviews")).reviews[USER_ID].drop_nulls().unique()
    return erased_users.among(sorted({*json.loads(bundle.read(_USERS))["user_ids"], *authors.to_list()}))


def _counts_searches(bundle: Bundle) -> bool:
    folder = Subfolder(bundle.files, "snapshot/search/clicks")
    return bool(len(folder)) and bool(len(QueryClicks.from_files(folder).keys))


def _without(workspace: Workspace, bundle: Bundle, erased_users: ErasedUsers) -> tuple[Mapping[str, bytes], dict[str, Any]] | None:
    """Return the files of a bundle that change without erased users, and its facts; None if none can be in it.

    A bundle does not say whose searches it counts. So the search log is counted again without them. Nor does it say who is in models that
    were carried over from earlier logs. So these are fitted again.
    """
    from recsys.artifacts.model import ServedModel
    from recsys.snapshot.fits.fit import FITS, Fit
    from recsys.snapshot.search_clicks import query_clicks
    from recsys.snapshot.snapshot import Snapshot, recounted, reviewed

    gone, behind = _gone(bundle, erased_users), Fit.behind(bundle.manifest.about)
    if not gone and not behind and not _counts_searches(bundle):
        return None
    try:
        snapshot = Snapshot.from_files(Subfolder(bundle.files, "snapshot"))
        retrieval = ServedModel(bundle.files).retrieval
    except (KeyError, ValueError, TypeError) as error:
        raise BundleError(f"bundle {bundle.id} is of another version and cannot be changed ({error!r})") from error
    clicks = query_clicks(workspace, snapshot, erased_users) if is_ingested(workspace.data) else QueryClicks.empty()
    if not gone and not behind and clicks.to_files() == snapshot.query_clicks.to_files():
        return None
    reviews, words = snapshot.reviews.without_users(gone), snapshot.review_words
    words = None if words is None else words.of_reviews(reviews.reviews[REVIEW].to_numpy())
    snapshot = replace(snapshot, query_clicks=clicks, review_words=words)
    if len(reviews) < len(snapshot.reviews):
        snapshot = reviewed(snapshot, reviews)
    rows = snapshot.log.user_rows(gone)  # -1 of those who only wrote reviews
    left = snapshot.log.without_users(rows[rows >= 0])
    customers = snapshot.customers.of_users(snapshot.log.user_ids, left.user_ids)
    files = replace(recounted(snapshot, left, retrieval), customers=customers).to_files()
    # Its data differs now, so the next build does not reuse this bundle.
    about = bundle.manifest.about | {"inputs": None, FITS: {}}
    about[RETRAIN] = bool(gone) or bool(about.get(RETRAIN)) or to_be_trained(workspace)
    return in_folder("snapshot", files), about
