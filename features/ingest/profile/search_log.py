"""The data profile's part of the search log."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from features.ingest.profile.measure import FORMS_OF, table_profile
from features.ingest.profile.model import SearchFacts
from features.ingest.table_versions import ITEMS, QUERIES
from features.names import EVENT, ITEM_ID, QUERY, SEARCH_EVENTS, TIMESTAMP, USER_ID

if TYPE_CHECKING:
    from pathlib import Path

    from features.ingest.profile.measure import IngestedTable
    from features.ingest.profile.model import DataProfile
    from features.ingest.source import Source


def with_search_log(profile: DataProfile, source: Source, queries: IngestedTable, folder: Path) -> DataProfile:
    """Return the profile with that of a search log, which was just written to a folder."""
    item_ids = set(pl.scan_parquet(folder / ITEMS).select(ITEM_ID).head(FORMS_OF).collect()[ITEM_ID])
    table = table_profile("queries", queries, source, item_ids)
    return profile.model_copy(update={"queries": table, "search": search_facts(pl.scan_parquet(folder / QUERIES))})


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
