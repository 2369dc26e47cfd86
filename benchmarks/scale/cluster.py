"""A simulated cluster: machines that take tasks from a queue, fail and come back.

A task whose machine fails begins again elsewhere; finished tasks stay, because their results are files. If the head fails, all running
tasks begin again when it is back.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import simpy

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    Run = Generator[simpy.Event, Any, Any]

HOUR = 3600.0


@dataclass(frozen=True)
class Cluster:
    """Machines, and how they fail. What is not measured is assumed, and docs/scale.md says so.

    Attributes
    ----------
    nodes, cores : machines, and cores of each.
    days_between_failures : of one machine, on average; 0: none fails. The head is one more machine.
    repair_seconds : until a failed machine, or the head, takes tasks again.
    dispatch_seconds : in which the head hands one task out; it hands them out one by one.
    node_bytes_a_second : between a machine and the object store.
    store_bytes_a_second : that the object store gives all machines together.
    """

    nodes: int
    cores: int = 16
    days_between_failures: float = 30.0
    repair_seconds: float = 600.0
    dispatch_seconds: float = 0.001
    node_bytes_a_second: float = 1.25e9
    store_bytes_a_second: float = 12.5e9


@dataclass(frozen=True)
class Stage:
    """Work that begins when the stage before is done.

    Attributes
    ----------
    seconds : of one core, for all of it.
    bytes : read from and written to the object store.
    task_seconds : of a task, wanted.
    """

    name: str
    seconds: float
    bytes: float = 0.0
    task_seconds: float = 300.0


@dataclass
class Outcome:
    """What came of a run.

    Attributes
    ----------
    stage_seconds : duration by stage.
    lost_seconds : of cores, in tasks that began again.
    """

    stage_seconds: dict[str, float] = field(default_factory=dict)
    tasks: int = 0
    repeated: int = 0
    lost_seconds: float = 0.0

    @property
    def seconds(self) -> float:
        """Duration of the whole job."""
        return sum(self.stage_seconds.values())


def simulate(cluster: Cluster, stages: Sequence[Stage], seed: int = 0) -> Outcome:
    """Run the stages one after another."""
    return _Simulation(cluster, seed).run(stages)


class _Simulation:
    def __init__(self, cluster: Cluster, seed: int) -> None:
        self.cluster, self.random = cluster, np.random.default_rng(seed)
        self.env = simpy.Environment()
        self.head = simpy.Resource(self.env)
        self.queue: deque[float] = deque()
        self.left = 0
        self.done = self.env.event()
        self.more = self.env.event()
        self.outcome = Outcome()
        self.idle: list[list[bool]] = []
        self.workers: list[list[simpy.Process]] = []
        for node in range(cluster.nodes):
            self.idle.append([True] * cluster.cores)
            self.workers.append([self.env.process(self._worker(node, core)) for core in range(cluster.cores)])
            if cluster.days_between_failures:
                self.env.process(self._failures([node]))
        if cluster.days_between_failures:
            self.env.process(self._failures(list(range(cluster.nodes))))

    def run(self, stages: Sequence[Stage]) -> Outcome:
        for stage in stages:
            begun = self.env.now
            count = max(1, round(stage.seconds / stage.task_seconds))
            self.queue = deque([stage.seconds / count + self._transfer_seconds(stage, count)] * count)
            self.left, self.outcome.tasks = count, self.outcome.tasks + count
            self.done = self.env.event()
            woken, self.more = self.more, self.env.event()
            woken.succeed()
            self.env.run(self.done)
            self.outcome.stage_seconds[stage.name] = self.env.now - begun
        return self.outcome

    def _transfer_seconds(self, stage: Stage, count: int) -> float:
        """Return how long a task's bytes take while as many tasks run as can."""
        cluster, running = self.cluster, min(count, self.cluster.nodes * self.cluster.cores)
        rate = min(cluster.node_bytes_a_second / min(cluster.cores, running), cluster.store_bytes_a_second / running)
        return stage.bytes / count / rate

    def _worker(self, node: int, core: int) -> Run:
        while True:
            task: float | None = None
            begun = self.env.now
            try:
                self.idle[node][core] = True
                while not self.queue:
                    yield self.more
                self.idle[node][core] = False
                task, begun = self.queue.popleft(), self.env.now
                with self.head.request() as turn:
                    yield turn
                    yield self.env.timeout(self.cluster.dispatch_seconds)
                yield self.env.timeout(task)
                self._finished()
            except simpy.Interrupt:
                if task is not None:
                    self.queue.append(task)
                    self._wake()
                    self.outcome.repeated += 1
                    self.outcome.lost_seconds += self.env.now - begun
                yield self.env.timeout(self.cluster.repair_seconds)

    def _finished(self) -> None:
        self.left -= 1
        if not self.left:
            self.done.succeed()

    def _wake(self) -> None:
        woken, self.more = self.more, self.env.event()
        woken.succeed()

    def _failures(self, nodes: list[int]) -> Run:
        """Fail these machines together, again and again. Cores that wait or are being repaired are left alone."""
        while True:
            yield self.env.timeout(self.random.exponential(self.cluster.days_between_failures * 24 * HOUR))
            for node in nodes:
                for core, worker in enumerate(self.workers[node]):
                    if not self.idle[node][core]:
                        self.idle[node][core] = True
                        worker.interrupt()
