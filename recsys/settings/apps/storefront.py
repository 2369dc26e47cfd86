"""Configuration of the pages of a storefront."""

from __future__ import annotations

from typing import Literal, get_args

from pydantic import BaseModel, ConfigDict, Field

PageKind = Literal["home", "product", "basket", "category", "empty_search"]
RowName = Literal[
    "for_you",
    "buy_again",
    "bought_together",
    "alternatives",
    "because_you_bought",
    "recently_viewed",
    "trending",
    "trending_here",
    "new_arrivals",
    "popular",
]
PAGE_KINDS: tuple[PageKind, ...] = get_args(PageKind)
ROW_NAMES: tuple[RowName, ...] = get_args(RowName)


class StorefrontConfig(BaseModel):
    """The section [storefront].

    Attributes
    ----------
    home, product, basket, category, empty_search : the rows of each kind of page, from top to bottom.
    k : items of a row, where a request names no number.
    depth : how many items a row can be turned over to.
    category_share : the largest share of a page's places that one category may take while others have something to show; not on the page of
        a category, and not for alternatives.
    titles : other titles of rows, by name.
    place : attribute of the table of customers that says where they live, for the row trending_here.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    home: tuple[RowName, ...] = ("for_you", "buy_again", "because_you_bought", "recently_viewed", "trending", "new_arrivals", "popular")
    product: tuple[RowName, ...] = ("bought_together", "alternatives", "recently_viewed", "for_you")
    basket: tuple[RowName, ...] = ("bought_together", "buy_again", "for_you", "popular")
    category: tuple[RowName, ...] = ("for_you", "trending", "new_arrivals", "popular")
    empty_search: tuple[RowName, ...] = ("for_you", "recently_viewed", "trending", "popular")
    k: int = Field(default=10, ge=1, le=100)
    depth: int = Field(default=60, ge=1, le=500)
    category_share: float = Field(default=0.4, gt=0, le=1)
    titles: dict[RowName, str] = {}
    place: str | None = None

    def rows_of(self, page: PageKind) -> tuple[RowName, ...]:
        """Return the rows of a kind of page."""
        rows: tuple[RowName, ...] = getattr(self, page)
        return rows
