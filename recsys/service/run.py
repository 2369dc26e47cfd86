"""Starting the service: one process, or several under uvicorn's supervisor, which starts a lost one again."""

from __future__ import annotations

import os
import socket
import tempfile
from typing import TYPE_CHECKING

import uvicorn
from uvicorn.supervisors import Multiprocess

from features.errors import ConfigError
from recsys.artifacts.bundle import Bundle, list_bundles
from recsys.environment import prepare_environment
from recsys.service.keys import Keys
from recsys.service.logs import LOGGER, salt_of, set_up_logs
from recsys.settings.serve import LOOPBACK

if TYPE_CHECKING:
    from pathlib import Path

    from recsys.settings.serve import ServeConfig
    from recsys.settings.settings import Settings
    from recsys.workspace.workspace import Workspace


GRACE_SECONDS = 20  # for requests under way, when the service is told to stop


def serve(workspace: Workspace, settings: Settings, config: Path | None) -> None:
    """Answer until told to stop by SIGTERM or SIGINT.

    Raises
    ------
    BundleError: there is no bundle.
    ConfigError: the address cannot be had, or it is open to others and there are no keys.
    """
    serving = settings.serve
    if not list_bundles(workspace.bundles):
        Bundle.open(workspace.bundles)  # says what to do
    keys = Keys.read(workspace.service / "keys.json").keys
    if not keys and serving.host not in LOOPBACK:
        advice = "make one with `recsys keys add NAME --scope read`, or serve on --host 127.0.0.1"
        raise ConfigError(f"there are no API keys, and {serving.host} is open to others: {advice}")
    salt_of(workspace.service / "salt")
    listening = _bound(serving)
    os.environ |= {"RECSYS_WORKSPACE": str(workspace.root.absolute())} | ({"RECSYS_CONFIG": str(config.absolute())} if config else {})
    os.environ |= {f"RECSYS_SERVE__{name.upper()}": str(value) for name, value in serving.model_dump().items()}
    # Requests are answered beside each other: threads below them would only stand in each other's way.
    prepare_environment(OMP_NUM_THREADS="1")
    set_up_logs()
    host, port = listening.getsockname()[:2]
    who = f"{len(keys)} keys" if keys else "no keys, so for this machine alone"
    LOGGER.info("starting", extra={"fields": {"host": host, "port": port, "workers": serving.workers, "access": who}})
    about = uvicorn.Config(
        "recsys.service.app:make",
        factory=True,
        workers=serving.workers,
        log_config=None,
        access_log=False,  # paths hold ids
        server_header=False,
        timeout_graceful_shutdown=GRACE_SECONDS,
    )
    server = uvicorn.Server(about)
    if serving.workers == 1:
        server.run([listening])
        return
    with tempfile.TemporaryDirectory(prefix="recsys-metrics-") as folder:
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = folder
        Multiprocess(about, [listening]).run()


def _bound(serving: ServeConfig) -> socket.socket:
    try:
        family = socket.getaddrinfo(serving.host, serving.port, type=socket.SOCK_STREAM)[0][0]
        listening = socket.socket(family, socket.SOCK_STREAM)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((serving.host, serving.port))
    except OSError as error:
        raise ConfigError(f"cannot listen on {serving.host}:{serving.port} ({error.strerror}): take another --host or --port") from None
    listening.set_inheritable(True)
    return listening
