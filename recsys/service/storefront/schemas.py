"""Defines the bodies of pages, as `recsys.service.schemas` those of other requests."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from ranking.merchandising.place import PageKind, RowName  # noqa: TC001  pydantic reads them
from recsys.apps.storefront.request import MAX_ROWS, PageRequest, RowRequest
from recsys.service.schemas import Answered, Body, Id, Items, K, Name

Cursor = Annotated[str, Field(min_length=1, max_length=100_000, description="of the row, from an answer")]


class RowBody(Body):
    """One row and how many items it shows."""

    name: RowName
    k: Annotated[int | None, Field(ge=1, description="how many items, at most `serve.max_k`; null: `storefront.k`")] = None


class PageBody(Body):
    """Asks for a page: named rows without a product twice."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"page": "home", "user": "123"},
                {"page": "product", "item": "sku-07", "rows": [{"name": "bought_together", "k": 4}, {"name": "alternatives", "k": 4}]},
            ]
        }
    )

    page: PageKind
    user: Id | None = None
    basket: Items = Field(default=[], description="item ids, oldest first")
    item: Id | None = Field(default=None, description="of a product page")
    category: Name | None = Field(default=None, description="of a category page: a path, its beginning, or one of its names")
    viewed: Items = Field(default=[], description="items that the visitor looked at, oldest first")
    rows: list[RowBody] = Field(default=[], max_length=MAX_ROWS, description="from top to bottom; empty: the rows of the settings")
    in_stock: bool = True
    max_price: float | None = Field(default=None, ge=0)
    place: Name | None = Field(default=None, description="where the visitor is; null: what the table of customers says")
    session: Name | None = Field(default=None, description="names the visit, for experiments and impressions")
    context: str = Field(default="", max_length=64, description="such as a device; stored with the impressions")

    @property
    def asked(self) -> PageRequest:
        """The request as the storefront takes it."""
        rows = tuple(RowRequest(row.name, row.k) for row in self.rows)
        return PageRequest(
            self.page,
            self.user,
            tuple(self.basket),
            self.item,
            self.category,
            tuple(self.viewed),
            rows,
            in_stock=self.in_stock,
            max_price=self.max_price,
            place=self.place,
            session=self.session,
            context=self.context,
        )


class TurnBody(Body):
    """Asks for the items that follow in a row."""

    cursor: Cursor
    k: K = 10


class PlacedItem(BaseModel):
    """One item of a row."""

    position: int = Field(examples=[1])
    item_id: str = Field(examples=["sku-07"])
    title: str = Field(examples=["Green tea"])
    category: str | None = Field(examples=["drinks|tea"])
    price: float | None = Field(examples=[4.5])
    score: float = Field(examples=[0.041])
    probability: float | None = Field(examples=[0.041])
    reason: str = Field(examples=["usually every 21 days, last 24 days ago"])
    propensity: float = Field(examples=[1.0])
    rule: str | None = Field(examples=[None])


class PageRow(BaseModel):
    """One row of a page."""

    name: str = Field(examples=["buy_again"])
    title: str = Field(examples=["Buy again"])
    impression_id: str = Field(examples=["f9d3c1a2b4e54f0f8c6f1a2b3c4d5e6f"])
    retriever: str = Field(examples=["own purchases that are due, by the gaps between them"])
    items: list[PlacedItem]
    more: int = Field(examples=[12], description="how many items follow when the row is turned over")
    gone: int = Field(examples=[0], description="how many items of this part may not be shown any more")
    cursor: str | None = Field(examples=[None], description="for POST /v1/page/turn; null where nothing follows")


class Paged(Answered):
    """A page for one visitor."""

    page: str = Field(examples=["home"])
    user_id: str | None = Field(examples=["123"])
    page_id: str = Field(examples=["0b8f2b7a3a5f4d7a9d1e6c0c4b2a1f3e"])
    rows: list[PageRow]
    left_out: dict[str, str] = Field(examples=[{"recently_viewed": "no view of the visitor is known"}])
    notes: list[str] = Field(examples=[[]])


class Turned(Answered):
    """A row that was turned over."""

    row: PageRow
