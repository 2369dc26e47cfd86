"""Where a list is shown, and where a rule holds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from pydantic import BaseModel, ConfigDict

PageKind = Literal["home", "product", "basket", "category", "empty_search"]  # pages of a storefront
# `recommend` and `search` are the lists of those commands and routes.
Page = Literal["recommend", "search", PageKind]
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
PAGES: tuple[Page, ...] = get_args(Page)
PAGE_KINDS: tuple[PageKind, ...] = get_args(PageKind)
ROWS: tuple[RowName, ...] = get_args(RowName)


@dataclass(frozen=True)
class Place:
    """Where a list is shown.

    Attributes
    ----------
    page : one of `PAGES`.
    row : the row of the page, one of `ROWS`; None for a list that is no row.
    category : the category that the list is restricted to; None: it is not.
    query : what was searched for; None outside a search.
    """

    page: str = "recommend"
    row: str | None = None
    category: str | None = None
    query: str | None = None


class Where(BaseModel):
    """Where a rule holds; a key that is left out stands for every place.

    Attributes
    ----------
    pages, rows : names of pages and of their rows.
    categories : lists that are restricted to one of these, or to a category below it: a path from the top, its beginning, or one name.
    queries : searches for one of these texts; case and spaces do not matter.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    pages: tuple[Page, ...] = ()
    rows: tuple[RowName, ...] = ()
    categories: tuple[str, ...] = ()
    queries: tuple[str, ...] = ()

    def holds(self, place: Place) -> bool:
        """Return whether the rule holds there."""
        return (
            (not self.pages or place.page in self.pages)
            and (not self.rows or place.row in self.rows)
            and (not self.categories or (place.category is not None and any(_within(place.category, one) for one in self.categories)))
            and (not self.queries or (place.query is not None and _folded(place.query) in map(_folded, self.queries)))
        )

    def meets(self, other: Where) -> bool:
        """Return whether there may be a place where both hold."""
        return (
            _share(self.pages, other.pages)
            and _share(self.rows, other.rows)
            and _share(tuple(map(_folded, self.queries)), tuple(map(_folded, other.queries)))
            and (
                not (self.categories and other.categories)
                or any(_within(a, b) or _within(b, a) for a in self.categories for b in other.categories)
            )
        )

    def __str__(self) -> str:
        """Name the place for people."""
        parts = [", ".join(names) for names in (self.pages, self.rows, self.categories, self.queries) if names]
        return " / ".join(parts) or "every list"


def _share(a: tuple[str, ...], b: tuple[str, ...]) -> bool:
    return not a or not b or not set(a).isdisjoint(b)


def _folded(text: str) -> str:
    return " ".join(text.casefold().split())


def _within(category: str, wanted: str) -> bool:
    """Return whether a category is the wanted one or lies below it."""
    names, path = ([_folded(part) for part in text.split("|")] for text in (category, wanted))
    return names[: len(path)] == path or (len(path) == 1 and path[0] in names)
