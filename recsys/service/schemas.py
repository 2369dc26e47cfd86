"""Defines the bodies of requests and answers; /openapi.json is generated from them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from pydantic import AliasChoices, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

from features.data.ids import normal_id
from features.ingest.times.moments import FIRST_DATE, read_moment, tomorrow
from features.names import PURCHASE, EventKind
from recsys.recommend.request import MAX_PER_GROUP, RecommendOptions

Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=256)]
# An id is spelt as ingest would spell it, before its length is checked.
Id = Annotated[Name, BeforeValidator(lambda given: normal_id(given) if isinstance(given, str) else given)]
Items = Annotated[list[Id], Field(max_length=1_000)]
K = Annotated[int, Field(ge=1, description="how many items, at most `serve.max_k`")]
PerGroup = Annotated[int, Field(ge=1, le=1_000, description="how many variants of a product (`group_id`) the list may hold")]
BUNDLE = "20261123T221508673906Z-700944b340f8"
STAGES = {"waiting": 0.1, "retrieval": 11.2, "ranking": 9.8, "telling": 3.1}


class Body(BaseModel):
    """Refuses unknown keys: a typo would go unnoticed."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


def _document_debuts(schema: dict[str, Any]) -> None:
    """Add the former name of `unsold` to the schema: pydantic documents the first of the aliases alone."""
    about = {"title": "Debuts", "type": "boolean", "deprecated": True}  # no default: generated clients send those, and both are refused
    schema["properties"]["debuts"] = about | {"description": "former name of `unsold`, accepted for one more release"}


class RulesBody(Body):
    """Which items may be shown. Retrieval searches among these alone, so k items still come back."""

    model_config = ConfigDict(json_schema_extra=_document_debuts)

    category: Name | None = Field(default=None, description="a path, its beginning, or one of its names")
    max_price: float | None = Field(default=None, ge=0)
    in_stock: bool = False
    exclude: Items = []
    new_only: bool | None = Field(
        default=None, description="only items the user has not bought; null: true in a shop without repeat purchases"
    )
    unsold: bool = Field(
        default=False, validation_alias=AliasChoices("unsold", "debuts"), description="only never-sold items, by probability of a purchase"
    )


class RecommendBody(Body):
    """A list for a user, for a basket, or for both; without either, the popular items."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"user": "123", "k": 5},
                {"history": ["sku-01", "sku-07"], "k": 5, "rules": {"category": "tea", "max_price": 9}, "diversity": 0.3},
            ]
        }
    )

    user: Id | None = None
    history: Items = Field(default=[], description="the basket: item ids, oldest first")
    k: K = 10
    rules: RulesBody = RulesBody()
    diversity: float = Field(default=0.0, ge=0, le=1, description="0: by probability alone; 1: as diverse as possible")
    max_per_group: PerGroup = MAX_PER_GROUP
    explain: bool = Field(default=False, description="add what each feature contributed to the log odds")

    @property
    def options(self) -> RecommendOptions:
        """The request as the recommender takes it."""
        rules: dict[str, Any] = self.rules.model_dump() | {"exclude": tuple(self.rules.exclude)}
        return RecommendOptions(
            tuple(self.history), self.k, diversity=self.diversity, max_per_group=self.max_per_group, explain=self.explain, **rules
        )


class SimilarBody(Body):
    """Asks for the items nearest to an item."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"item": "sku-07", "k": 5}]})

    item: Id
    k: K = 10
    max_per_group: PerGroup = MAX_PER_GROUP
    variants: bool = Field(default=False, description="the item's own variants may be in the list")


def _moment(value: Any) -> Any:
    """Return a time by the rules of ingest, so that an event means the same in a request and in a file."""
    if value is None:
        return None
    moment = read_moment(value) if isinstance(value, str | int | float) else None
    if moment is None or not FIRST_DATE <= moment <= tomorrow():
        raise ValueError("expected a time from 1971 until now, as ISO 8601 or as an epoch in seconds")
    return moment


Moment = Annotated[datetime, BeforeValidator(_moment, json_schema_input_type=str | float)]


class EventBody(Body):
    """What a customer did. Equal `event_id`, or without one equal user, item, kind and second: counted once."""

    user: Id
    item: Id
    event: EventKind = PURCHASE
    timestamp: Moment | None = Field(
        default=None, description="ISO 8601, or an epoch in seconds, milli-, micro- or nanoseconds; without a zone UTC; null: now"
    )
    quantity: float | None = Field(default=None, gt=0)
    value: float | None = Field(default=None, ge=0, description="price paid for the whole quantity")
    event_id: Id | None = Field(default=None, description="id of the event, the same as in the sources; null: derived")


class EventsBody(Body):
    """A batch of events, stored as a whole or not at all."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"events": [{"user": "123", "item": "sku-07", "event": PURCHASE, "quantity": 1, "value": 3.5}]}]}
    )

    events: list[EventBody] = Field(min_length=1, max_length=1_000)


class Answered(BaseModel):
    """Keys of every answer."""

    bundle_id: str = Field(examples=[BUNDLE])
    degraded: bool = Field(default=False, description="ranking failed or was late: the order is that of retrieval")
    stages: dict[str, float] = Field(examples=[STAGES], description="duration of each stage in milliseconds")


class RecommendedItem(BaseModel):
    """One item of an answer; docs/json.md describes the keys."""

    rank: int = Field(examples=[1])
    item_id: str = Field(examples=["sku-07"])
    title: str = Field(examples=["herbal infusion large"])
    category: str | None = Field(examples=["drinks|tea"])
    price: float | None = Field(examples=[3.25])
    probability: float | None = Field(examples=[0.31])
    reason: str = Field(examples=["bought 6 times, about every 12 days, last 13 days ago"])
    contributions: dict[str, float] | None = None
    rule: str | None = Field(default=None, description="the rule of merchandising.toml that placed the item; absent where the ranking did")


class Recommended(Answered):
    """A list, best first."""

    user_id: str | None = Field(examples=["123"])
    fallback: str | None = Field(description="why the list is not personal; null if it is")
    items: list[RecommendedItem]


class MatchedItem(BaseModel):
    """One item of an answer; docs/json.md describes the keys."""

    rank: int = Field(examples=[1])
    item_id: str = Field(examples=["sku-02"])
    title: str = Field(examples=["herbal infusion small"])
    category: str | None = Field(examples=["drinks|tea"])
    price: float | None = Field(examples=[2.0])
    score: float = Field(examples=[0.83])


class Matched(Answered):
    """The nearest items, best first."""

    query: str = Field(examples=["sku-07"])
    items: list[MatchedItem]


class Stored(Answered):
    """How many events were accepted, and how many of them are new."""

    accepted: int = Field(examples=[1])
    new: int = Field(examples=[1])
    unknown_items: list[str] = Field(examples=[[]], description="ids missing from the catalogue; they count once a refresh adds them")


class ErasedUser(Answered):
    """How much was removed; `models` counts those trained with the user, which should be trained again."""

    events: int
    conversations: int
    pages: int
    rows: int
    bundles: int
    models: int


class Problem(BaseModel):
    """An error as RFC 9457 defines it; `detail` says what was found, what was expected and what to do next."""

    type: str = "about:blank"
    title: str = Field(examples=["Unprocessable Content"])
    status: int = Field(examples=[422])
    detail: str = Field(examples=["k is 500, expected 1 to 100"])


PROBLEM: dict[str, Any] = {"content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}}
