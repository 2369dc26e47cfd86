"""Settings of published bundles."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class BundleConfig(BaseModel):
    """Settings of published bundles."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    keep: int = Field(default=3, ge=1, description="how many bundles to keep: the one in use and the ones before it")
