"""What a plan is asked for."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from features.errors import DataError

if TYPE_CHECKING:
    from datetime import datetime

    from recsys.apps.campaigns.planning.offers import Offer


@dataclass(frozen=True)
class PlanRequest:
    """Offers, and the limits of a campaign.

    Attributes
    ----------
    budget : of sending and of discounts together, as expected.
    holdout : share of the chosen customers who are not written to, drawn by chance; 0 is told with a warning.
    campaign_id : empty: by the day of sending.
    contacts, within_days : override the settings.
    min_group : customers that an offer is sent to at least, or nobody.
    send_at : None: the day after the log's last event.
    """

    offers: tuple[Offer, ...]
    budget: float
    holdout: float
    campaign_id: str = ""
    contacts: int | None = None
    within_days: int | None = None
    min_group: int = 1
    send_at: datetime | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.offers:
            raise DataError("the plan has no offers, expected at least one: write them into the file of --offers")
        if not (math.isfinite(self.budget) and self.budget > 0):
            raise DataError(f"the budget is {self.budget:g}, expected more than 0: with nothing to spend nobody is written to")
        if not 0 <= self.holdout < 1:
            found = "everybody would be in the holdout" if self.holdout == 1 else "it is a share"
            raise DataError(f"the holdout is {self.holdout:g}, expected 0 to less than 1, such as 0.1: {found}")
        if self.min_group < 1:
            raise DataError(f"the smallest group is {self.min_group}, expected 1 or more")
