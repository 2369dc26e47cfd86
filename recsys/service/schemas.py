"""Bodies of requests and answers; the documentation at /openapi.json is made of them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from features.names import PURCHASE, EventKind
from recsys.recommend.request import RecommendOptions

Id = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=256)]
Items = Annotated[list[Id], Field(max_length=1_000)]
K = Annotated[int, Field(ge=1, description="how many items, at most `serve.max_k`")]
BUNDLE = "20261123T221508673906Z-700944b340f8"
STAGES = {"waiting": 0.1, "retrieval": 11.2, "ranking": 9.8, "telling": 3.1}


class Body(BaseModel):
    """Unknown keys are refused: a typo would be silent."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class RulesBody(Body):
    """What may be shown; the search looks only inside it, so that k items still come back."""

    category: Id | None = Field(default=None, description="a path, its beginning, or one name within")
    max_price: float | None = Field(default=None, ge=0)
    in_stock: bool = False
    exclude: Items = []
    new_only: bool | None = Field(default=None, description="nothing bought before; null: if nobody here buys twice")
    unsold: bool = Field(default=False, description="only what nobody has bought yet, without probabilities")


class RecommendBody(Body):
    """For a known user, for a basket, for both, or for nobody known: then what is popular."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"user": "123", "k": 5},
                {"history": ["sku-01", "sku-07"], "k": 5, "rules": {"category": "tea", "max_price": 9}, "diversity": 0.3},
            ]
        }
    )

    user: Id | None = None
    history: Items = Field(default=[], description="items bought just now, oldest first")
    k: K = 10
    rules: RulesBody = RulesBody()
    diversity: float = Field(default=0.0, ge=0, le=1, description="0: by chance of purchase alone; 1: as unlike as can be")
    explain: bool = Field(default=False, description="what each feature added to the log odds")

    @property
    def options(self) -> RecommendOptions:
        """The same, as the recommender takes it."""
        rules: dict[str, Any] = self.rules.model_dump() | {"exclude": tuple(self.rules.exclude)}
        return RecommendOptions(self.user, tuple(self.history), self.k, diversity=self.diversity, explain=self.explain, **rules)


class SimilarBody(Body):
    """Items nearest to an item."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"item": "sku-07", "k": 5}]})

    item: Id
    k: K = 10


class SearchBody(Body):
    """Items nearest in meaning to some words."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"text": "something warm to drink", "k": 5}]})

    text: str = Field(min_length=1, max_length=1_000, pattern=r"\S")
    k: K = 10


class EventBody(Body):
    """What a customer did. An id, or without one the same user, item, kind and second, counts once: sending again does no harm."""

    user: Id
    item: Id
    event: EventKind = PURCHASE
    timestamp: datetime | None = Field(default=None, description="ISO 8601 or seconds since 1970; without a zone UTC; null: now")
    quantity: float | None = Field(default=None, gt=0)
    value: float | None = Field(default=None, ge=0, description="paid for the whole quantity")
    event_id: Id | None = Field(default=None, description="of this one event, as the sources have it; null: one is derived")


class EventsBody(Body):
    """All are stored, or none."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"events": [{"user": "123", "item": "sku-07", "event": PURCHASE, "quantity": 1, "value": 3.5}]}]}
    )

    events: list[EventBody] = Field(min_length=1, max_length=1_000)


class Answered(BaseModel):
    """In every answer. degraded: the ranking did not come in time, and the order is that of retrieval. stages: milliseconds."""

    bundle_id: str = Field(examples=[BUNDLE])
    degraded: bool = False
    stages: dict[str, float] = Field(examples=[STAGES])


class RecommendedItem(BaseModel):
    """See docs/json.md."""

    rank: int = Field(examples=[1])
    item_id: str = Field(examples=["sku-07"])
    title: str = Field(examples=["herbal infusion large"])
    category: str | None = Field(examples=["drinks|tea"])
    price: float | None = Field(examples=[3.25])
    probability: float | None = Field(examples=[0.31])
    reason: str = Field(examples=["bought 6 times, about every 12 days, last 13 days ago"])
    contributions: dict[str, float] | None = None


class Recommended(Answered):
    """A list, best first."""

    user_id: str | None = Field(examples=["123"])
    fallback: str | None = Field(description="why it is not a personal list, if it is not")
    items: list[RecommendedItem]


class MatchedItem(BaseModel):
    """See docs/json.md."""

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
    """new: not there before. unknown_items: ids that the bundle's catalogue lacks; they count once a refresh has brought them."""

    accepted: int = Field(examples=[1])
    new: int = Field(examples=[1])
    unknown_items: list[str] = Field(examples=[[]])


class ErasedUser(Answered):
    """What was removed; models are those that were trained with the user, and are to be trained again."""

    events: int
    rows: int
    bundles: int
    models: int


class Problem(BaseModel):
    """RFC 9457. detail: what was found, what was expected, what to do next."""

    type: str = "about:blank"
    title: str = Field(examples=["Unprocessable Content"])
    status: int = Field(examples=[422])
    detail: str = Field(examples=["k is 500, expected 1 to 100"])


PROBLEM: dict[str, Any] = {"content": {"application/problem+json": {"schema": Problem.model_json_schema()}}}
