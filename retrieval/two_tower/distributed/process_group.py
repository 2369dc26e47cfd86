"""Processes that train one model together: each takes its rows of every batch, and their gradients are summed.

All processes draw the same batches and have the same weights. A process scores all candidates of a batch for its own users, and divides by
the positives of the whole batch: so the sum of the gradients is the gradient of the whole batch's loss.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch
from torch import distributed
from torch.nn.utils import parameters_to_vector, vector_to_parameters

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from torch import nn

    from retrieval.two_tower.sequence_batches import SequenceBatch
    from retrieval.two_tower.window_batches import WindowBatch

    Batch = SequenceBatch | WindowBatch


@dataclass(frozen=True)
class ProcessGroup:
    """This process and those that train with it; by default it is alone.

    Attributes
    ----------
    rank : int
        Of this process, from 0; the first one validates and writes the checkpoints.
    world_size : int
        Number of processes.
    device : torch.device
        Where this process trains.
    """

    rank: int = 0
    world_size: int = 1
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))

    @classmethod
    def joined(cls, device: torch.device) -> ProcessGroup:
        """Return torch's default process group, which must have been initialised."""
        return cls(distributed.get_rank(), distributed.get_world_size(), device)

    @property
    def first(self) -> bool:
        """Whether this process is the first one."""
        return self.rank == 0

    def part(self, batch: Batch) -> Batch:
        """Return every `world_size`-th row of a batch, from the rank on."""
        return batch if self.world_size == 1 else batch.rows_of(slice(self.rank, None, self.world_size))

    def sum_gradients(self, weights: Iterable[nn.Parameter]) -> None:
        """Replace the gradients of weights by their sums over the processes."""
        if self.world_size == 1:
            return
        gradients = []
        for weight in weights:
            if weight.grad is None:  # the batch had no row for this process
                weight.grad = torch.zeros_like(weight)
            gradients.append(weight.grad)
        flat = parameters_to_vector(gradients)
        distributed.all_reduce(flat)
        vector_to_parameters(flat, gradients)

    def sum(self, value: float) -> float:
        """Return the sum of a value over the processes."""
        if self.world_size == 1:
            return value
        total = torch.tensor([value], dtype=torch.float64, device=self.device)
        distributed.all_reduce(total)
        return total.item()

    def of_first(self, compute: Callable[[], float]) -> float:
        """Return what the first process computes; the others wait for it."""
        if self.world_size == 1:
            return compute()
        value = torch.tensor([compute() if self.first else 0.0], dtype=torch.float64, device=self.device)
        distributed.broadcast(value, 0)
        return value.item()

    def wait(self) -> None:
        """Return when all processes have come here."""
        self.sum(0.0)
