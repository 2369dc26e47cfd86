"""Settings of a simulation."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class ClickConfig(BaseModel):
    """Settings of `eval.simulation.click_model`.

    Attributes
    ----------
    decay : place k is examined with probability k ** -decay
    bought, other : probability of a click on an examined item that the user bought, or did not buy
    explore : probability that a list is drawn at random from both variants' items
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    decay: float = Field(default=1.0, ge=0)
    bought: float = Field(default=0.6, ge=0, le=1)
    other: float = Field(default=0.02, ge=0, le=1)
    explore: float = Field(default=0.9, gt=0, le=1)
    seed: int = 0


class SimulateConfig(BaseModel):
    """How variants are compared.

    Attributes
    ----------
    horizon_days : purchases of this many days count, from the visit's day on
    share_b : share of the users in variant b
    salt : of the hash that assigns users to variants
    same_arms_runs : splits of the A/A test; 0 leaves it out
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    horizon_days: int = Field(default=1, ge=1)
    share_b: float = Field(default=0.5, gt=0, lt=1)
    salt: str = "recsys"
    same_arms_runs: int = Field(default=500, ge=0)
    clicks: ClickConfig = ClickConfig()
