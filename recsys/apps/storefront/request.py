"""What a page of the storefront is asked for with."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from features.errors import DataError

if TYPE_CHECKING:
    from ranking.merchandising.place import PageKind, RowName
    from recsys.settings.apps.storefront import StorefrontConfig

MAX_ROWS = 20


@dataclass(frozen=True)
class RowRequest:
    """One row and how many items it shows; k None: as the settings say."""

    name: RowName
    k: int | None = None


@dataclass(frozen=True)
class PageRequest:
    """A page for one visitor.

    Attributes
    ----------
    page : kind of the page.
    user : external id; None is an unknown visitor.
    basket : items in the basket, oldest first.
    item : the item of a product page.
    category : the category of a category page: a path, its beginning, or one of its names.
    viewed : items that the visitor looked at, oldest first; what the log knows of a user comes before them.
    rows : from top to bottom; empty: those that the settings give the page.
    in_stock, max_price : what may be shown, prices in the shop's currency.
    place : where the visitor is; None: what the table of customers says.
    session : names the visit, for experiments and impressions.
    context : what a reward model may distinguish, in a few values, such as a device; it is stored with the impressions.
    """

    page: PageKind
    user: str | None = None
    basket: tuple[str, ...] = ()
    item: str | None = None
    category: str | None = None
    viewed: tuple[str, ...] = ()
    rows: tuple[RowRequest, ...] = ()
    in_stock: bool = True
    max_price: float | None = None
    place: str | None = None
    session: str | None = None
    context: str = ""

    def layout(self, config: StorefrontConfig) -> list[tuple[RowName, int]]:
        """Return the rows and how many items each shows.

        Raises
        ------
        DataError
            Too many rows, a row twice, or a page without the item or category that it is about.
        """
        if len(self.rows) > MAX_ROWS:
            raise DataError(f"{len(self.rows):,} rows are asked for, expected {MAX_ROWS} at most: ask for fewer")
        name, count = Counter(row.name for row in self.rows).most_common(1)[0] if self.rows else ("", 0)
        if count > 1:
            raise DataError(f"the row {name!r} is asked for {count} times, expected each row once: leave out the others")
        for page, value in (("product", self.item), ("category", self.category)):
            if self.page == page and value is None:
                about = "item" if page == "product" else "category"
                raise DataError(f"a {page} page needs its {about}, found none: give the key {about!r}")
        return [(row.name, row.k or config.k) for row in self.rows] or [(row, config.k) for row in config.rows_of(self.page)]


@dataclass(frozen=True)
class RowTurn:
    """Asks for the items that follow in a row of a page.

    Attributes
    ----------
    request : of the page.
    items : external ids of what follows, as the page gave them.
    after : the last position that was shown.
    k : how many are shown now.
    """

    request: PageRequest
    row: RowName
    items: tuple[str, ...]
    after: int
    k: int
