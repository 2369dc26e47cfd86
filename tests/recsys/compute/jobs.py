"""Jobs that tests run: workers import them by name."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from features.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch.optim import Optimizer

    from retrieval.two_tower.config import TrainConfig
    from retrieval.two_tower.distributed.process_group import ProcessGroup
    from retrieval.two_tower.trainer import Phase, TrainingRun


def open_squares(log: str, dies_once: str = "", pause: float = 0.0) -> Callable[[Sequence[int], Path], None]:
    """Write squares of numbers after a pause in seconds, and each call to a log; a negative number is refused.

    dies_once : a file; while it is not there, a call makes it, and ends its process.
    """

    def squares(numbers: Sequence[int], path: Path) -> None:
        if min(numbers) < 0:
            raise DataError("a number is negative: give positive ones")
        if dies_once and not Path(dies_once).exists():
            Path(dies_once).touch()
            os._exit(1)
        time.sleep(pause)
        path.write_text(" ".join(str(number**2) for number in numbers))
        with Path(log).open("a") as file:
            file.write(f"{numbers[0]}\n")

    return squares


def train_and_die(group: ProcessGroup, inputs: str, checkpoints: str) -> None:
    """Train towers as `train_in_group`; the second process dies once in the second epoch. Epochs, and where each listens, go to files."""
    from recsys.training.distributed.towers import LAST, train_in_group
    from retrieval.two_tower import trainer

    run_folder, epoch_of = Path(checkpoints), trainer._epoch
    died = run_folder / "died"

    def epoch(run: TrainingRun, config: TrainConfig, phase: Phase, number: int, optimizer: Optimizer) -> float:
        if group.first:
            with (run_folder / "epochs").open("a") as file:
                file.write(f"{number}\n")
        elif number == 1 and not died.exists():
            while not (run_folder / LAST).exists():
                time.sleep(0.05)
            died.touch()
            time.sleep(2)  # Ray Train gives up where a process dies while it is starting the others
            os._exit(1)
        return epoch_of(run, config, phase, number, optimizer)

    trainer._epoch = epoch
    train_in_group(group, inputs, checkpoints)
    listening = {one.laddr.ip for one in psutil.Process().net_connections("inet") if one.status == psutil.CONN_LISTEN}
    (run_folder / f"listens-{group.rank}").write_text(" ".join(sorted(listening)))


def refuse(group: ProcessGroup, log: str) -> None:
    """Write each call to a log; the second process finds a fault in the data, while the first waits for it."""
    with Path(log).open("a") as file:
        file.write(f"{group.rank}\n")
    group.wait()
    if not group.first:
        raise DataError("a number is negative: give positive ones")
    group.wait()
