"""Configuration of customers."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from eval.monitoring.config import WatchConfig
from ranking.outcomes.config import OutcomeConfig


class CustomersConfig(BaseModel):
    """The section [customers].

    Attributes
    ----------
    models : what is expected of each customer, and what that is learned from.
    cuts : weekly moments at which `recsys evaluate customers` judges, at most.
    alerts : when more customers drift away than usual.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    models: OutcomeConfig = OutcomeConfig()
    cuts: int = Field(default=8, ge=1)
    # Of a day's customers a few in a thousand drift away: a margin as for reviews would hide any surge.
    alerts: WatchConfig = WatchConfig(margin=0.0)
