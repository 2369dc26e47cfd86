"""What a command was asked to do: the command line fills these in, the verbs take them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime
    from pathlib import Path

    from recsys.arm import Arm
    from recsys.model import Ranking
    from recsys.training import Material

Preset = Literal["quick", "full"]
ShopName = Literal["completejourney", "beauty", "games", "online_retail"]
Device = Literal["auto", "cpu", "cuda"]


class Scope(StrEnum):
    """What an API key opens: lists and metrics; events; all of it, and erasing."""

    READ = "read"
    WRITE = "write"
    ADMIN = "admin"


@dataclass(frozen=True)
class TrainOptions:
    """`until`: learn only from what lies before this moment, UTC without zone; None: from everything there is.

    watch: told of what the ranking was fitted on, with the ranking, when one is fitted.
    """

    until: datetime | None = None
    preset: Preset = "quick"
    device: Device = "auto"
    seed: int = 0
    watch: Callable[[Material, Ranking], None] | None = None


@dataclass(frozen=True)
class BenchmarkOptions:
    """`name`: of the shop. data: the folder with its files, None for the one that comes packaged. max_users: judged on so many at most.

    lists: rivals that live elsewhere, by name, as files of their lists. ablations: ours without each of its parts, too.
    """

    name: ShopName
    data: Path | None = None
    train: TrainOptions = TrainOptions()
    max_users: int = 10_000
    lists: tuple[tuple[str, Path], ...] = ()
    ablations: bool = True


@dataclass(frozen=True)
class SimulateOptions:
    """a, b: "ours", a baseline's name, the path of a configuration, or an arm.

    start: the first day, UTC without zone; None: `evaluate`'s cut. days: None: to the log's end. users: ask so many at most.
    click_log: where clicks of a click model go, if anywhere.
    """

    a: str | Arm
    b: str | Arm
    start: datetime | None = None
    days: int | None = None
    users: int | None = None
    click_log: Path | None = None


@dataclass(frozen=True)
class RecommendOptions:
    """For whom, and by which rules.

    user: a known one; None is an unknown visitor. history: items bought just now, oldest first; they come after what is known of the user.
    new_only: nothing the user has bought before; None: if people of this shop never buy a thing again.
    diversity: 0 ranks by probability alone, 1 wants the items as unlike as can be.
    debuts: only items that nobody has bought yet, ordered by how likely they sell soon and suit the user; without probabilities.
    explain: with what each feature added to the log odds.
    """

    user: str | None = None
    history: tuple[str, ...] = ()
    k: int = 10
    category: str | None = None
    max_price: float | None = None
    in_stock: bool = False
    exclude: tuple[str, ...] = ()
    new_only: bool | None = None
    diversity: float = 0.0
    debuts: bool = False
    explain: bool = False
