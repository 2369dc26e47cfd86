"""Configuration of audiences."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class AudienceConfig(BaseModel):
    """The section [audience].

    Attributes
    ----------
    letter_cost : of one letter, in the shop's currency, for a budget; None takes the median of past campaigns.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    letter_cost: float | None = Field(default=None, gt=0)
