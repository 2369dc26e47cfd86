"""Jobs on a Ray cluster: actors hold what a job opens, and Ray restarts them and tries their tasks again.

Nothing here schedules or retries. Ray's own results are nothing but "done": what a job makes lies in files.
"""

from __future__ import annotations

import contextlib
import importlib.util
import logging
import os
import secrets
import shutil
import socket
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from features.errors import ClusterError
from recsys.environment import code_digest, prepare_environment, usable_cores

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from recsys.compute.job import Job, Shard
    from recsys.settings.cluster import ClusterConfig

LOCAL = "local"
_HOST = "127.0.0.1"
# Read by Ray when it is imported, and by the processes that it starts.
_ENVIRONMENT = {"RAY_USAGE_STATS_ENABLED": "0"}
# Ray of a single machine, as Ray itself has it on macOS and Windows: without it Ray on Linux replaces 127.0.0.1 by the machine's address
# and listens on all interfaces.
_LOOPBACK = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}
# Workers get as much of the machine as this process would; Ray gives them the lowest priority but four, and another program starves them.
_PRIORITY = {"RAY_worker_niceness": "0"}
_FOLDER = "recsys-ray-"
_GONE = 15  # seconds after which this process gives up a head that has died; Ray waits a minute
_WORDS = " ".join(f"{name}={value}" for name, value in _LOOPBACK.items())
_log = logging.getLogger(__name__)


@dataclass
class RayCluster:
    """A cluster, which is connected to when the first job runs, and left by `close`.

    Attributes
    ----------
    address : `local` starts Ray on this machine, on the loopback interface alone; otherwise HOST:PORT of a cluster's head, or
        ray://HOST:PORT.
    cache : a folder that all workers must reach under this path.
    """

    address: str
    config: ClusterConfig
    cache: Path
    _open: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)

    @cached_property
    def workers(self) -> int:
        """How many actors a job gets.

        Raises
        ------
        ClusterError
            If the cluster does not take this program, a machine of it has other code or does not reach `cache`, or it is too small.
        """
        self._open.enter_context(_started(self.config) if self.address == LOCAL else _connected(self.address, self.cache))
        import ray

        config, there = self.config, ray.cluster_resources()
        by_cores = int(there.get("CPU", 0) / config.cores)
        by_gpus = int(there.get("GPU", 0) / config.gpus) if config.gpus else by_cores
        workers = min(by_cores, by_gpus)
        if workers < 1:
            raise ClusterError(
                f"the cluster at {self.address} has no {'GPU' if by_cores else 'core'} for a worker: lower cluster.gpus and cores"
            )
        _log.info("Ray at %s: %d workers", self.address, workers)
        return workers

    def close(self) -> None:
        """Leave the cluster; one that was started here ends."""
        self._open.close()
        self.__dict__.pop("workers", None)

    def run(self, job: Job, shards: Sequence[Shard]) -> Iterator[Shard]:
        """Make the results of shards, see `recsys.compute.job.Cluster`.

        Raises
        ------
        ClusterError
            If workers die again and again, or the cluster is gone: what is made stays, and the same call goes on from there.
        Exception
            What the job raises, as it raises it.
        """
        import ray
        from ray.exceptions import RayError, RayTaskError
        from ray.util import ActorPool

        workers, config = self.workers, self.config
        actor: Any = ray.remote(num_cpus=config.cores, num_gpus=config.gpus, max_restarts=-1, max_task_retries=config.retries)(Worker)
        actors = [actor.remote(job) for _ in range(min(workers, len(shards)))]
        try:
            done: Any = ActorPool(actors).map_unordered(
                lambda worker, place: worker.make.remote(place, shards[place]), list(range(len(shards)))
            )
            for place in done:
                yield shards[place]
        except RayTaskError as error:
            raise (error.cause or error) from None
        except RayError as error:
            line = " ".join(str(error).split())[:200]
            raise ClusterError(f"{job.label} stopped, the cluster lost its workers ({line}): run the same command again") from error
        finally:
            with contextlib.suppress(RayError):
                for worker in actors:
                    ray.kill(worker)


class Worker:
    """An actor: opens a job once, and makes results of its shards."""

    def __init__(self, job: Job) -> None:
        prepare_environment()
        self._job = job

    @cached_property
    def _make(self) -> Callable[[Shard], None]:
        return self._job.opened()  # with the first shard: Ray tells an error of a task as it is, and one of the start as a dead actor

    def make(self, place: int, shard: Shard) -> int:
        """Make the result of a shard; return its place."""
        self._make(shard)
        return place


@contextmanager
def open_cluster(address: str | None, config: ClusterConfig, cache: Path) -> Iterator[RayCluster | None]:
    """Yield a cluster for the option `--cluster`, or None where none is given.

    Raises
    ------
    ClusterError
        If the address is none, or nothing answers there.
    """
    if address is None:
        yield None
        return
    os.environ.update(_ENVIRONMENT)
    if address == LOCAL:
        os.environ.update(_LOOPBACK | _PRIORITY)
        # Other users of this machine reach the loopback interface too. One token a process: Ray reads it once.
        os.environ.setdefault("RAY_AUTH_MODE", "token")
        os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
    logging.getLogger("ray").setLevel(logging.ERROR)
    if importlib.util.find_spec("ray") is None:
        raise ModuleNotFoundError("No module named 'ray'", name="ray")
    if address != LOCAL:
        _reach(address, config.connect_seconds)
    cluster = RayCluster(address, config, cache.absolute())
    try:
        yield cluster
    finally:
        cluster.close()


@contextmanager
def _started(config: ClusterConfig) -> Iterator[None]:
    import ray

    # Sockets lie in it, whose paths may have 107 characters: a workspace's may be too long.
    _remove_abandoned()
    folder = tempfile.mkdtemp(prefix=f"{_FOLDER}{os.getpid()}-")
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
        if ray.util.get_node_ip_address() != _HOST:  # ray was imported before `_LOOPBACK` was set
            raise ClusterError(f"Ray listens beyond this machine: import recsys before ray, or set {_WORDS} for the program")
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
def _connected(address: str, cache: Path) -> Iterator[None]:
    import ray

    try:
        ray.init(address=address, log_to_driver=False, configure_logging=False)
    except (ConnectionError, RuntimeError, ValueError, TimeoutError) as error:
        line = " ".join(str(error).split())[:200]
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
                line = " ".join(str(error).split())[-200:]
                raise ClusterError(f"{name} cannot run this program ({line}): install two-tower-recsys there as it is here") from error
            if theirs != mine:
                raise ClusterError(f"{name} has other code of this program ({theirs}, expected {mine}): install the same version there")
            if not reached:
                raise ClusterError(f"{name} does not reach {cache}: put the workspace on storage that all machines mount at one path")


def _look(marker: str) -> tuple[str, bool]:
    return code_digest(), Path(marker).exists()
