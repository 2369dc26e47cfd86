"""How this process connects to Ray: to one that it starts on this machine, or to a cluster."""

from __future__ import annotations

import logging
import math
import os
import secrets
import shutil
import signal
import socket
import sys
import tempfile
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from features.errors import ClusterError, one_line
from features.storage.digests import of_code
from recsys.environment import LAYERS, usable_cores

if TYPE_CHECKING:
    from collections.abc import Iterator
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
        # One try, where Ray has twenty of 40 seconds each for a service that is not its head.
        os.environ.setdefault("RAY_gcs_server_port_wait_time_s", "1")
        os.environ.setdefault("RAY_py_gcs_connect_timeout_s", str(math.ceil(seconds)))
        _reach(address, seconds)


@contextmanager
def connected(address: str, config: ClusterConfig, cache: Path) -> Iterator[None]:
    """Be connected to the Ray that `prepare` has looked at, until the context ends; one on this machine starts and ends with it.

    Raises
    ------
    ClusterError
        See `recsys.compute.ray.RayCluster.connect`.
    """
    with handler_kept(signal.SIGTERM), _started(config) if address == LOCAL else _joined(address, cache):
        yield


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
            with _interrupts_later():
                ray.init(
                    address="local",
                    num_cpus=(config.workers or usable_cores()) * config.cores,
                    include_dashboard=False,
                    object_store_memory=config.memory_mb << 20,
                    log_to_driver=False,
                    configure_logging=False,
                    _node_ip_address=_HOST,
                    _temp_dir=f"{folder}/ray",  # Ray lets everybody write in it, but `folder` lets nobody else in
                    _system_config={"gcs_rpc_server_reconnect_timeout_s": _GONE},
                )
        except Exception as error:  # Ray waits 30 seconds for its processes, and raises this very type
            # It checks the settings first.
            advice = "lower cluster.memory_mb" if isinstance(error, ValueError) else "run the same command again when it is less busy"
            raise ClusterError(f"Ray does not start on this machine ({one_line(error)[:200]}): {advice}") from error
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


@contextmanager
def _interrupts_later() -> Iterator[None]:
    """Have Ctrl-C wait for the end of the context: Ray's start, when interrupted, leaves processes behind, and this one crashes.

    From then on SIGTERM is a Ctrl-C too: the handler that Ray sets prints a stack and aborts.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    interrupts: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, _: interrupts.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        if interrupts:  # also where the start has failed: who asked for the end does not want another try
            raise KeyboardInterrupt


@contextmanager
def handler_kept(number: signal.Signals) -> Iterator[None]:
    """Put the handler of a signal, which Ray replaces, back at the end of the context."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(number)
    try:
        yield
    finally:
        signal.signal(number, before)


def _quiet_ray() -> ModuleType:
    import ray

    logging.getLogger("ray").setLevel(logging.ERROR)  # the first import of Ray sets it to INFO
    return ray


@contextmanager
def _joined(address: str, cache: Path) -> Iterator[None]:
    ray = _quiet_ray()
    from ray.exceptions import RayError

    try:
        with _interrupts_later():
            ray.init(address=address, log_to_driver=False, configure_logging=False)
    except (ConnectionError, RuntimeError, ValueError, TimeoutError, RayError) as error:
        advice = "check its address and version, and RAY_AUTH_MODE and RAY_AUTH_TOKEN if it asks for a token"
        raise ClusterError(f"Ray at {address} does not take this program ({_why(error)}): {advice}") from error
    try:
        _same_code(cache)
        yield
    finally:
        ray.shutdown()


def _why(error: BaseException) -> str:
    """Return what lies behind an error of Ray, whose cause may hold a traceback and several sentences of advice."""
    lines = str(error.__cause__ or error).strip().splitlines()
    return " ".join(lines[-1:]).partition(". ")[0][:200]


def _reach(address: str, seconds: float) -> None:
    """Look whether a service of Ray's kind listens, because Ray itself would try for minutes."""
    host, port = _host_and_port(address)
    try:
        socket.create_connection((host, port), timeout=seconds).close()
    except OSError as error:
        raise ClusterError(f"no Ray cluster answers at {address} ({error}): start it, or give --cluster local") from error
    if os.environ.get("RAY_USE_TLS", "0").lower() not in ("1", "true"):
        _speak(address, f"[{host}]:{port}" if ":" in host else f"{host}:{port}", seconds)


def _host_and_port(address: str) -> tuple[str, int]:
    try:
        parts = urlsplit(f"//{address.removeprefix('ray://')}")
        if parts.hostname and parts.port and not (parts.path or parts.query or parts.username is not None):
            return parts.hostname, parts.port
    except ValueError:  # a port beyond 65535, or a bracket too many
        pass
    raise ClusterError(f"--cluster is {address!r}, expected local, HOST:PORT or ray://HOST:PORT")


def _speak(address: str, target: str, seconds: float) -> None:
    """Look whether what listens speaks gRPC, as all of Ray's services do."""
    import grpc

    with grpc.insecure_channel(target) as channel:
        try:
            grpc.channel_ready_future(channel).result(timeout=seconds)
        except grpc.FutureTimeoutError:
            line = f"what answers at {address} is no Ray cluster"
            raise ClusterError(f"{line}: give the port of its head, 6379 by default, or ray://HOST:PORT with 10001") from None


def _same_code(cache: Path) -> None:
    """Check on each machine that it runs this code and reaches the cache."""
    import ray
    from ray.exceptions import RayError
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    mine = of_code(*LAYERS)
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
    return of_code(*LAYERS), Path(marker).exists()
