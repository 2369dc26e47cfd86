"""How this process connects to Ray: to one that it starts on this machine, or to a cluster."""

from __future__ import annotations

import logging
import os
import secrets
import shutil
import socket
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from features.errors import ClusterError, one_line
from recsys.environment import code_digest, usable_cores

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager
    from types import ModuleType

    from recsys.settings.cluster import ClusterConfig

LOCAL = "local"
_HOST = "127.0.0.1"
# Read by Ray when it is imported, and by the processes that it starts. Without the second, a call to Ray that is not connected starts one,
# which listens on all interfaces.
_ENVIRONMENT = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ENABLE_AUTO_CONNECT": "0"}
# Ray of a single machine, as Ray itself has it on macOS and Windows: without it Ray on Linux replaces 127.0.0.1 by the machine's address
# and listens on all interfaces.
_LOOPBACK = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}
# Workers get as much of the machine as this process would; Ray gives them the lowest priority but four, and another program starves them.
_PRIORITY = {"RAY_worker_niceness": "0"}
_FOLDER = "recsys-ray-"
_GONE = 15  # seconds after which this process gives up a head that has died; Ray waits a minute


def prepare(address: str, seconds: float) -> None:
    """Set what Ray reads when it is imported; look whether a cluster that is not to be started here answers within `seconds`.

    Raises
    ------
    ClusterError
        See `recsys.compute.ray.open_cluster`.
    """
    if address == LOCAL:
        _keep_local()
    else:
        os.environ.update(_ENVIRONMENT)
        _reach(address, seconds)


def connected(address: str, config: ClusterConfig, cache: Path) -> AbstractContextManager[None]:
    """Be connected to the Ray that `prepare` has looked at, until the context ends; one on this machine starts and ends with it.

    Raises
    ------
    ClusterError
        See `recsys.compute.ray.RayCluster.connect`.
    """
    return _started(config) if address == LOCAL else _joined(address, cache)


def _keep_local() -> None:
    """Set what keeps a local Ray on this machine, as long as Ray still reads it."""
    wanted = _ENVIRONMENT | _LOOPBACK | _PRIORITY
    missing = [f"{name}={value}" for name, value in wanted.items() if os.environ.get(name) != value]
    missing += ["RAY_AUTH_MODE=token"] * ("RAY_AUTH_MODE" not in os.environ)
    if missing and "ray" in sys.modules:
        words = "Ray was imported before, and would listen beyond this machine or without a token"
        raise ClusterError(f"{words}: import it after `open_cluster`, or start the program with {' '.join(missing)}")
    os.environ.update(wanted)
    # Other users of this machine reach the loopback interface too. One token a process: Ray reads it once.
    os.environ.setdefault("RAY_AUTH_MODE", "token")
    os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))


@contextmanager
def _started(config: ClusterConfig) -> Iterator[None]:
    ray = _quiet_ray()

    # Sockets lie in it, whose paths may have 107 characters: a workspace's may be too long.
    _remove_abandoned()
    folder = tempfile.mkdtemp(prefix=f"{_FOLDER}{os.getpid()}-")
    try:
        try:
            ray.init(
                address="local",
                num_cpus=(config.workers or usable_cores()) * config.cores,
                include_dashboard=False,
                object_store_memory=config.memory_mb << 20,
                log_to_driver=False,
                configure_logging=False,
                _node_ip_address=_HOST,
                _temp_dir=folder,
                _system_config={"gcs_rpc_server_reconnect_timeout_s": _GONE},
            )
        except Exception as error:  # Ray waits 30 seconds for its processes, and raises this very type
            line = one_line(error)[:200]
            raise ClusterError(f"Ray does not start on this machine ({line}): run the same command again when it is less busy") from error
        yield
    finally:
        ray.shutdown()
        shutil.rmtree(folder, ignore_errors=True)


def _remove_abandoned() -> None:
    """Remove the folders of processes that were killed."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_FOLDER}*"):
        pid = folder.name.removeprefix(_FOLDER).split("-")[0]
        try:
            os.kill(int(pid), 0)
        except ProcessLookupError:
            shutil.rmtree(folder, ignore_errors=True)
        except (ValueError, OSError):  # of another user
            continue


def _quiet_ray() -> ModuleType:
    import ray

    logging.getLogger("ray").setLevel(logging.ERROR)  # the first import of Ray sets it to INFO
    return ray


@contextmanager
def _joined(address: str, cache: Path) -> Iterator[None]:
    ray = _quiet_ray()

    try:
        ray.init(address=address, log_to_driver=False, configure_logging=False)
    except (ConnectionError, RuntimeError, ValueError, TimeoutError) as error:
        line = one_line(error)[:200]
        raise ClusterError(f"Ray at {address} does not take this program ({line}): check its version and address") from error
    try:
        _same_code(cache)
        yield
    finally:
        ray.shutdown()


def _reach(address: str, seconds: float) -> None:
    """Look whether anything listens, because Ray itself would try for minutes."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not host or not port.isdecimal():
        raise ClusterError(f"--cluster is {address!r}, expected local, HOST:PORT or ray://HOST:PORT")
    try:
        socket.create_connection((host, int(port)), timeout=seconds).close()
    except (OSError, OverflowError) as error:
        raise ClusterError(f"no Ray cluster answers at {address} ({error}): start it, or give --cluster local") from error


def _same_code(cache: Path) -> None:
    """Check on each machine that it runs this code and reaches the cache."""
    import ray
    from ray.exceptions import RayError
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    mine = code_digest()
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(prefix=".cluster-", dir=cache) as marker:
        look: Any = ray.remote(num_cpus=0)(_look)
        for node in (node for node in ray.nodes() if node["Alive"]):
            name = node["NodeManagerHostname"]
            strategy = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
            try:
                theirs, reached = ray.get(look.options(scheduling_strategy=strategy).remote(marker.name))
            except RayError as error:
                line = one_line(error)[-200:]
                raise ClusterError(f"{name} cannot run this program ({line}): install two-tower-recsys there as it is here") from error
            if theirs != mine:
                raise ClusterError(f"{name} has other code of this program ({theirs}, expected {mine}): install the same version there")
            if not reached:
                raise ClusterError(f"{name} does not reach {cache}: put the workspace on storage that all machines mount at one path")


def _look(marker: str) -> tuple[str, bool]:
    return code_digest(), Path(marker).exists()
