"""Options of the offline commands: benchmark and simulate."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from recsys.training.options import TrainOptions

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from recsys.offline.ab_arm import AbArm
    from recsys.settings.names import ShopName


@dataclass(frozen=True)
class BenchmarkOptions:
    """`name`: of the shop. data: the folder with its files, None for the one that comes packaged. max_users: judged on so many at most.

    lists: rivals that live elsewhere, by name, as files of their lists. ablations: ours without each of its parts, too.
    """

    name: ShopName
    data: Path | None = None
    train: TrainOptions = field(default_factory=TrainOptions)
    max_users: int = 10_000
    lists: tuple[tuple[str, Path], ...] = ()
    ablations: bool = True


@dataclass(frozen=True)
class SimulateOptions:
    """a, b: "ours", a baseline's name, the path of a configuration, or an arm.

    start: the first day, UTC without zone; None: `evaluate`'s cut. days: None: to the log's end. users: ask so many at most.
    click_log: where clicks of a click model go, if anywhere.
    """

    a: str | AbArm
    b: str | AbArm
    start: datetime | None = None
    days: int | None = None
    users: int | None = None
    click_log: Path | None = None
