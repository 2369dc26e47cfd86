"""The proxy of deploy/haproxy in front of a running service."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.torture.served import Served

CONFIGURATION = Path(__file__).resolve().parents[2] / "deploy" / "haproxy" / "haproxy.cfg"
PATIENCE = 30.0  # seconds until it answers


@dataclass(frozen=True)
class Proxy:
    """A running proxy: the ports of requests and of its own metrics."""

    port: int
    metrics: int
    process: subprocess.Popen[bytes]


def installed() -> bool:
    """Return whether there is a program `haproxy`."""
    return shutil.which("haproxy") is not None


def free_port() -> int:
    """Return a port of loopback that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextlib.contextmanager
def proxy(server: int, log: int | IO[bytes] = subprocess.DEVNULL, **environment: object) -> Iterator[Proxy]:
    """Run HAProxy with the project's configuration in front of a port of loopback.

    Parameters
    ----------
    server : int
        The service's port.
    log : int or file
        Where the proxy's log goes.
    environment : object
        Variables of the configuration, such as RECSYS_INSIDE.

    Raises
    ------
    TimeoutError
        It does not start.
    """
    ports = free_port(), free_port()
    addresses = [f"127.0.0.1:{port}" for port in (*ports, server)]
    names = ("RECSYS_BIND", "RECSYS_PROXY_METRICS", "RECSYS_SERVER")
    variables = dict(zip(names, addresses, strict=True)) | {name: str(value) for name, value in environment.items()}
    process = subprocess.Popen(["haproxy", "-db", "-f", CONFIGURATION], stdout=log, stderr=log, env=os.environ | variables)
    try:
        until = time.monotonic() + PATIENCE
        while not _listens(ports[0]):
            if time.monotonic() > until or process.poll() is not None:
                raise TimeoutError("the proxy did not start")
            time.sleep(0.02)
        yield Proxy(*ports, process)
    finally:
        process.terminate()
        process.wait(PATIENCE)


@contextlib.contextmanager
def proxied(service: Served) -> Iterator[Served]:
    """Yield the service as it is reached through the proxy."""
    with proxy(service.port) as front:
        yield replace(service, port=front.port)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
