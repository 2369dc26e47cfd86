"""Starts the service: checks what it needs, listens, and runs its processes."""

from __future__ import annotations

import os
import socket
import tempfile
from typing import TYPE_CHECKING

from features.errors import ConfigError
from recsys.artifacts.bundle import Bundle, list_bundles
from recsys.environment import prepare_environment
from recsys.service.access.keys import Keys
from recsys.service.logs import LOGGER, salt_of, set_up_logs
from recsys.service.processes.supervisor import Supervisor
from recsys.service.traces.spans import Traces, traced
from recsys.settings.serve import LOOPBACK

if TYPE_CHECKING:
    from recsys.remote.follow import Follower
    from recsys.settings.serve import ServeConfig
    from recsys.settings.settings import Settings
    from recsys.workspace.workspace import Workspace


def serve(workspace: Workspace, settings: Settings, follower: Follower | None = None) -> None:
    """Answer requests until SIGTERM or SIGINT.

    Parameters
    ----------
    follower : the process that follows the shared store, to be looked after; None without one.

    Raises
    ------
    BundleError
        The workspace has no bundle.
    ConfigError
        The address is not available, it is not loopback and there are no keys, or no worker could begin.
    """
    config = settings.serve
    if not list_bundles(workspace.bundles):
        Bundle.open(workspace.bundles)  # says what to do
    access = _access(workspace, config)
    if config.oidc_issuer:
        import joserfc  # noqa: F401  a library that is missing is said once, and not by each worker
    if traced(config):
        Traces.exported()  # as above
    salt_of(workspace.service / "salt")
    listening = _bound_socket(config)
    # Requests already run in parallel: more threads inside each would only compete for the cores.
    prepare_environment(OMP_NUM_THREADS="1")
    set_up_logs()
    host, port = listening.getsockname()[:2]
    LOGGER.info("starting", extra={"fields": {"host": host, "port": port, "workers": config.workers, "access": access}})
    with tempfile.TemporaryDirectory(prefix="recsys-metrics-") as folder:
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = folder
        Supervisor(workspace, settings, listening, follower).run()


def _access(workspace: Workspace, config: ServeConfig) -> str:
    """Return in words who has access; refuse to serve other machines without keys."""
    keys = Keys.read(workspace.service / "keys.json").keys
    if keys:
        return f"{len(keys)} keys"
    if config.oidc_issuer:
        return "no keys, so the pages alone, for those whom the OpenID provider signs in"
    if config.host not in LOOPBACK:
        advice = "create one with `recsys keys add NAME --scope read`, or serve on --host 127.0.0.1"
        raise ConfigError(f"there are no API keys, and {config.host} is open to others: {advice}")
    return "no keys, so this machine only"


def _bound_socket(config: ServeConfig) -> socket.socket:
    try:
        family = socket.getaddrinfo(config.host, config.port, type=socket.SOCK_STREAM)[0][0]
        listening = socket.socket(family, socket.SOCK_STREAM)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((config.host, config.port))
    except OSError as error:
        raise ConfigError(f"cannot listen on {config.host}:{config.port} ({error.strerror}): choose another --host or --port") from None
    listening.set_inheritable(True)
    return listening
