"""Options of `recsys benchmark` and `recsys simulate`."""

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
    """Options of `recsys benchmark`.

    Attributes
    ----------
    name : ShopName
        The public shop.
    data : Path or None
        The folder with its files; None for the packaged shop.
    train : TrainOptions
        The preset, device and seed of our model.
    max_users : int
        The number of users to evaluate on, at most.
    lists : tuple of (str, Path)
        External systems: a name and a file of lists for each.
    ablations : bool
        Whether our recommender is also evaluated without each of its parts.
    """

    name: ShopName
    data: Path | None = None
    train: TrainOptions = field(default_factory=TrainOptions)
    max_users: int = 10_000
    lists: tuple[tuple[str, Path], ...] = ()
    ablations: bool = True


@dataclass(frozen=True)
class SimulateOptions:
    """Options of `recsys simulate`.

    Attributes
    ----------
    a, b : str or AbArm
        "ours", a baseline's name, the path of a configuration, or an arm.
    start : datetime or None
        The first day, UTC without a zone; None: where `recsys evaluate` cuts the log.
    days : int or None
        None: to the log's end.
    users : int or None
        The number of users, at most, drawn at random; None: all.
    click_log : Path or None
        Where the clicks of a click model are written.
    train : TrainOptions
        The preset, device and seed of the models that the arms use.
    """

    a: str | AbArm
    b: str | AbArm
    start: datetime | None = None
    days: int | None = None
    users: int | None = None
    click_log: Path | None = None
    train: TrainOptions = field(default_factory=TrainOptions)
