"""Options of `recsys train`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from features.data.queries import Queries
    from features.data.reviews import Reviews
    from recsys.artifacts.ranking import Ranking
    from recsys.compute.job import Cluster
    from recsys.settings.names import Device, Preset
    from recsys.training.job import RankingData


@dataclass(frozen=True)
class TrainOptions:
    """Options of a training run.

    Attributes
    ----------
    until : train only on events before this moment, UTC without time zone; None: on all events.
    warm_start : whether to go on from the workspace's model where that may be done; None takes `continual.enabled`.
    queries, reviews : the shop's search log and reviews; None for a shop without them.
    watch : called with a fitted ranking and the data that it was fitted on.
    cluster : encodes the catalogue, trains the towers and retrieves candidates in place of this process; dropout is drawn by each worker.
    """

    until: datetime | None = None
    preset: Preset = "quick"
    device: Device = "auto"
    seed: int = 0
    warm_start: bool | None = None
    queries: Queries | None = None
    reviews: Reviews | None = None
    watch: Callable[[RankingData, Ranking], None] | None = None
    cluster: Cluster | None = None
