"""Jobs on a Ray cluster: actors hold what a job opens, and Ray restarts them and tries their tasks again.

Nothing here schedules or retries. Ray's own results are nothing but "done": what a job makes lies in files.
"""

from __future__ import annotations

import contextlib
import importlib.util
import logging
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from features.errors import ClusterError, one_line
from recsys.compute.ray_connection import LOCAL, connected, prepare
from recsys.environment import prepare_environment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from recsys.compute.job import Job, Shard, Training
    from recsys.settings.cluster import ClusterConfig

_log = logging.getLogger(__name__)


@dataclass
class RayCluster:
    """A cluster, which is connected to when it is first used, and left by `close`.

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
    _connected: bool = False
    _workers: int = 0

    def connect(self) -> None:
        """Connect, unless that is done.

        Raises
        ------
        ClusterError
            If the cluster does not take this program, or a machine of it has other code or does not reach `cache`.
        """
        if not self._connected:
            self._open.enter_context(connected(self.address, self.config, self.cache))
            self._connected = True

    @property
    def workers(self) -> int:
        """How many actors a job gets.

        Raises
        ------
        ClusterError
            If it is too small, or for the reasons of `connect`.
        """
        if self._workers:
            return self._workers
        self.connect()
        import ray

        workers, lacking = fitting([node["Resources"] for node in ray.nodes() if node["Alive"]], self.config)
        if lacking:
            raise ClusterError(f"the cluster at {self.address} has no {lacking} for a worker: lower cluster.gpus and cores")
        _log.info("Ray at %s: %d workers", self.address, workers)
        self._workers = workers
        return workers

    @property
    def trainers(self) -> int:
        """How many processes a training gets; none where the settings say so, or outside the cluster: Ray's client has no Ray Train."""
        return self.workers if self._trains_towers else 0

    @cached_property
    def _trains_towers(self) -> bool:
        """Whether trainings get processes here; cached, so that the note is given once."""
        if not self.config.towers:
            return False
        if self.address.startswith("ray://"):
            _log.warning("note: the towers are trained in this process, because Ray trains none for a program outside the cluster")
            return False
        return True

    @property
    def device(self) -> Literal["cpu", "cuda"]:
        """Where a worker trains: on its part of the GPUs, if it has one."""
        return "cuda" if self.config.gpus else "cpu"

    def train(self, training: Training) -> None:
        """Do a training by Ray Train, which starts all processes again when one dies.

        Raises
        ------
        ClusterError
            If processes die again and again, or the cluster is gone: the same call goes on from the last checkpoint.
        """
        workers = self.trainers  # connects
        from recsys.compute.ray_train import fit

        try:
            fit(training, workers, self.config, loopback=self.address == LOCAL)
        except ClusterError:
            self.close()
            raise

    def close(self) -> None:
        """Leave the cluster; one that was started here ends. What runs next connects again."""
        self._open.close()
        self._connected, self._workers = False, 0

    def run(self, job: Job, shards: Sequence[Shard]) -> Iterator[Shard]:
        """Make the results of shards, see `recsys.compute.job.Cluster`.

        Raises
        ------
        ClusterError
            If workers die again and again, or the cluster is gone: what is made stays, and the same call connects anew and goes on from
            there.
        Exception
            What the job raises, as it raises it.
        """
        import ray
        from ray.exceptions import RayError, RayTaskError
        from ray.util import ActorPool

        workers, config = self.workers, self.config
        actor: Any = ray.remote(num_cpus=config.cores, num_gpus=config.gpus, max_restarts=-1, max_task_retries=config.retries)(Worker)
        actors = [actor.remote(job) for _ in range(min(workers, len(shards)))]
        lost = False
        try:
            done: Any = ActorPool(actors).map_unordered(
                lambda worker, place: worker.make.remote(place, shards[place]), list(range(len(shards)))
            )
            for place in done:
                yield shards[place]
        except RayTaskError as error:
            raise (error.cause or error) from None
        except RayError as error:
            lost = True
            line = one_line(error)[:200]
            raise ClusterError(f"{job.label} stopped, the cluster lost its workers ({line}): run the same command again") from error
        finally:
            with contextlib.suppress(RayError):
                for worker in actors:
                    ray.kill(worker)
            if lost:
                self.close()


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


def fitting(machines: Sequence[Mapping[str, float]], config: ClusterConfig) -> tuple[int, str]:
    """Return how many workers fit on machines with these resources, each on one of them, and what is lacking for any.

    A worker with a part of a GPU has it of one GPU, as Ray gives it out.
    """
    by_cores = [int(there.get("CPU", 0) // config.cores) for there in machines]
    if not config.gpus:
        return sum(by_cores), "" if any(by_cores) else "core"
    by_gpus = [int(there.get("GPU", 0)) for there in machines]
    by_gpus = [int(gpus * int(1 / config.gpus + 1e-9) if config.gpus < 1 else gpus // config.gpus) for gpus in by_gpus]
    workers = sum(map(min, by_cores, by_gpus))
    if workers:
        return workers, ""
    return 0, "core" if not any(by_cores) else "machine with both GPU and cores" if any(by_gpus) else "GPU"


@contextmanager
def open_cluster(address: str | None, config: ClusterConfig, cache: Path) -> Iterator[RayCluster | None]:
    """Yield a cluster for the option `--cluster`, or None where none is given.

    Raises
    ------
    ClusterError
        If the address is none, or nothing answers there; with `local`, if Ray was imported before and may listen beyond this machine.
    """
    if address is None:
        yield None
        return
    if importlib.util.find_spec("ray") is None:
        raise ModuleNotFoundError("No module named 'ray'", name="ray")
    prepare(address, config.connect_seconds)
    cluster = RayCluster(address, config, cache.absolute())
    try:
        yield cluster
    finally:
        cluster.close()
