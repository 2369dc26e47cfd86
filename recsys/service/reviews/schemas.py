"""Defines the query parameters and answers about reviews; docs/json.md describes the keys."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from recsys.apps.reviews.request import ReviewsRequest
from recsys.service.schemas import Answered, Id, Name


class ReviewsQuery(BaseModel):
    """Asks for the reviews of one item, brand or category, or of the whole shop."""

    model_config = ConfigDict(extra="forbid")

    item: Id | None = None
    brand: Name | None = None
    category: Name | None = Field(default=None, description="a path, its beginning, or one of its names")
    aspect: Name | None = Field(default=None, description="only this one")

    @property
    def request(self) -> ReviewsRequest:
        """The request as the reader takes it; raises DataError if it names more than one."""
        return ReviewsRequest(self.item, self.brand, self.category, self.aspect)


class QuotedSentence(BaseModel):
    """A sentence of a review, word for word."""

    text: str = Field(examples=["The zip broke after a week."])
    sentiment: str = Field(examples=["negative"])
    item_id: str = Field(examples=["sku-07"])
    row: int = Field(examples=[1204], description="of the review in the shop's file")
    date: str | None = Field(examples=["2026-10-02"])


class AspectRow(BaseModel):
    """What reviews say of one aspect."""

    aspect: str = Field(examples=["quality"])
    mentions: int = Field(examples=[42])
    positive: float = Field(examples=[0.62])
    negative: float = Field(examples=[0.31])
    recent: float | None = Field(examples=[0.4], description="positive share of the last 90 days")
    before: float | None = Field(examples=[0.7], description="positive share of the 365 days before them")
    trend: str | None = Field(examples=["falling"])
    quotes: list[QuotedSentence]


class ReviewedPart(BaseModel):
    """Figures of the reviews of an item, a brand, a category or the shop."""

    level: str = Field(examples=["item"])
    name: str = Field(examples=["sku-07"])
    title: str = Field(examples=["Rain jacket"])
    reviews: int = Field(examples=[120])
    left_out: dict[str, int]
    unread: int = Field(examples=[2])
    rating: float | None = Field(examples=[4.1])
    positive: float | None = Field(examples=[0.8])
    neutral: float | None = Field(examples=[0.08])
    negative: float | None = Field(examples=[0.12])
    aspects: list[AspectRow]


class Reviewed(Answered, ReviewedPart):
    """The figures asked for, and the parts that are most complained of."""

    parts: list[ReviewedPart]


class RaisedAlert(BaseModel):
    """A surge of complaints that has not ended."""

    level: str = Field(examples=["item"])
    name: str = Field(examples=["sku-07"])
    title: str = Field(examples=["Rain jacket"])
    aspect: str | None = Field(examples=["quality"])
    event: str = Field(examples=["raised"])
    began: str = Field(examples=["2026-11-02"])
    raised: str = Field(examples=["2026-11-04"])
    ended: str | None = Field(examples=[None])
    share_before: float = Field(examples=[0.1])
    share_now: float = Field(examples=[0.35])
    negatives: int = Field(examples=[14])
    reviews: int = Field(examples=[40])
    severity: int = Field(examples=[1])
    few_authors: bool = Field(examples=[False])
    sentence: str
    quotes: list[QuotedSentence]


class RaisedAlerts(Answered):
    """Surges of complaints, the latest first."""

    alerts: list[RaisedAlert]
