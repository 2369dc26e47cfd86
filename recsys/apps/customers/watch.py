"""Looks after each refresh for customers who drift away faster than usual."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Self

from features.behavior.rhythm import Rhythms
from features.storage.arrays import Subfolder
from features.storage.atomic import write_whole
from recsys.apps.customers.movements import EPOCH, departures, find_alerts
from recsys.apps.customers.segments import LOST, SegmentRules
from recsys.apps.reviews.alerts import AlertLog
from recsys.artifacts.bundle import Bundle
from recsys.snapshot.customers import CustomerTables

if TYPE_CHECKING:
    from pathlib import Path

    from eval.monitoring.alerts import Alert
    from recsys.settings.settings import Settings
    from recsys.workspace.workspace import Workspace

ALERTS, REFRESHES = "customer_alerts.json", "customer_refreshes.json"  # days and counts, no ids
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class RefreshDays:
    """The last days of the logs of the latest refresh and of the one before, in days since the epoch; None without."""

    latest: int | None = None
    before: int | None = None

    @classmethod
    def of(cls, reports: Path) -> Self:
        """Read the file in a folder; empty without one or with a damaged one."""
        try:
            content = json.loads((reports / REFRESHES).read_bytes())
            return cls(content["latest"], content["before"])
        except FileNotFoundError:
            return cls()
        except (ValueError, KeyError, TypeError) as error:
            _log.warning("%s cannot be read (%s): movements are shown since 28 days ago", reports / REFRESHES, error)
            return cls()

    def then(self, day: int) -> RefreshDays:
        """Return the days after another refresh; one of the same day changes nothing."""
        return self if day == self.latest else RefreshDays(day, self.latest)

    def write(self, reports: Path) -> None:
        """Write the file whole."""
        write_whole(reports / REFRESHES, json.dumps({"latest": self.latest, "before": self.before}))


def watch_customers(workspace: Workspace, settings: Settings) -> tuple[str, ...]:
    """Look at the log of the bundle in use, store the alerts, and return what is new of them, a sentence each."""
    told, bundle = AlertLog.of(workspace.reports, ALERTS), Bundle.open(workspace.bundles)
    if told.bundle_id == bundle.id:
        return ()
    customers = CustomerTables.from_files(Subfolder(bundle.files, "snapshot/customers"))
    if not len(customers.days):
        return ()
    rhythms, day = Rhythms.of(customers.days), customers.last_day
    RefreshDays.of(workspace.reports).then(day).write(workspace.reports)
    rules = SegmentRules.of(rhythms, rhythms.on(day))
    # The last day may not be over.
    found = find_alerts(departures(rhythms, rules, day - 1), EPOCH + timedelta(day - 1), settings.customers.alerts)
    after, news = told.followed_by(found, bundle.id)
    after.write(workspace.reports, ALERTS)
    return tuple(sentence(alert) for alert in news)


def sentence(alert: Alert) -> str:
    """Return an alert in words."""
    what = "are lost" if alert.series == LOST else "drift away"
    if alert.ended is not None:
        how = "this has been so for weeks and counts as usual from now on" if alert.settled else f"it is {alert.share_now:.2%} a day again"
        return f"Ended on {alert.ended}: more customers than usual {what}, {alert.share_before:.2%} a day before; {how}."
    worse = "It gets worse: more" if alert.severity > 1 else "More"
    figures = (
        f"{alert.negatives:,} since {alert.began}, {alert.share_now:.2%} a day of those it could happen to, {alert.share_before:.2%} before"
    )
    return f"{worse} customers than usual {what}: {figures}."
