"""The rules of the optional tables: each alone, and with the catalogue."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import polars as pl

from features.ingest.help_pages import rules as help_rules
from features.ingest.optional_tables import OPTIONAL
from features.ingest.readers.raw_table import stored
from features.ingest.rules import campaign_rules, customer_rules, query_rules, review_rules
from features.ingest.rules.item_links import ItemLinks, used_ids
from features.ingest.rules.refusals import require_rows, without_erased
from features.ingest.rules.variants import of_groups, with_groups
from features.ingest.summary import NOTE
from features.names import ANSWER, ATTRIBUTES, OFFER, QUERY, TEXT
from features.text.plain import agree, counted

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from features.ingest.erased_users import ErasedUsers
    from features.ingest.optional_tables import OptionalName
    from features.ingest.readers.raw_table import RawTable
    from features.ingest.rules.checked_table import CheckedTable
    from features.ingest.source import Source


@dataclass(frozen=True)
class _Rules:
    """Rules of one table.

    Attributes
    ----------
    private : masks what the quarantine shows of rows that could not be parsed.
    validate : checks the rows alone; the last argument is the checked catalogue.
    once : refuses rows that say the same thing again.
    linked : reads ids of items as those of the catalogue, and refuses rows of others.
    described : completes what is said of the table, once all its rows are judged.
    text : the column of words.
    """

    private: Callable[[RawTable, Source], RawTable]
    validate: Callable[[pl.LazyFrame, Source, pl.LazyFrame], CheckedTable]
    once: Callable[[pl.LazyFrame], pl.LazyFrame]
    linked: Callable[[pl.LazyFrame, ItemLinks], pl.LazyFrame]
    described: Callable[[CheckedTable], CheckedTable]
    text: str


_RULES: dict[OptionalName, _Rules] = {
    "queries": _Rules(
        lambda raw, _source: raw,
        lambda table, source, _items: query_rules.validate_queries(table, source),
        query_rules.mark_repeated,
        query_rules.linked,
        lambda rules: rules,
        QUERY,
    ),
    "reviews": _Rules(
        review_rules.private,
        review_rules.validate_reviews,
        review_rules.mark_repeated,
        lambda frame, links: links.mark(frame),
        review_rules.described,
        TEXT,
    ),
    "help_pages": _Rules(
        lambda raw, _source: raw,
        lambda table, _source, _items: help_rules.validate_help_pages(table),
        help_rules.mark_repeated,
        lambda frame, _links: frame,
        help_rules.described,
        ANSWER,
    ),
    "customers": _Rules(
        lambda raw, _source: raw,
        lambda table, source, _items: customer_rules.validate_customers(table, source),
        customer_rules.mark_repeated,
        lambda frame, _links: frame,
        customer_rules.described,
        ATTRIBUTES,
    ),
    "campaigns": _Rules(
        lambda raw, _source: raw,
        lambda table, source, _items: campaign_rules.validate_campaigns(table, source),
        campaign_rules.mark_repeated,
        campaign_rules.linked,
        campaign_rules.described,
        OFFER,
    ),
}


def judged_optional(
    name: OptionalName, raw: RawTable, files: Source, items: pl.LazyFrame, erased: ErasedUsers, folder: Path
) -> tuple[RawTable, CheckedTable]:
    """Apply the rules to an optional table; `items` is the checked catalogue."""
    of, title = _RULES[name], OPTIONAL[name].title
    raw, rules = of.private(raw, files), of.validate(raw.frame, files, items)
    checked = stored(of.once(stored(rules.frame, folder / f"{name}_checked.parquet")), folder / f"{name}_once.parquet")
    if erased.users and OPTIONAL[name].of_users:
        raw, checked = without_erased(erased, raw, replace(rules, frame=checked))
    if not OPTIONAL[name].of_items:
        require_rows(title, raw, checked, rules.advice)
        return raw, of.described(replace(rules, frame=checked, notes=(*rules.notes, *_damaged(checked, of.text, title))))
    # A review may be of a product as a whole, whatever its variants are here.
    links = ItemLinks.find(used_ids(checked), items if files.variants == "items" and name != "reviews" else with_groups(items), title)
    checked = of.linked(checked, links)
    checked = stored(checked if files.variants == "items" else of_groups(checked, items), folder / f"{name}_known.parquet")
    require_rows(title, raw, checked, rules.advice)
    notes = (*rules.notes, *links.notes, *_damaged(checked, of.text, title))
    return raw, of.described(replace(rules, frame=checked, notes=notes))


def _damaged(frame: pl.LazyFrame, column: str, title: str) -> list[str]:
    """Return a note on texts that hold characters that could not be decoded; none if there are none."""
    valid = frame.filter(pl.col("reason").is_null(), pl.col(column).str.contains("\ufffd", literal=True))
    count = valid.select(pl.len()).collect(engine="streaming").item()
    if not count:
        return []
    what = f"the {column} of {counted(count, 'row')} {agree(count, 'holds', 'hold')} characters that could not be decoded"
    return [f"{NOTE}the {title}: {what} (\ufffd): set source.encoding, say to cp1252"]
