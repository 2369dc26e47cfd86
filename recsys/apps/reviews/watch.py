"""Looks for surges of complaints in the reviews of the bundle in use, after each refresh."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from features.names import TIMESTAMP
from features.storage.arrays import Subfolder
from recsys.apps.reviews.alerts import AlertLog, find_alerts
from recsys.apps.reviews.told import tell
from recsys.artifacts.bundle import Bundle
from recsys.snapshot.snapshot import reviews_in

if TYPE_CHECKING:
    from recsys.apps.reviews.answers import ReviewAlert
    from recsys.settings.settings import Settings
    from recsys.workspace.workspace import Workspace


def watch_reviews(workspace: Workspace, settings: Settings) -> tuple[str, ...]:
    """Look at the bundle in use, store the alerts, and return what is new of them, a sentence each.

    What was told once is told again only where it gets worse or ends.
    """
    log, bundle = AlertLog.of(workspace.reports), Bundle.open(workspace.bundles)
    files = Subfolder(bundle.files, "snapshot")
    if log.bundle_id == bundle.id or not Subfolder(files, "reviews"):
        return ()
    scored, catalog = reviews_in(files)
    latest: Any = scored.reviews[TIMESTAMP].max()
    found = [] if latest is None else find_alerts(scored, catalog, latest.date(), settings.reviews.alerts)
    after, news = log.followed_by(found, bundle.id)
    after.write(workspace.reports)
    return tuple(_with_quotes(tell(alert, scored, catalog)) for alert in news)


def _with_quotes(alert: ReviewAlert) -> str:
    quotes = " ".join(f"“{quote.text}” (row {quote.row})" for quote in alert.quotes) if alert.ended is None else ""
    return f"{alert.sentence} {quotes}".strip()
