"""Opens what finds audiences, over the bundle in use."""

from __future__ import annotations

from typing import TYPE_CHECKING

from features.names import COST, HOLDOUT, REDEEMED_AT
from recsys.apps.customers.audience.fitting import models_of
from recsys.apps.customers.audience.pipeline import AudienceFinder

if TYPE_CHECKING:
    from recsys.recommend.pipeline import Recommender
    from recsys.settings.settings import Settings
    from recsys.workspace.workspace import Workspace


def open_audience(recommender: Recommender, workspace: Workspace, settings: Settings) -> AudienceFinder:
    """Return the finder; the models of a bundle are fitted on its first use.

    Raises
    ------
    DataError
        If the log is too short, or has no dates.
    """
    cost = settings.audience.letter_cost
    return AudienceFinder(
        recommender,
        models_of(recommender, workspace.cache),
        workspace.load_customers(),
        _past_cost(workspace) if cost is None else cost,
        settings.campaigns.sensitive,
        settings.campaigns.exposure_gap,
    )


def _past_cost(workspace: Workspace) -> float | None:
    """Return the median cost of a letter that was not redeemed, of past campaigns; None where none is recorded."""
    campaigns = workspace.load_campaigns()
    if campaigns is None:
        return None
    frame = campaigns.frame
    paid = frame.filter(~frame[HOLDOUT] & frame[REDEEMED_AT].is_null() & (frame[COST] > 0))[COST]
    return float(paid.median()) if len(paid) else None  # pyright: ignore[reportArgumentType]
