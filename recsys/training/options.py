"""Options of a training run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from recsys.artifacts.model import Ranking
    from recsys.settings.names import Device, Preset
    from recsys.training.pipeline import RankingData


@dataclass(frozen=True)
class TrainOptions:
    """`until`: learn only from what lies before this moment, UTC without zone; None: from everything there is.

    watch: told of what the ranking was fitted on, with the ranking, when one is fitted.
    """

    until: datetime | None = None
    preset: Preset = "quick"
    device: Device = "auto"
    seed: int = 0
    watch: Callable[[RankingData, Ranking], None] | None = None
