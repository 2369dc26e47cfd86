"""Jobs on this machine without Ray: one shard after the other, or in several processes."""

from __future__ import annotations

import multiprocessing
import os
import socket
import tempfile
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from recsys.environment import usable_cores

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from recsys.compute.job import Job, Shard, Training


@dataclass(frozen=True)
class Processes:
    """Some processes of this machine.

    Attributes
    ----------
    workers : how many; one is this process itself.
    """

    workers: int = 1

    def run(self, job: Job, shards: Sequence[Shard]) -> Iterator[Shard]:
        """Make the results of shards, see `recsys.compute.job.Cluster`; a process that dies ends the job."""
        if self.workers == 1:
            make = job.opened()
            for shard in shards:
                make(shard)
                yield shard
            return
        context = multiprocessing.get_context("spawn")  # a fork would inherit the locks of torch's and polars' threads
        with ProcessPoolExecutor(self.workers, context, _open, (job,)) as pool:
            running = {pool.submit(_make, shard): shard for shard in shards}
            for future in as_completed(running):
                future.result()
                yield running[future]

    @property
    def trainers(self) -> int:
        """How many processes a training gets."""
        return self.workers

    @property
    def device(self) -> Literal["cpu", "cuda"]:
        """Where a process trains."""
        return "cpu"

    def train(self, training: Training) -> None:
        """Do a training in the processes, which reach one another on the loopback interface; a process that dies ends it."""
        from torch.multiprocessing.spawn import spawn

        from retrieval.two_tower.distributed.process_group import ProcessGroup

        if self.workers == 1:
            training.work(ProcessGroup(), **training.arguments)
            return
        with tempfile.TemporaryDirectory() as folder:
            spawn(_train, (self.workers, training, f"{folder}/group"), self.workers)


def _train(rank: int, size: int, training: Training, store: str) -> None:
    import torch

    from retrieval.two_tower.distributed.process_group import ProcessGroup

    torch.set_num_threads(max(1, usable_cores() // size))
    join_on_loopback(rank, size, store, "gloo")
    training.work(ProcessGroup.joined(torch.device("cpu")), **training.arguments)


def join_on_loopback(rank: int, size: int, store: str, backend: str) -> None:
    """Initialise torch's process group over the loopback interface, with a file as its store: that of TCP listens on all interfaces."""
    from torch import distributed

    loopback = next(name for _, name in socket.if_nameindex() if name.startswith("lo"))
    os.environ.update(GLOO_SOCKET_IFNAME=loopback, NCCL_SOCKET_IFNAME=loopback)
    distributed.init_process_group(backend, f"file://{store}", rank=rank, world_size=size)


_opened: list[Callable[[Shard], None]] = []  # of this worker process


def _open(job: Job) -> None:
    _opened[:] = [job.opened()]


def _make(shard: Shard) -> None:
    _opened[0](shard)
