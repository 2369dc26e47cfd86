"""Settings of continual learning: a training that goes on from the workspace's model."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class ContinualConfig(BaseModel):
    """How `recsys train` goes on from the model of the last training."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    enabled: bool = Field(default=False, description="go on from the workspace's model where it may")
    fresh_every: int = Field(default=6, ge=1, description="a training from nothing follows so many continued ones")
    epochs: int = Field(default=2, ge=0, description="epochs of the towers alone, at most")
    tuned_epochs: int = Field(default=0, ge=0, description="epochs of the text encoder, at most")
    rate: float = Field(default=0.3, gt=0, le=1, description="factor on the learning rates of a training from nothing")
    replay: float = Field(default=0.5, ge=0, le=1, description="share of a batch drawn from the whole log, not from what is new")
    proximal: float = Field(default=1.0, ge=0, description="pull of the weights towards those of the last training (L2-SP)")
    rounds: int = Field(default=15, ge=0, description="trees that the base booster gains")
    grown: float = Field(default=0.25, ge=0, description="growth of their data from which the parts of search and reviews are fitted again")

    def of_training(self) -> dict[str, Any]:
        """Return what determines a continued training's model, as values that JSON can hold; the rest only says whether there is one."""
        return self.model_dump(mode="json", exclude={"enabled", "fresh_every"})
