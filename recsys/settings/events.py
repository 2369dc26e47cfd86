"""Weights of events, and the rule that matches the service's events with rows of the sources."""

from __future__ import annotations

from typing import Literal

import polars as pl
from pydantic import BaseModel, ConfigDict, Field, field_validator

from features.data.interactions import EVENT_WEIGHTS
from features.names import CART, DISLIKE, POSITIVE_EVENTS, PURCHASE, RATING, VIEW


class EventWeights(BaseModel):
    """Weights of events in histories and models, and the rule that matches events with rows of the sources.

    Attributes
    ----------
    purchase, cart, view, rating : weight of one event of that kind.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    purchase: float = Field(default=EVENT_WEIGHTS[PURCHASE], ge=0)
    cart: float = Field(default=EVENT_WEIGHTS[CART], ge=0)
    view: float = Field(default=EVENT_WEIGHTS[VIEW], ge=0)
    rating: float = Field(default=EVENT_WEIGHTS[RATING], ge=0)
    same_day: Literal["source", "service", "both"] = Field(
        default="source", description="whose rows of one user, item, event and day count, where both have such rows; `both` counts both"
    )
    time_zone: str = Field(default="UTC", description="time zone in which days are counted")
    clock: Literal["auto", "times", "dates", "steps", "visits"] = Field(
        default="auto", description="what the log's times are; `auto` judges the log"
    )
    keep_days: int = Field(
        default=400, ge=1, description="the service's events older than this, counted from the sources' last row, are removed"
    )

    @field_validator("time_zone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        try:
            pl.Series([0]).cast(pl.Datetime("ms", "UTC")).dt.convert_time_zone(value)
        except pl.exceptions.PolarsError:
            raise ValueError("is not a time zone; expected a name like UTC or Europe/Berlin") from None
        return value

    @property
    def weights(self) -> dict[str, float]:
        """Weight by event; a dislike has none, because it is no evidence of interest."""
        return {event: getattr(self, event) for event in POSITIVE_EVENTS} | {DISLIKE: 0.0}
