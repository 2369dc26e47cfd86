"""Jobs on this machine without Ray: one shard after the other, or in several processes."""

from __future__ import annotations

import multiprocessing
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from recsys.compute.job import Job, Shard


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


_opened: list[Callable[[Shard], None]] = []  # of this worker process


def _open(job: Job) -> None:
    _opened[:] = [job.opened()]


def _make(shard: Shard) -> None:
    _opened[0](shard)
