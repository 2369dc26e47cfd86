"""Configuration of the pages of a storefront."""

from __future__ import annotations

from collections import Counter
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from ranking.merchandising.place import PageKind, RowName


def _each_once(rows: tuple[RowName, ...]) -> tuple[RowName, ...]:
    name, count = Counter(rows).most_common(1)[0] if rows else ("", 0)
    if not rows:
        raise ValueError("expected at least one row")
    if count > 1:
        raise ValueError(f"found {name!r} {count} times, expected each row once: leave out the others")
    return rows


Rows = Annotated[tuple[RowName, ...], AfterValidator(_each_once)]  # of a page, from top to bottom


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
    diversity : within a row: 0 keeps its order, 1 wants the items as different as possible.
    exploration : share of the showings of a row whose lower places are drawn by chance; rows that a rule arranges are not drawn.
    merchandising : whether the rules of merchandising.toml arrange the rows.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    home: Rows = ("for_you", "buy_again", "because_you_bought", "recently_viewed", "trending", "new_arrivals", "popular")
    product: Rows = ("bought_together", "alternatives", "recently_viewed", "for_you")
    basket: Rows = ("bought_together", "buy_again", "for_you", "popular")
    category: Rows = ("for_you", "trending", "new_arrivals", "popular")
    empty_search: Rows = ("for_you", "recently_viewed", "trending", "popular")
    k: int = Field(default=10, ge=1, le=100)
    depth: int = Field(default=60, ge=1, le=500)
    category_share: float = Field(default=0.4, gt=0, le=1)
    titles: dict[RowName, str] = {}
    place: str | None = None
    diversity: float = Field(default=0.0, ge=0, le=1)
    exploration: float = Field(default=0.0, ge=0, le=1)
    merchandising: bool = True

    def rows_of(self, page: PageKind) -> tuple[RowName, ...]:
        """Return the rows of a kind of page."""
        rows: tuple[RowName, ...] = getattr(self, page)
        return rows
