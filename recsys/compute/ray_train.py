"""A training by Ray Train: its workers join torch's process group, and all are started again when one dies."""

from __future__ import annotations

import json
import os
import signal
import tempfile
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from ray.exceptions import RayError
from ray.train import FailureConfig, RunConfig, ScalingConfig, TrainingFailedError, get_context
from ray.train.backend import Backend
from ray.train.torch import TorchConfig, TorchTrainer

from features.errors import ClusterError, RecsysError, one_line
from recsys.compute.local import join_on_loopback
from recsys.compute.ray_connection import handler_kept
from recsys.environment import prepare_environment
from recsys.settings.presets import find_device
from retrieval.two_tower.distributed.process_group import ProcessGroup

if TYPE_CHECKING:
    from pathlib import Path

    from ray.train._internal.base_worker_group import BaseWorkerGroup

    from recsys.compute.job import Training
    from recsys.settings.cluster import ClusterConfig


# Errors of the work itself, which another start meets again. A peer's death shows as another RuntimeError or as an OSError.
# Classes come before their bases: an error is raised again as the first that it belongs to.
FAULTS: tuple[type[Exception], ...] = (
    *RecsysError.__subclasses__(),
    *(RecsysError, ArithmeticError, KeyError, TypeError, ValueError, torch.OutOfMemoryError),
)


class LoopbackBackend(Backend):
    """Joins workers of one machine without a port that others reach: torch's own store listens on all interfaces."""

    def on_start(self, worker_group: BaseWorkerGroup, backend_config: Any) -> None:
        """Have all workers join the group."""
        store = os.path.join(backend_config.folder, uuid.uuid4().hex)  # one each start
        worker_group.execute(_join, store, backend_config.backend)


@dataclass
class LoopbackConfig(TorchConfig):
    """Torch's process group on the loopback interface.

    Attributes
    ----------
    folder : of this machine, for the files through which the workers meet.
    """

    folder: str = ""

    @property
    def backend_cls(self) -> type[Backend]:  # pyright: ignore[reportIncompatibleMethodOverride]  (torch's own backend is private)
        """The backend that joins the workers."""
        return LoopbackBackend


def _join(store: str, backend: str) -> None:
    context = get_context()
    join_on_loopback(context.get_world_rank(), context.get_world_size(), store, backend)


def fit(training: Training, workers: int, config: ClusterConfig, *, loopback: bool) -> None:
    """Do a training in workers of the cluster that this process is connected to.

    Ray Train starts all workers again after any error of one. So a worker writes an error of `FAULTS` to a file, and workers that are
    started again and find it return at once. Other errors are those of processes whose peer died.

    Raises
    ------
    ClusterError
        If workers die more than `config.retries` times, or the cluster is gone.
    Exception
        One of `FAULTS` that the training raises, with its message.
    """
    fault = training.folder / f"fault-{uuid.uuid4().hex}.json"
    with tempfile.TemporaryDirectory(prefix="recsys-group-") as folder, handler_kept(signal.SIGINT):
        try:
            _trainer(training, fault, workers, config, LoopbackConfig(folder=folder) if loopback else TorchConfig()).fit()
            _raise(fault)
        except (TrainingFailedError, RayError) as error:
            _raise(fault)
            line = one_line(error)[-200:]
            raise ClusterError(f"{training.label} stopped on the cluster ({line}): run the same command again") from error
        finally:
            fault.unlink(missing_ok=True)


def _raise(fault: Path) -> None:
    """Raise the error of a worker, if there is one."""
    if fault.exists():
        name, line = json.loads(fault.read_text(encoding="utf-8"))
        kinds = (kind for kind in FAULTS if kind.__name__ == name)
        raise next(kinds, RecsysError)(line) from None  # a worker may have imported classes that this process has not


def _trainer(training: Training, fault: Path, workers: int, config: ClusterConfig, group: TorchConfig) -> TorchTrainer:
    group.backend = "nccl" if config.gpus >= 1 else "gloo"  # NCCL has no two processes on one GPU
    resources = {"CPU": float(config.cores), "GPU": config.gpus}
    return TorchTrainer(
        _in_worker,
        train_loop_config={"training": training, "fault": fault, "device": "cuda" if config.gpus else "cpu"},
        torch_config=group,
        scaling_config=ScalingConfig(num_workers=workers, use_gpu=config.gpus > 0, resources_per_worker=resources),
        run_config=RunConfig(
            name=f"ray-{uuid.uuid4().hex}",
            storage_path=str(training.folder),
            failure_config=FailureConfig(max_failures=config.retries),
        ),
    )


def _in_worker(config: dict[str, Any]) -> None:
    prepare_environment()
    training: Training = config["training"]
    fault: Path = config["fault"]
    group = ProcessGroup.joined(find_device(config["device"]))
    if group.sum(float(fault.exists())):  # all return, as one whose machine does not see the file yet would wait for the others
        return
    try:
        training.work(group, **training.arguments)
    except FAULTS as error:
        kind = next(kind for kind in FAULTS if isinstance(error, kind))
        mine = fault.with_suffix(f".{group.rank}")
        mine.write_text(json.dumps([kind.__name__, one_line(error)]), encoding="utf-8")
        mine.replace(fault)
        raise
