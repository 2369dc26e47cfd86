"""Defines the bodies of actions on impressions, in the form of OpenSearch's User Behavior Insights or a short one."""

from __future__ import annotations

import math
from datetime import UTC
from typing import Annotated, Any

from pydantic import ConfigDict, Field, model_validator

from features.ingest.times.moments import read_moment
from features.names import CLICK
from recsys.service.schemas import Answered, Body, Id, Name
from recsys.workspace.served_pages import Action

MOST = 1_000  # actions of one batch
ActionName = Annotated[Name, Field(max_length=64)]


class ActionBody(Body):
    """What a customer did with an item that was shown.

    UBI's nested `event_attributes.object.object_id` and `event_attributes.position.ordinal` are read as well, and its `application`,
    `client_id`, `session_id`, `message`, `message_type` and `user_query` are accepted and not stored.
    """

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"action_name": CLICK, "query_id": "q7Hc0aX2", "object_id": "sku-07", "position": 1}]}
    )

    action_name: ActionName = Field(description="click, cart, purchase or another one")
    query_id: Name = Field(description="the impression_id of the row in which the item was shown")
    object_id: Id = Field(description="the item")
    position: int | None = Field(default=None, description="place in the row, from 1; what is stored is where the item was shown")
    timestamp: str | float | None = Field(
        default=None, description="on the client's clock, ISO 8601 or an epoch; where it cannot be, the server's time is stored"
    )
    value: float | None = Field(default=None, ge=0, lt=1e12, description="price paid for the whole quantity")
    action_id: Name | None = Field(
        default=None, description="equal ids of one impression count once; null: derived from item and action_name"
    )
    application: Any = Field(default=None, exclude=True)
    client_id: Any = Field(default=None, exclude=True)
    session_id: Any = Field(default=None, exclude=True)
    message: Any = Field(default=None, exclude=True)
    message_type: Any = Field(default=None, exclude=True)
    user_query: Any = Field(default=None, exclude=True)

    @model_validator(mode="before")
    @classmethod
    def _flatten(cls, given: Any) -> Any:
        """Read UBI's nested attributes as the short form."""
        if not isinstance(given, dict) or not isinstance(given.get("event_attributes"), dict):
            return given
        flat = {name: value for name, value in given.items() if name != "event_attributes"}
        for part, key, name in (("object", "object_id", "object_id"), ("position", "ordinal", "position")):
            nested = given["event_attributes"].get(part)
            if isinstance(nested, dict) and key in nested:
                flat.setdefault(name, nested[key])
        return flat

    def action(self, item_id: str) -> Action:
        """Return the action on an item as the catalogue spells it."""
        sent = None
        if self.timestamp is not None:
            moment = read_moment(self.timestamp)
            sent = math.nan if moment is None else moment.replace(tzinfo=UTC).timestamp()
        return Action(self.query_id, item_id, self.action_name, sent, self.position, self.value, self.action_id or "")


class ActionsBody(Body):
    """A batch of actions."""

    actions: list[ActionBody] = Field(min_length=1, max_length=MOST)


class StoredBody(Answered):
    """What became of a batch of actions."""

    received: int = Field(examples=[20])
    new: int = Field(examples=[17], description="stored")
    repeated: int = Field(examples=[0], description="stored before, or twice in the batch")
    unknown: int = Field(examples=[0], description="name an impression that was not served here")
    not_shown: int = Field(examples=[3], description="name an item that the impression did not show")
    too_many: int = Field(examples=[0], description="came after the most that one impression may have")
    moved: int = Field(examples=[0], description="stored, at another place than they name")
    clocks_off: int = Field(examples=[0], description="stored, with the server's time")
    notes: list[str] = Field(examples=[["3 of 20 actions name items that were not shown there: not stored, such as 'sku-99'"]])
