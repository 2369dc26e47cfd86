"""Defines the bodies of searches and suggestions, as `recsys.service.schemas` those of other requests."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from recsys.apps.search.request import MAX_LENGTH, SearchOptions
from recsys.recommend.request import MAX_PER_GROUP
from recsys.service.schemas import Answered, Body, Id, Items, K, MatchedItem, Name, PerGroup

PREFIX_LENGTH = 200
MAX_SUGGESTIONS = 20
FilterKey = Annotated[str, StringConstraints(min_length=1, max_length=512)]
Prefix = Annotated[str, Field(max_length=PREFIX_LENGTH, description="what has been typed so far")]
Suggestions = Annotated[int, Field(ge=1, le=MAX_SUGGESTIONS, description="how many suggestions at most")]


class SearchBody(Body):
    """Searches the catalogue; for a known user in the user's own order of preference."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"text": "something warm to drink", "k": 5},
                {"text": "tea under 3 dollars", "user": "123", "in_stock": True, "ignore": ["max_price:3"], "explain": True},
            ]
        }
    )

    text: str = Field(min_length=1, max_length=MAX_LENGTH, pattern=r"\S", description="the query, as typed")
    user: Id | None = None
    k: K = 10
    category: Name | None = Field(default=None, description="a path, its beginning, or one of its names")
    brand: Name | None = None
    praised: Name | None = Field(default=None, description="an aspect that reviews praise the items for")
    min_price: float | None = Field(default=None, ge=0)
    max_price: float | None = Field(default=None, ge=0)
    in_stock: bool = False
    exclude: Items = Field(default=[])
    ignore: list[FilterKey] = Field(default=[], max_length=50, description="keys of filters that are not to be read from the words")
    verbatim: bool = Field(default=False, description="take the words as typed, without mended spelling")
    max_per_group: PerGroup = MAX_PER_GROUP
    explain: bool = Field(default=False, description="add what each feature contributed to the score")

    @property
    def options(self) -> SearchOptions:
        """The request as the search takes it."""
        lists = {"exclude": tuple(self.exclude), "ignore": tuple(self.ignore)}
        values: dict[str, Any] = self.model_dump(exclude={"text", "user"}) | lists
        return SearchOptions(**values)


class SuggestBody(Body):
    """Asks for completions of what has been typed so far."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"prefix": "gre", "n": 5}]})

    prefix: Prefix
    n: Suggestions = 8


class HitItem(MatchedItem):
    """One item that was found; docs/json.md describes the keys."""

    probability: float | None = Field(examples=[None])
    reason: str = Field(examples=["matches: herbal infusion"])
    contributions: dict[str, float] | None = None
    rule: str | None = Field(default=None, description="the rule of merchandising.toml that placed the item; absent where the ranking did")


class MendedWord(BaseModel):
    """A word that was read otherwise than it was typed."""

    typed: str = Field(examples=["infuson"])
    read: str = Field(examples=["infusion"])


class ReadFilter(BaseModel):
    """A condition that was read from the query's words; its `key` in `ignore` removes it."""

    key: str = Field(examples=["max_price:3"])
    label: str = Field(examples=["up to 3"])
    words: str = Field(examples=["under 3 dollars"])
    relaxed: bool = Field(examples=[False], description="it was dropped, because nothing that fits meets it")


class FacetValue(BaseModel):
    """One value of a facet, and how many fitting items have it."""

    value: str = Field(examples=["drinks|tea"])
    count: int = Field(examples=[12])


class Searched(Answered):
    """What was found, best first, and how the query was read."""

    query: str = Field(examples=["herbal infuson under 3 dollars"])
    user_id: str | None = Field(examples=["123"])
    read_as: str = Field(examples=["herbal infusion"])
    did_you_mean: str | None = Field(examples=[None])
    fallback: str | None = Field(description="why the list is not what was asked for; null if it is")
    items: list[HitItem]
    corrections: list[MendedWord]
    filters: list[ReadFilter]
    notes: list[str] = Field(examples=[["no item has the word 'xyz'"]], description="what else to know of how the query was read")
    facets: dict[str, list[FacetValue]]


class SuggestedText(BaseModel):
    """One completion."""

    text: str = Field(examples=["green tea"])
    kind: Literal["category", "brand", "item"]
    item_id: str | None = Field(examples=[None], description="of items of this title, the one that sells most; null for other kinds")


class Suggested(Answered):
    """Completions, likeliest first."""

    suggestions: list[SuggestedText]
