"""What an event counts, and which rows of the service and of the sources are one and the same event."""

from __future__ import annotations

from typing import Literal

import polars as pl
from pydantic import BaseModel, ConfigDict, Field, field_validator

from features.data.interactions import EVENT_WEIGHTS, EVENTS
from features.names import CART, PURCHASE, RATING, VIEW


class EventWeights(BaseModel):
    """What one event of each kind counts, when histories and collaborative models are weighted; and the rule of the service's events."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    purchase: float = Field(default=EVENT_WEIGHTS[PURCHASE], ge=0)
    cart: float = Field(default=EVENT_WEIGHTS[CART], ge=0)
    view: float = Field(default=EVENT_WEIGHTS[VIEW], ge=0)
    rating: float = Field(default=EVENT_WEIGHTS[RATING], ge=0)
    same_day: Literal["source", "service", "both"] = Field(
        default="source", description="whose rows of one user, item, event and day count, where both have them; `both` counts both"
    )
    time_zone: str = Field(default="UTC", description="of the days")
    keep_days: int = Field(default=400, ge=1, description="days before the sources' last row, after which the service's events are removed")

    @field_validator("time_zone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        try:
            pl.Series([0]).cast(pl.Datetime("ms", "UTC")).dt.convert_time_zone(value)
        except pl.exceptions.PolarsError:
            raise ValueError("is no time zone; expected a name like UTC or Europe/Berlin") from None
        return value

    @property
    def weights(self) -> dict[str, float]:
        """Event -> weight."""
        return {event: getattr(self, event) for event in EVENTS}
