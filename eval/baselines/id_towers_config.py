"""Settings of the two towers on ids alone: read without torch, which `eval.baselines.id_towers` needs."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class IdTowersConfig(BaseModel):
    """Two towers on ids alone: `epochs` of 40 batches, `lr` of AdamW, `history`: distinct items that are read of a user, newest first."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    epochs: int = Field(default=6, ge=1)
    lr: float = Field(default=3e-3, gt=0)
    history: int = Field(default=64, ge=1)
    seed: int = 0
