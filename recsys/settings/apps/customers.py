"""Configuration of customers."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from ranking.outcomes.config import OutcomeConfig


class CustomersConfig(BaseModel):
    """The section [customers].

    Attributes
    ----------
    models : what is expected of each customer, and what that is learned from.
    cuts : weekly moments at which `recsys evaluate customers` judges, at most.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    models: OutcomeConfig = OutcomeConfig()
    cuts: int = Field(default=8, ge=1)
