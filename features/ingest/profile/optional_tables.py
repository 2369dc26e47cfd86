"""The data profile's part of the optional tables."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING

import polars as pl

from features.ingest.optional_tables import OPTIONAL
from features.ingest.profile.measure import FORMS_OF, table_profile
from features.ingest.profile.optional_facts import CampaignFacts, CustomerFacts, HelpFacts, ReviewFacts, SearchFacts
from features.ingest.table_versions import ITEMS
from features.names import (
    ATTRIBUTES,
    CAMPAIGN_ID,
    CONSENT,
    EVENT,
    HOLDOUT,
    ITEM_ID,
    LANGUAGE,
    LINK,
    OPTED_OUT,
    QUERY,
    REDEEMED_AT,
    SEARCH_EVENTS,
    SENT_AT,
    STARS,
    TAGS,
    TEXT,
    TIMESTAMP,
    TITLE,
    USER_ID,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from features.ingest.optional_tables import OptionalName
    from features.ingest.profile.measure import IngestedTable
    from features.ingest.profile.model import DataProfile
    from features.ingest.source import Source


def with_optional(profile: DataProfile, source: Source, tables: Mapping[OptionalName, IngestedTable], folder: Path) -> DataProfile:
    """Return the profile with those of optional tables, which were just written to a folder."""
    changed: dict[str, object] = {}
    for name, table in tables.items():
        item_ids = set(pl.scan_parquet(folder / ITEMS).select(ITEM_ID).head(FORMS_OF).collect()[ITEM_ID])
        rows = pl.scan_parquet(folder / OPTIONAL[name].file)
        changed |= {name: table_profile(name, table, source, item_ids), **facts_of(name, rows)}
    return profile.model_copy(update=changed)


def facts_of(name: OptionalName, rows: pl.LazyFrame) -> dict[str, object]:
    """Return the facts of an optional table's rows that were kept, under their name in the profile."""
    key, facts = _FACTS[name]
    return {key: facts(rows)}


def search_facts(queries: pl.LazyFrame) -> SearchFacts:
    """Return the facts of a search log's rows that were kept."""
    row = queries.select(
        first=pl.col(TIMESTAMP).min(),
        last=pl.col(TIMESTAMP).max(),
        rows=pl.len(),
        distinct=pl.col(QUERY).hash().n_unique(),
        users=pl.col(USER_ID).drop_nulls().hash().n_unique(),
        items=pl.col(ITEM_ID).drop_nulls().n_unique(),
        empty=pl.col(ITEM_ID).is_null().sum(),
        **{f"event {event}": (pl.col(EVENT) == event).sum() for event in SEARCH_EVENTS},
    )
    facts = row.collect(engine="streaming").row(0, named=True)
    events = {event: facts.pop(f"event {event}") for event in SEARCH_EVENTS}
    return SearchFacts(**facts, events={event: count for event, count in events.items() if count})


def review_facts(reviews: pl.LazyFrame) -> ReviewFacts:
    """Return the facts of the reviews that were kept."""
    whole = pl.col(STARS).round()
    row = reviews.select(
        first=pl.col(TIMESTAMP).min(),
        last=pl.col(TIMESTAMP).max(),
        rows=pl.len(),
        users=pl.col(USER_ID).drop_nulls().hash().n_unique(),
        items=pl.col(ITEM_ID).n_unique(),
        texts=(pl.col(TEXT).is_not_null() | pl.col(TITLE).is_not_null()).sum(),
        rated=pl.col(STARS).count(),
        timed=pl.col(TIMESTAMP).count(),
        **{f"stars {star}": (whole == star).sum() for star in range(1, 6)},
    )
    facts = row.collect(engine="streaming").row(0, named=True)
    stars = {star: facts.pop(f"stars {star}") for star in range(1, 6)}
    return ReviewFacts(**facts, stars={star: count for star, count in stars.items() if count})


def help_facts(pages: pl.LazyFrame) -> HelpFacts:
    """Return the facts of the help pages that were kept."""
    frame = pages.select(LANGUAGE, LINK, TAGS).collect()
    counts = frame[LANGUAGE].value_counts(name="n").sort("n", LANGUAGE, descending=[True, False])
    linked, tagged = (int((frame[name] != "").sum()) for name in (LINK, TAGS))
    return HelpFacts(rows=frame.height, linked=linked, tagged=tagged, languages=dict(counts.iter_rows()))


def customer_facts(customers: pl.LazyFrame) -> CustomerFacts:
    """Return the facts of the customers that were kept."""
    frame = customers.select(CONSENT, OPTED_OUT, ATTRIBUTES).collect()
    counts = Counter(name for text in frame[ATTRIBUTES] for name, value in json.loads(text).items() if value is not None)
    return CustomerFacts(
        rows=frame.height,
        consenting=int(frame[CONSENT].sum()),
        opted_out=int(frame[OPTED_OUT].sum()),
        attributes=dict(counts.most_common()),
    )


def campaign_facts(campaigns: pl.LazyFrame) -> CampaignFacts:
    """Return the facts of the campaigns that were kept."""
    row = campaigns.select(
        first=pl.col(SENT_AT).min(),
        last=pl.col(SENT_AT).max(),
        rows=pl.len(),
        campaigns=pl.col(CAMPAIGN_ID).n_unique(),
        users=pl.col(USER_ID).hash().n_unique(),
        held_out=pl.col(HOLDOUT).sum(),
        redeemed=pl.col(REDEEMED_AT).count(),
    )
    return CampaignFacts(**row.collect(engine="streaming").row(0, named=True))


_FACTS: dict[OptionalName, tuple[str, Callable[[pl.LazyFrame], object]]] = {
    "queries": ("search", search_facts),
    "reviews": ("opinions", review_facts),
    "help_pages": ("help", help_facts),
    "customers": ("audience", customer_facts),
    "campaigns": ("mailings", campaign_facts),
}
