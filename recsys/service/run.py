"""Starts the service: one process, or several under uvicorn's supervisor, which replaces a worker that dies."""

from __future__ import annotations

import json
import os
import socket
import tempfile
from typing import TYPE_CHECKING

import uvicorn
from uvicorn.supervisors import Multiprocess

from features.errors import ConfigError
from recsys.artifacts.bundle import Bundle, list_bundles
from recsys.environment import prepare_environment
from recsys.service.access.keys import Keys
from recsys.service.logs import LOGGER, salt_of, set_up_logs
from recsys.service.traces.spans import Traces, traced
from recsys.settings.serve import LOOPBACK

if TYPE_CHECKING:
    from pathlib import Path

    from recsys.settings.serve import ServeConfig
    from recsys.settings.settings import Settings
    from recsys.workspace.workspace import Workspace


GRACE_SECONDS = 20  # for running requests, once the service is to stop
# A new worker answers the supervisor only once Python has imported the program. On a busy machine that takes longer
# than uvicorn's 5 seconds: the worker would be killed and started again without end.
HEALTHCHECK_SECONDS = 60


def serve(workspace: Workspace, settings: Settings, file: Path | None) -> None:
    """Answer requests until SIGTERM or SIGINT.

    Parameters
    ----------
    file
        The configuration file, which workers read again.

    Raises
    ------
    BundleError
        The workspace has no bundle.
    ConfigError
        The address is not available, or it is not loopback and there are no keys.
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
    os.environ |= {"RECSYS_WORKSPACE": str(workspace.root.absolute())} | ({"RECSYS_CONFIG": str(file.absolute())} if file else {})
    os.environ |= _environment(config)
    # Requests already run in parallel: more threads inside each would only compete for the cores.
    prepare_environment(OMP_NUM_THREADS="1")
    set_up_logs()
    host, port = listening.getsockname()[:2]
    LOGGER.info("starting", extra={"fields": {"host": host, "port": port, "workers": config.workers, "access": access}})
    server_config = uvicorn.Config(
        "recsys.service.app:make",
        factory=True,
        workers=config.workers,
        log_config=None,
        access_log=False,  # paths hold ids
        server_header=False,
        timeout_graceful_shutdown=GRACE_SECONDS,
        timeout_worker_healthcheck=HEALTHCHECK_SECONDS,
    )
    if config.workers == 1:
        uvicorn.Server(server_config).run([listening])
        return
    with tempfile.TemporaryDirectory(prefix="recsys-metrics-") as folder:
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = folder
        Multiprocess(server_config, [listening]).run()


def _environment(config: ServeConfig) -> dict[str, str]:
    """Return [serve] as environment variables, which workers read: options of the command line are in no file."""
    values = {name: value for name, value in config.model_dump(mode="json").items() if value is not None}
    return {f"RECSYS_SERVE__{name.upper()}": value if isinstance(value, str) else json.dumps(value) for name, value in values.items()}


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
