"""The tables that a shop may bring beside its catalogue and its log."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from features.data.campaigns import CAMPAIGN_COLUMNS
from features.data.customers import CUSTOMER_COLUMNS
from features.data.help_pages import HELP_COLUMNS
from features.data.queries import QUERY_COLUMNS
from features.data.reviews import REVIEW_COLUMNS
from features.names import ANSWER, ATTRIBUTES, CAMPAIGN_ID, ITEM_ID, QUERY, QUESTION, ROW, SENT_AT, STARS, TEXT, TIMESTAMP, USER_ID

if TYPE_CHECKING:
    from collections.abc import Mapping

    import polars as pl


OptionalName = Literal["queries", "reviews", "help_pages", "customers", "campaigns"]
Table = Literal["items", "interactions", OptionalName]


@dataclass(frozen=True)
class OptionalTable:
    """One of them.

    Attributes
    ----------
    name : key of the source, and name in the quarantine.
    title : what messages call it, after "the".
    columns : canonical columns as they are stored.
    required : columns that its file must have.
    either : columns of which its file must have one.
    made : columns that are stored and not read by their names.
    """

    name: OptionalName
    title: str
    columns: Mapping[str, pl.DataType] = field(repr=False)
    required: tuple[str, ...]
    either: tuple[str, ...] = ()
    made: tuple[str, ...] = (ROW,)

    @property
    def file(self) -> str:
        """Name of the file that it is stored in."""
        return f"{self.name}.parquet"

    @property
    def of_users(self) -> bool:
        """Whether its rows are of users, whom an erasure removes."""
        return USER_ID in self.columns

    @property
    def of_items(self) -> bool:
        """Whether its rows are of items."""
        return ITEM_ID in self.columns

    @property
    def inputs(self) -> tuple[str, ...]:
        """The columns that its file may have."""
        return tuple(name for name in self.columns if name not in self.made)


QUERIES = OptionalTable("queries", "search log", QUERY_COLUMNS, (QUERY, TIMESTAMP))
REVIEWS = OptionalTable("reviews", "table of reviews", REVIEW_COLUMNS, (ITEM_ID,), (TEXT, STARS))
HELP = OptionalTable("help_pages", "table of help pages", HELP_COLUMNS, (QUESTION, ANSWER))
CUSTOMERS = OptionalTable("customers", "table of customers", CUSTOMER_COLUMNS, (USER_ID,), made=(ATTRIBUTES,))
CAMPAIGNS = OptionalTable("campaigns", "table of campaigns", CAMPAIGN_COLUMNS, (CAMPAIGN_ID, USER_ID, SENT_AT))
OPTIONAL: dict[OptionalName, OptionalTable] = {one.name: one for one in (QUERIES, REVIEWS, HELP, CUSTOMERS, CAMPAIGNS)}
FILES = ("items", "interactions", *OPTIONAL)  # keys of a source that name its files
