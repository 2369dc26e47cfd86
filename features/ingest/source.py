"""The source of a shop's tables, and the names of its columns."""

from __future__ import annotations

import codecs
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self
from urllib.parse import urlsplit

import polars as pl
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from features.data.catalog import ITEM_COLUMNS
from features.data.interactions import EVENTS
from features.data.log.rows import INTERACTION_COLUMNS
from features.errors import one_line
from features.ingest.optional_tables import FILES, OPTIONAL
from features.names import CURRENCY, GROUP_TITLE, ORDER_ID, SEARCH_EVENTS, STARS, STATUS, UNIT_PRICE
from features.text.closest import did_you_mean, plain_name

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from features.ingest.optional_tables import OptionalName

# The columns that a table may bring.
ITEM_INPUTS = (*ITEM_COLUMNS, CURRENCY, GROUP_TITLE)
LOG_INPUTS = (*INTERACTION_COLUMNS, UNIT_PRICE, CURRENCY, ORDER_ID, STATUS, STARS)
PHONE_REGIONS = ("US", "GB", "DE", "FR", "ES", "IT", "NL", "PL", "CN", "JP")


class Source(BaseModel):
    """The source that `recsys ingest` reads: a data set by name, a shop's files, or its database.

    Attributes
    ----------
    dataset : name of a public data set, instead of files.
    sql : queries of a database, instead of the files of the same names.
    items, interactions : the files. Without `items` the catalogue is taken from the log's rows (`items_columns` names its columns).
    queries, reviews, help_pages, customers, campaigns : the search log, what customers say of items, questions with their answers,
        who may be written to, and what was sent to whom; optional. Help pages may also be a folder of Markdown files.
    format : the software that exported the files (`features.ingest.formats`); None recognises it by the header, table by table.
    encoding : encoding of text files that are not UTF-8; None recognises it.
    items_columns, interactions_columns, queries_columns, reviews_columns, help_pages_columns, customers_columns, campaigns_columns :
        canonical name -> name in the shop's table.
    customers_attributes : names of columns of the table of customers, such as age, that are kept as they are. No other column is.
    events, queries_events : the shop's word for an event of the log, or of the search log -> the canonical one.
    statuses : the shop's word for the state of an order -> paid, cancelled, refunded, failed or pending; only the first one counts.
    variants : whether each variant of a product is an item, or the product is one item (`group_id` says which are one product).
    store_view : Magento's store view whose texts and prices complete those of the default view.
    drop_items : regular expression (Rust syntax). Items whose id matches are not products (postage, fees); their rows are quarantined.
    drop_users : ids of users that are no customers (bots, tests, resellers); their rows are quarantined.
    guests : user ids that stand for everybody without an account. Each of their orders counts as a visitor of its own.
    memory : GiB that an ingest, and the log when it is loaded, may take: a log that needs more is stored in partitions by user.
    min_rating : ratings below this count as dislikes; None takes the middle of the scale (3 of 5 stars).
    timestamp_format, created_at_format, queries_timestamp_format, reviews_timestamp_format, campaigns_timestamp_format : strptime format
        of the times of log, catalogue, search log, reviews and campaigns, or a unit: "unix days", "spreadsheet days", "seconds",
        "milliseconds", "microseconds", "nanoseconds". None: the column as a whole tells.
    reviews_scale : the lowest and the highest rating of the reviews' scale. None: the column as a whole tells.
    reviews_phone_regions : countries (ISO 3166) whose phone numbers are masked in reviews where they have no country code.
    decimal : the sign before decimals, in columns that do not tell.
    currency : currency of the prices to read; those in others are unknown. None: the most frequent one.
    availability : the shop's word for availability -> whether the item can be bought.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    dataset: Literal["completejourney"] | None = None
    sql: SqlSource | None = None
    items: Path | None = None
    interactions: Path | None = None
    queries: Path | None = None
    reviews: Path | None = None
    help_pages: Path | None = None
    customers: Path | None = None
    campaigns: Path | None = None
    format: Literal["canonical", "amazon", "shopify", "woocommerce", "magento", "google-merchant", "google-analytics"] | None = None
    encoding: str | None = None
    items_columns: dict[str, str] = {}
    interactions_columns: dict[str, str] = {}
    queries_columns: dict[str, str] = {}
    reviews_columns: dict[str, str] = {}
    help_pages_columns: dict[str, str] = {}
    customers_columns: dict[str, str] = {}
    customers_attributes: tuple[str, ...] = ()
    campaigns_columns: dict[str, str] = {}
    events: dict[str, str] = {}
    queries_events: dict[str, str] = {}
    statuses: dict[str, Literal["paid", "cancelled", "refunded", "failed", "pending"]] = {}
    variants: Literal["items", "one"] = "items"
    store_view: str | None = None
    drop_items: str | None = None
    drop_users: tuple[str, ...] = ()
    guests: tuple[str, ...] = ()
    timestamp_format: str | None = None
    created_at_format: str | None = None
    queries_timestamp_format: str | None = None
    reviews_timestamp_format: str | None = None
    campaigns_timestamp_format: str | None = None
    reviews_scale: tuple[float, float] | None = None
    reviews_phone_regions: tuple[str, ...] = PHONE_REGIONS
    decimal: Literal[".", ","] | None = None
    currency: str | None = Field(default=None, pattern="^[A-Z]{3}$")
    availability: dict[str, bool] = {}
    min_rating: float | None = None
    memory: float = Field(default=4.0, ge=0.25, le=1024)

    @model_validator(mode="after")
    def _check(self) -> Self:
        if sum(log is not None for log in (self.dataset, self.sql, self.interactions)) != 1:
            raise ValueError("give exactly one of these: a dataset, an interactions file, or queries in source.sql")
        if self.sql is not None and (self.format not in (None, "canonical") or (self.sql.items is not None and self.items is not None)):
            raise ValueError("queries give canonical columns, and items come from a query or a file: omit format and one of the two items")
        if self.dataset is not None and (self.items_columns or self.interactions_columns):
            raise ValueError("a dataset has fixed columns: omit items_columns and interactions_columns")
        if self.dataset is not None and self.items is not None:
            raise ValueError("a dataset has its own items: omit `items`")
        for name in OPTIONAL:
            self._check_optional(name)
        _check_events("queries_events", self.queries_events, SEARCH_EVENTS)
        if self.format == "amazon" and self.items is None and self.dataset is None:
            raise ValueError("the amazon format needs the metadata file as items")
        self._check_names()
        return self

    def _check_optional(self, name: OptionalName) -> None:
        of_sql, of_file = self.sql is not None and getattr(self.sql, name) is not None, getattr(self, name) is not None
        if of_sql and of_file:
            raise ValueError(f"the {OPTIONAL[name].title} comes from a query or a file: omit one of the two {name}")
        fields = type(self).model_fields
        given = [key for key in fields if key.startswith(f"{name}_") and getattr(self, key) != fields[key].default]
        if given and not of_sql and not of_file:
            raise ValueError(f"{given[0]} says how to read a {OPTIONAL[name].title}, and there is none: name its file as {name}")

    def _check_names(self) -> None:
        tables = (
            (self.items_columns, list(ITEM_INPUTS)),
            (self.interactions_columns, list(LOG_INPUTS)),
            *((getattr(self, f"{name}_columns"), list(one.inputs)) for name, one in OPTIONAL.items()),
        )
        for mapping, known in tables:
            unknown = sorted(set(mapping) - set(known))
            if unknown:
                turned = mapping[unknown[0]] in known and plain_name(mapping[unknown[0]]) != plain_name(unknown[0])
                what = did_you_mean(unknown[0], known) or f", ours are {', '.join(known)};"
                if turned:
                    what = f', turn it round, {mapping[unknown[0]]} = "{unknown[0]}":'
                raise ValueError(f"unknown column {unknown[0]!r}{what} a mapping goes from our name to yours")
        if {"value", UNIT_PRICE} <= set(self.interactions_columns):
            raise ValueError("value and unit_price give the same fact twice: map one of them")
        _check_events("events", self.events, EVENTS)
        if odd := [region for region in self.reviews_phone_regions if not re.fullmatch("[A-Z]{2}", region)]:
            raise ValueError(f'reviews_phone_regions has {odd[0]!r}, expected countries as in ISO 3166, such as "DE"')
        if self.reviews_scale is not None and not self.reviews_scale[0] < self.reviews_scale[1]:
            raise ValueError(f"reviews_scale is {list(self.reviews_scale)}, expected the lowest and the highest rating, such as [1, 10]")
        try:
            codecs.lookup(self.encoding or "utf-8")
        except LookupError:
            raise ValueError(f"unknown encoding {self.encoding!r}; examples: utf-8, cp1252, latin-1, utf-16") from None
        try:
            pl.Series([""]).str.contains(self.drop_items or "")
        except pl.exceptions.ComputeError as error:
            raise ValueError(f"drop_items is not a regular expression: {one_line(error)}") from None

    def absolute(self) -> Source:
        """Return the source with absolute paths, so that it can be read again from any folder."""
        paths = {name: path.resolve() for name in FILES if (path := getattr(self, name)) is not None}
        return self.model_copy(update=paths | ({} if self.sql is None else {"sql": self.sql.absolute()}))

    def record(self) -> dict[str, Any]:
        """Return the keys that were given, as JSON holds them: a format has defaults of its own for the others."""
        return self.model_dump(mode="json", exclude_unset=True)

    @classmethod
    def of_record(cls, record: Mapping[str, Any]) -> Self:
        """Return the source of a `record`. Raises ValidationError, a ValueError, if it is none.

        Earlier versions of this program recorded every key. Such a record names all three sources of a log, of which only one can be
        given; what has the default in it counts as left open.
        """
        source = cls.model_validate(record)
        return (
            cls.model_validate(source.model_dump(exclude_defaults=True)) if {"dataset", "sql", "interactions"} <= record.keys() else source
        )


def _check_events(key: str, words: Mapping[str, str], known: Sequence[str]) -> None:
    wrong = sorted(set(words.values()) - set(known))
    if wrong:
        raise ValueError(f"{key} maps to {wrong}; a mapping goes from your word to one of our events, which are {', '.join(known)}")


SQLITE, POSTGRESQL = "sqlite:///", ("postgresql", "postgres")


class SqlSource(BaseModel):
    """A shop's tables as queries of a database.

    Attributes
    ----------
    uri : sqlite:///PATH or postgresql://USER@HOST:PORT/NAME, without a password: libpq takes it from PGPASSWORD or ~/.pgpass.
    interactions, items : queries that give the tables. Without `items` the catalogue comes from `Source.items` or the log's rows.
    queries, reviews, help_pages, customers, campaigns : queries that give the optional tables.
    watermark : column of the log's query that only ever grows (a serial number, the time of insertion); a refresh queries no
        older rows.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    uri: str
    interactions: str
    items: str | None = None
    queries: str | None = None
    reviews: str | None = None
    help_pages: str | None = None
    customers: str | None = None
    campaigns: str | None = None
    watermark: str | None = None

    @field_validator("uri")
    @classmethod
    def _known(cls, uri: str) -> str:
        parts = urlsplit(uri)
        if not (uri.startswith(SQLITE) and len(uri) > len(SQLITE)) and parts.scheme not in POSTGRESQL:
            raise ValueError("the uri names no supported database: expected sqlite:///PATH or postgresql://USER@HOST/NAME")
        if parts.password or "password=" in parts.query:
            raise ValueError("the uri holds a password, which would be stored: remove it, and set PGPASSWORD or use ~/.pgpass")
        return uri

    @property
    def sqlite(self) -> Path | None:
        """Path of the SQLite file; None for another database."""
        return Path(self.uri.removeprefix(SQLITE)) if self.uri.startswith(SQLITE) else None

    def absolute(self) -> SqlSource:
        """Return the source with an absolute path, so that it can be read again from any folder."""
        return self.model_copy(update={"uri": f"{SQLITE}{self.sqlite.resolve()}"}) if self.sqlite else self
