"""Configuration of campaigns."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from ranking.outcomes.response import ResponseConfig
from ranking.outcomes.uplift import UpliftConfig


class CampaignsConfig(BaseModel):
    """The section [campaigns].

    Attributes
    ----------
    response : what the chance of a response is learned from, and within how many days one counts.
    uplift : the learners of uplift.
    holdout : share of the chosen customers who are not written to, unless `recsys campaign` is told another one.
    margin : share of spend that stays with the shop.
    contacts, within_days : a customer is written to at most so often within so many days.
    rest_days : days after a contact in which a customer is not written to.
    sensitive : attributes of customers whose groups are compared.
    exposure_gap : how far the share of a group that gets an offer may be from the share of all, 0 to 1.
    judged : the last campaigns that `recsys evaluate campaigns` judges.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    response: ResponseConfig = ResponseConfig()
    uplift: UpliftConfig = UpliftConfig()
    holdout: float = Field(default=0.1, gt=0, lt=1)
    margin: float = Field(default=1.0, gt=0, le=1)
    contacts: int = Field(default=3, ge=1)
    within_days: int = Field(default=28, ge=1)
    rest_days: int = Field(default=0, ge=0)
    sensitive: tuple[str, ...] = ()
    exposure_gap: float = Field(default=0.1, ge=0, le=1)
    judged: int = Field(default=11, ge=1)
