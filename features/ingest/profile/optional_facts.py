"""Facts of optional tables: the part of the data profile that says what was kept of each."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel, ConfigDict


class _Facts(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class SearchFacts(_Facts):
    """Facts of the search log's rows that were kept.

    Attributes
    ----------
    first, last : times of the first and the last row, UTC; None without rows.
    distinct : number of distinct queries.
    users, items : numbers of distinct ids.
    events : kind of event -> number of rows.
    empty : rows of queries that showed nothing.
    """

    first: datetime | None
    last: datetime | None
    rows: int
    distinct: int
    users: int
    items: int
    events: dict[str, int]
    empty: int


class ReviewFacts(_Facts):
    """Facts of the reviews that were kept.

    Attributes
    ----------
    first, last : times of the first and the last review with a time, UTC; None without any.
    users, items : numbers of distinct ids.
    texts, rated, timed : reviews with a title or a text, with a rating, with a time.
    stars : rating, rounded to whole stars -> number of reviews.
    """

    first: datetime | None
    last: datetime | None
    rows: int
    users: int
    items: int
    texts: int
    rated: int
    timed: int
    stars: dict[int, int]


class HelpFacts(_Facts):
    """Facts of the help pages that were kept.

    Attributes
    ----------
    linked, tagged : entries with a link, with tags.
    languages : ISO 639-1 code, empty where it is unknown -> number of entries, most frequent first.
    """

    rows: int
    linked: int
    tagged: int
    languages: dict[str, int]


class CustomerFacts(_Facts):
    """Facts of the customers that were kept.

    Attributes
    ----------
    consenting, opted_out : customers who agreed to be written to, and who asked not to be.
    attributes : name -> number of customers who have it.
    """

    rows: int
    consenting: int
    opted_out: int
    attributes: dict[str, int]


class CampaignFacts(_Facts):
    """Facts of the campaigns that were kept.

    Attributes
    ----------
    first, last : times of the first and the last row that was sent, UTC; None without rows.
    campaigns, users : numbers of distinct ids.
    held_out, redeemed : rows of customers who were not written to by chance, and with a redemption.
    """

    first: datetime | None
    last: datetime | None
    rows: int
    campaigns: int
    users: int
    held_out: int
    redeemed: int
