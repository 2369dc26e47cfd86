"""The data profile of an ingest: how each column was understood, and what the tables hold as a whole."""

from __future__ import annotations

from datetime import datetime
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict

from features.ingest.optional_tables import FILES, OPTIONAL, Table
from features.ingest.profile.optional_facts import CampaignFacts, CustomerFacts, HelpFacts, ReviewFacts, SearchFacts
from features.ingest.profile.value_forms import shape
from features.names import CURRENCY, EVENT, ITEM_ID, STATUS

EXACT = 100_000  # rows, up to which distinct values are counted and not estimated
Reading = Literal["our name", "our name in another spelling", "mapped", "by the format", "not read"]
# Columns of the logs whose values are words of the shop and not of a person.
_OF_THE_SHOP = {ITEM_ID, EVENT, STATUS, CURRENCY}


class _Facts(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ColumnProfile(_Facts):
    """One column of a file.

    Attributes
    ----------
    name : the name in the file.
    ours : canonical columns that it is read as; a column of the catalogue that is read from the log begins with `items.`.
    reading : why it is read, or that it is not.
    looks_like : of a column that is not read, the canonical column that it may be.
    understood : the type of its values in words.
    examples : up to three values, shortened, control characters escaped.
    missing : share of rows without a value: of all rows if the column is read, else of the first 1,000.
    placeholders : share of rows with a word that stands for no value ("N/A", "unknown"); of the log's first 1,000 rows, of all items.
    distinct : number of distinct values, approximate where the table is large; of the first 1,000 rows if the column is not read.
    """

    name: str
    ours: tuple[str, ...] = ()
    reading: Reading
    looks_like: str | None = None
    understood: str
    examples: tuple[str, ...] = ()
    missing: float
    placeholders: float
    distinct: int


class TableProfile(_Facts):
    """One table of the source.

    Attributes
    ----------
    file : name of the file, or what stands in its place: a query, a data set, or the log where the catalogue is taken from it.
    format : the software that exported the file.
    encoding, separator : of a text file and of a csv; None for others.
    read, kept : numbers of rows.
    quarantined : reason -> number of rows.
    """

    table: Table
    file: str
    format: str
    encoding: str | None = None
    separator: str | None = None
    read: int
    kept: int
    quarantined: dict[str, int] = {}
    columns: tuple[ColumnProfile, ...] = ()

    @property
    def by_ours(self) -> dict[str, ColumnProfile]:
        """`<table>.<canonical name>` -> the first column of the file that is read as it."""
        found: dict[str, ColumnProfile] = {}
        for column in self.columns:
            for ours in column.ours:
                found.setdefault(ours if "." in ours else f"{self.table}.{ours}", column)
        return found

    @property
    def not_read(self) -> list[ColumnProfile]:
        """Columns that are not read, first those that look like one of ours."""
        return sorted((column for column in self.columns if column.reading == "not read"), key=lambda column: column.looks_like is None)


class TextFacts(_Facts):
    """A text column of the catalogue: shares of texts with letters beyond ASCII, and with marks of a wrong encoding."""

    beyond_ascii: float
    damaged: float


class CatalogueFacts(_Facts):
    """Facts of the items that were kept.

    Attributes
    ----------
    available : share of items that can be bought; None without such a column.
    texts : text column -> facts.
    currency : the currency of nine prices in ten, where it is given.
    median_price : of the items with a price; None without any.
    id_forms : form of an id (letters as a, capitals as A, digits as 9, runs as one) -> share of the items, most frequent first.
    """

    available: float | None = None
    texts: dict[str, TextFacts] = {}
    currency: str | None = None
    median_price: float | None = None
    id_forms: dict[str, float] = {}


class DominantId(_Facts):
    """A user or an item with a fifth of all events."""

    column: Literal["user_id", "item_id"]
    value: str
    share: float


class LogFacts(_Facts):
    """Facts of the events that were kept.

    Attributes
    ----------
    first, last : times of the first and the last event, UTC.
    early : time before which one event in a hundred lies: the beginning without single odd dates.
    users, items : numbers of distinct ids.
    events : kind of event -> number of events.
    words : word in the file for an event -> number of rows, most frequent first; empty without such a column.
    times : what the times are taken for: times, dates, steps or visits.
    times_why : the same in one sentence, with the figures that decided.
    """

    first: datetime
    last: datetime
    early: datetime
    events_a_day: float
    users: int
    items: int
    events: dict[str, int]
    words: dict[str, int] = {}
    times: str
    times_why: str
    dominant: tuple[DominantId, ...] = ()
    currency: str | None = None
    user_id_forms: dict[str, float] = {}


class DataProfile(_Facts):
    """What an ingest read, and how it understood it.

    Attributes
    ----------
    notes : what was guessed, mended or left out; not stored, because a note may name a user.
    queries, search : of the search log; None where the shop has none.
    reviews, opinions : of the reviews; None where the shop has none.
    help_pages, help : of the help pages; None where the shop has none.
    customers, audience : of the table of customers; None where the shop has none.
    campaigns, mailings : of the campaigns; None where the shop has none.
    """

    items: TableProfile
    interactions: TableProfile
    catalogue: CatalogueFacts
    log: LogFacts
    notes: tuple[str, ...] = ()
    queries: TableProfile | None = None
    search: SearchFacts | None = None
    reviews: TableProfile | None = None
    opinions: ReviewFacts | None = None
    help_pages: TableProfile | None = None
    help: HelpFacts | None = None
    customers: TableProfile | None = None
    audience: CustomerFacts | None = None
    campaigns: TableProfile | None = None
    mailings: CampaignFacts | None = None

    @property
    def tables(self) -> tuple[TableProfile, ...]:
        return tuple(table for name in FILES if (table := getattr(self, name)) is not None)

    def without_personal_data(self) -> Self:
        """Return the profile as it is stored: of the logs' values only those that are words of the shop, of the others their form.

        An erasure could not find a user's values in it, so they are never in it.
        """
        dominant = tuple(_masked_id(one) for one in self.log.dominant)
        return self.model_copy(
            update={
                "interactions": _masked_table(self.interactions),
                **{
                    name: _masked_table(table)
                    for name, one in OPTIONAL.items()
                    if one.of_users and (table := getattr(self, name)) is not None
                },
                "log": self.log.model_copy(update={"dominant": dominant}),
                "notes": (),
            }
        )


def _masked_table(table: TableProfile) -> TableProfile:
    return table.model_copy(update={"columns": tuple(_masked(column) for column in table.columns)})


def _masked(column: ColumnProfile) -> ColumnProfile:
    if (column.ours and set(column.ours) <= _OF_THE_SHOP) or any(ours.startswith("items.") for ours in column.ours):
        return column
    return column.model_copy(update={"examples": tuple(dict.fromkeys(shape(value) for value in column.examples))})


def _masked_id(one: DominantId) -> DominantId:
    return one if one.column == ITEM_ID else one.model_copy(update={"value": shape(one.value)})
