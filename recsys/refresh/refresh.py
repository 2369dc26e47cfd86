"""`recsys refresh`: reads the sources again and publishes a new bundle if it passes the gates."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from features.errors import RecsysError, one_line
from features.ingest.table_store import load_profile, load_source, unchanged
from recsys.recommend.settled_items import settle_unchanged
from recsys.refresh.idle.verified import bundle_in_use
from recsys.refresh.inputs import inputs
from recsys.refresh.profile_gate import NO_PROFILE, check_profile
from recsys.refresh.webhook import post
from recsys.remote.publishing import fetch_changes
from recsys.remote.push import share

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from datetime import timedelta

    from recsys.compute.job import Cluster
    from recsys.settings.names import Device
    from recsys.settings.settings import Settings
    from recsys.workspace.workspace import Workspace

Watches = Mapping[str, Callable[["Workspace", "Settings"], tuple[str, ...]]]
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Refreshed:
    """The outcome of a refresh.

    Attributes
    ----------
    message : str
        A summary for the user.
    alerts : tuple of str
        Features that drifted past their limit.
    news : tuple of pairs of str
        The event and a sentence of each surge that began, got worse or ended: "reviews" of complaints, "customers" of those who drift away,
        "experiments" of those that are decided or go wrong.
    unchanged : bool
        Whether there was nothing to do.
    """

    message: str
    alerts: tuple[str, ...] = ()
    news: tuple[tuple[str, str], ...] = ()
    unchanged: bool = False

    def __str__(self) -> str:
        return self.message

    @property
    def surges(self) -> tuple[str, ...]:
        """The sentences of `news`."""
        return tuple(sentence for _, sentence in self.news)


def refresh(
    workspace: Workspace, settings: Settings, device: Device = "auto", watches: Watches | None = None, cluster: Cluster | None = None
) -> Refreshed:
    """Refresh once. A lock, which ends with its process, allows one refresh at a time.

    Parameters
    ----------
    device : Device
        Where new texts are encoded.
    watches : callables by the name of their event
        Each looks at the bundle in use after the refresh, and returns what to tell of it, a sentence each.
    cluster : Cluster, optional
        Encodes new texts in place of this process.

    Raises
    ------
    RefusedError: a gate did not pass; the bundle in use stays.
    RecsysError: another refresh is running, a source cannot be read, or the disk refuses; the bundle in use stays.
    StorageError: the new bundle is in use here, and cannot be published into the shared store.
    """
    try:
        fetch_changes(workspace, settings)
        with workspace.alone():
            done = _refresh(workspace, settings, device, cluster)
            for event, watch in (watches or {}).items():
                done = replace(done, news=(*done.news, *((event, sentence) for sentence in watch(workspace, settings))))
        _tell_news(done, settings)  # first: no later refresh tells it again
        share(workspace, settings)
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:
        _tell(settings, "failed", _line(error))
        raise
    return done


def _tell_news(done: Refreshed, settings: Settings) -> None:
    if done.alerts:
        _log.warning("drift: %s", "; ".join(done.alerts))
        _tell(settings, "drift", "; ".join(done.alerts))
    for event, sentence in done.news:
        _log.warning("%s: %s", event, sentence)
        _tell(settings, event, sentence)


def _tell(settings: Settings, event: str, message: str) -> None:
    post(settings.refresh.webhook, {"event": event, "message": message}, settings.refresh.webhook_seconds)


def refresh_every(
    workspace: Workspace,
    settings: Settings,
    every: timedelta,
    report: Callable[[Refreshed], None],
    device: Device = "auto",
    watches: Watches | None = None,
    on_cluster: Callable[[], AbstractContextManager[Cluster | None]] = nullcontext,
) -> None:
    """Refresh forever. A failed refresh is logged and counted, and leaves the bundle in use.

    Parameters
    ----------
    on_cluster : opens what encodes new texts in place of this process, for each refresh anew: Ray ends a program that is connected to it
        when its head dies, also while the program sleeps.
    """
    consecutive = total = 0
    while True:
        begun = time.monotonic()
        try:
            with on_cluster() as cluster:
                done = refresh(workspace, settings, device, watches, cluster)
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:  # a panic in a Rust library is not an Exception
            consecutive, total = consecutive + 1, total + 1
            _log.error("refresh failed (%d in a row, %d in all), next try in %s: %s", consecutive, total, every, _line(error))
            if not isinstance(error, RecsysError):
                _log.debug("the traceback of the failed refresh", exc_info=True)
        else:
            consecutive = 0
            report(done)
        time.sleep(max(0.0, every.total_seconds() - (time.monotonic() - begun)))


def _line(error: BaseException) -> str:
    """Return an error in one line, with its type unless the message is written for users."""
    message = one_line(error)
    return message if isinstance(error, RecsysError) else f"unexpected {type(error).__name__}: {message}"


def _refresh(workspace: Workspace, settings: Settings, device: Device, cluster: Cluster | None) -> Refreshed:
    from features.ingest.erased_users import ErasedUsers

    if ErasedUsers.read(workspace.erased).pending:
        from recsys.privacy.erasure import sweep

        sweep(workspace)
    source = load_source(workspace.data)
    files = workspace.files_of(source)
    now = bundle_in_use(workspace, settings)
    if now and unchanged(workspace.data, files) and now.manifest.about["inputs"] == inputs(workspace, settings):
        workspace.remove_private(source, files)
        message = f"nothing has changed: bundle {now.id} stays in use"
        return Refreshed("\n".join((message, *settle_unchanged(workspace, files))), unchanged=True)
    from recsys.refresh import build

    before = load_profile(workspace.data)
    of_bundle = now.id if now else None
    summary = workspace.ingest_alone(source, files, lambda after: check_profile(before, after, settings.refresh, of_bundle), keep_log=True)
    if before is None:
        summary = replace(summary, notes=(*summary.notes, NO_PROFILE))
    message, drift = build.publish_tables(workspace, settings, gated=True, device=device, cluster=cluster)
    removed = workspace.prune_events(settings.events)
    if removed:
        message = f"{message}\n{removed:,} events of the service removed: the sources have them, or they are older than events.keep_days"
        _log.info("%s events of the service removed", f"{removed:,}")
    return Refreshed(f"{summary}\n{message}", _alerts(drift, settings.refresh.max_psi))


def _alerts(drift: dict[str, Any] | None, limit: float) -> tuple[str, ...]:
    return tuple(f"PSI of {name} is {value:.3f}, limit {limit:g}" for name, value in (drift or {"psi": {}})["psi"].items() if value > limit)
