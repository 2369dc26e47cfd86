"""Options of a search."""

from __future__ import annotations

from dataclasses import dataclass

from features.errors import DataError
from recsys.recommend.request import MAX_PER_GROUP

MAX_LENGTH = 1_000  # characters of a query; more is not typed by a customer


@dataclass(frozen=True)
class SearchOptions:
    """Filters and length of a list of hits. Query and user travel beside it: one call may answer many queries.

    Attributes
    ----------
    k : list length.
    category, brand, praised, min_price, max_price, in_stock, exclude : what the list may hold; prices in the shop's currency; `praised`
        is an aspect that reviews praise the items for. They are never relaxed, as filters that were read from the query's words may be.
    ignore : keys of filters (`AppliedFilter.key`) that are not to be read from the query's words: the customer has removed them.
    verbatim : take the query as typed, without mended spelling.
    max_per_group : how many variants of a product (`group_id`) a list may hold.
    explain : with what each feature added to the score.
    """

    k: int = 10
    category: str | None = None
    brand: str | None = None
    praised: str | None = None
    min_price: float | None = None
    max_price: float | None = None
    in_stock: bool = False
    exclude: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    verbatim: bool = False
    max_per_group: int = MAX_PER_GROUP
    explain: bool = False

    @property
    def narrowed(self) -> bool:
        """Whether the options say what the list may hold."""
        bounds = (self.min_price, self.max_price)
        return any((self.category, self.brand, self.praised, self.in_stock)) or any(bound is not None for bound in bounds)


def checked_text(text: str) -> str:
    """Return the text of a query as it is.

    Raises
    ------
    DataError: it is empty, or longer than a customer types.
    """
    if not text.strip():
        raise DataError("the text is empty: say what to look for")
    if len(text) > MAX_LENGTH:
        raise DataError(f"the text has {len(text):,} characters, expected at most {MAX_LENGTH:,}: shorten it")
    return text
