"""Settings of published bundles."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class BundleConfig(BaseModel):
    """How bundles are kept."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    keep: int = Field(default=3, ge=1, description="bundles to keep: the one in use and those before it")
