"""How a simulation compares its arms."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class ClickConfig(BaseModel):
    """Numbers of `eval.simulation.click_model`. explore: chance that a list is drawn at random from both arms' items."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    decay: float = Field(default=1.0, ge=0)
    bought: float = Field(default=0.6, ge=0, le=1)
    other: float = Field(default=0.02, ge=0, le=1)
    explore: float = Field(default=0.9, gt=0, le=1)
    seed: int = 0


class SimulateConfig(BaseModel):
    """How arms are compared. horizon_days: purchases of so many days, from the visit on, count. share_b: of the users in arm b."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    horizon_days: int = Field(default=1, ge=1)
    share_b: float = Field(default=0.5, gt=0, lt=1)
    salt: str = "recsys"
    same_arms_runs: int = Field(default=500, ge=0)
    clicks: ClickConfig = ClickConfig()
