"""Defines the bodies of what a shop's software tells of its catalogue between two refreshes."""

from __future__ import annotations

from typing import Self

from pydantic import ConfigDict, Field, model_validator

from recsys.service.schemas import Answered, Body, Id, Moment


class ItemBody(Body):
    """A new price, a new stock, or both. What is left out stays as it is."""

    item: Id
    price: float | None = Field(default=None, gt=0, lt=1e12, description="what one piece costs now")
    available: bool | None = Field(default=None, description="whether it may be sold now; null: whether `stock` is above 0")
    stock: float | None = Field(default=None, ge=0, description="pieces in stock")
    timestamp: Moment | None = Field(
        default=None, description="when it changed, as in /v1/events; null or in the future: now. Of two changes the later one counts"
    )

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if self.price is None and self.available is None and self.stock is None:
            raise ValueError("nothing changes: give price, available or stock")
        return self


class ItemsBody(Body):
    """A batch of changes, stored as a whole or not at all."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"items": [{"item": "sku-07", "price": 2.95}, {"item": "sku-12", "stock": 0}]}]}
    )

    items: list[ItemBody] = Field(min_length=1, max_length=1_000)


class ItemsStored(Answered):
    """How many changes were accepted, and how many of them say something new."""

    accepted: int = Field(examples=[2])
    new: int = Field(examples=[2])
    outdated: int = Field(examples=[0], description="older than the catalogue that the bundle in use was built from: without effect")
    unknown_items: list[str] = Field(examples=[[]], description="ids missing from the catalogue; they count once a refresh adds them")
