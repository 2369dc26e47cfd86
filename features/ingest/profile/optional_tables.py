"""The data profile's part of the optional tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from features.ingest.optional_tables import OPTIONAL
from features.ingest.profile.measure import FORMS_OF, table_profile
from features.ingest.profile.model import HelpFacts, ReviewFacts, SearchFacts
from features.ingest.table_versions import ITEMS
from features.names import EVENT, ITEM_ID, LANGUAGE, LINK, QUERY, SEARCH_EVENTS, STARS, TAGS, TEXT, TIMESTAMP, TITLE, USER_ID

if TYPE_CHECKING:
    from collections.abc import Mapping
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


def facts_of(name: str, rows: pl.LazyFrame) -> dict[str, SearchFacts | ReviewFacts | HelpFacts]:
    """Return the facts of an optional table's rows that were kept, under their name in the profile."""
    if name == "help_pages":
        return {"help": help_facts(rows)}
    return {"search": search_facts(rows)} if name == "queries" else {"opinions": review_facts(rows)}


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
