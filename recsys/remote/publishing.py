"""What commands do beside their work where the settings name a shared store: they fetch from it first, and publish into it afterwards."""

from __future__ import annotations

import logging
from functools import wraps
from typing import TYPE_CHECKING, Concatenate, ParamSpec, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

    from recsys.privacy.erasure import Erased
    from recsys.remote.push import Pushed
    from recsys.settings.settings import Settings
    from recsys.workspace.workspace import Workspace

_log = logging.getLogger(__name__)
P = ParamSpec("P")
T = TypeVar("T")


class _Shop(Protocol):
    @property
    def workspace(self) -> Workspace: ...

    @property
    def settings(self) -> Settings: ...


S = TypeVar("S", bound=_Shop)


def shared(method: Callable[Concatenate[S, P], T]) -> Callable[Concatenate[S, P], T]:
    """Make a method of a shop begin with what the shared store has, and publish there what it has brought into use.

    It raises StorageError if that fails.
    """

    @wraps(method)
    def both(self: S, /, *args: P.args, **kwargs: P.kwargs) -> T:
        fetch_changes(self.workspace, self.settings)
        done = method(self, *args, **kwargs)
        if self.settings.storage.url is not None:
            from recsys.remote.push import share

            share(self.workspace, self.settings)
        return done

    return both


def fetch_first(workspace: Workspace, settings: Settings) -> None:
    """Fetch from the shared store if there is one and the workspace has no bundle yet. Raises what `recsys.remote.pull.pull` raises."""
    from recsys.artifacts.bundle import list_bundles

    if settings.storage.url is not None and not list_bundles(workspace.bundles):
        from recsys.remote.pull import pull

        pull(workspace, settings)


def fetch_changes(workspace: Workspace, settings: Settings, *, patience: float | None = None) -> None:
    """Fetch what other machines have published since the workspace and the store last agreed, before a command builds on it.

    Without it, an erasure or a rollback on another machine would keep this one from publishing. What is new here alone stays. Trouble
    with the store is logged: the command works here, and its own publishing ends with an error if the trouble lasts.

    Parameters
    ----------
    patience : seconds to wait for a command that is at work in the workspace; None takes the usual ones.

    Raises
    ------
    DataError, BundleError
        As `recsys.remote.pull.pull`.
    """
    if settings.storage.url is None:
        return
    from features.errors import StorageError
    from recsys.remote.published import InStep
    from recsys.remote.pull import PATIENCE, pull

    if not InStep.read(workspace.in_step, settings.storage.address).parts:
        return
    try:
        done = pull(workspace, settings, keep=True, patience=PATIENCE if patience is None else patience)
    except StorageError as error:
        _log.warning("nothing was fetched from the shared store before this command: %s", error)
    else:
        if done.parts:
            _log.info("%s", done)


def erase_everywhere(
    workspace: Workspace, settings: Settings, *user_ids: str, patience: float | None = None
) -> tuple[Erased, Pushed | None]:
    """Erase users here and in the shared store; other machines forget them with their next pull.

    Parameters
    ----------
    patience : seconds to wait for a running refresh; None takes the usual ones.

    Returns
    -------
    What was erased here, and what was done in the store; None for the latter without one.

    Raises
    ------
    StorageError
        If this machine lacks the tables, before anything is done; or if the store cannot be changed, after it is done here.
    DataError, BundleError
        As `recsys.privacy.erasure.erase`.
    """
    from features.errors import StorageError
    from features.ingest.table_store import is_ingested
    from recsys.privacy.erasure import PATIENCE, erase
    from recsys.remote.push import share

    if settings.storage.url is not None and not is_ingested(workspace.data):
        advice = "erase them where the tables are, and the next `recsys pull` removes them here"
        raise StorageError(f"{workspace.root} has no tables, and the shared store would keep these users: {advice}")
    fetch_changes(workspace, settings, patience=patience)
    erased = erase(workspace, *user_ids, patience=PATIENCE if patience is None else patience)
    return erased, share(workspace, settings, clean=True)
