"""Settings of the impressions that the storefront stores."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class ImpressionsConfig(BaseModel):
    """The section [impressions]."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    keep_days: float = Field(default=180.0, gt=0, description="days for which a page's impressions and their actions are kept")
    waiting: int = Field(default=10_000, ge=1, description="pages of a worker that may wait to be stored; further ones are not stored")
