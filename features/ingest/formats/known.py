"""The formats that are known, and the choice of a table's layout."""

from __future__ import annotations

from typing import TYPE_CHECKING

from features.ingest.formats.amazon import AMAZON
from features.ingest.formats.canonical import CANONICAL
from features.ingest.formats.google_analytics import GOOGLE_ANALYTICS
from features.ingest.formats.google_merchant import GOOGLE_MERCHANT
from features.ingest.formats.magento import MAGENTO
from features.ingest.formats.shopify import SHOPIFY
from features.ingest.formats.woocommerce import WOOCOMMERCE
from features.ingest.optional_tables import OPTIONAL

if TYPE_CHECKING:
    from collections.abc import Collection

    from features.ingest.formats.layout import Format, TableLayout
    from features.ingest.optional_tables import Table
    from features.ingest.source import Source

FORMATS: dict[str, Format] = {
    one.name: one for one in (CANONICAL, AMAZON, SHOPIFY, WOOCOMMERCE, MAGENTO, GOOGLE_MERCHANT, GOOGLE_ANALYTICS)
}
REQUIRED: dict[Table, frozenset[str]] = {
    "items": frozenset({"item_id", "title"}),
    "interactions": frozenset({"user_id", "item_id", "timestamp"}),
    **{name: frozenset(one.required) for name, one in OPTIONAL.items()},
}


def layouts(one: Format, table: Table) -> tuple[TableLayout, ...]:
    """Return a format's layouts of a table."""
    return {"items": one.items, "interactions": one.interactions, **one.optional}.get(table, ())


def with_defaults(source: Source, name: str) -> Source:
    """Return the source with a format's defaults for what the user left open."""
    left_open = {key: value for key, value in FORMATS[name].defaults.items() if key not in source.model_fields_set}
    return source.model_copy(update={key: value for key, value in left_open.items() if key in type(source).model_fields})


def layout_of(name: str | None, table: Table, header: Collection[str]) -> tuple[Format, TableLayout]:
    """Return the format and the layout that a table is read by.

    Parameters
    ----------
    name : format that the user gave. It counts for a table that its software exports; another table is recognised.
    header : the names in the table's file.
    """
    names = set(header)
    if name is not None and (named := layouts(FORMATS[name], table)):
        fits = [layout for layout in named if layout.signs <= names]
        return FORMATS[name], (fits or named)[0]
    if not names >= REQUIRED[table]:
        for one in FORMATS.values():
            for layout in layouts(one, table):
                if layout.signs and layout.signs <= names:
                    return one, layout
    return CANONICAL, layouts(CANONICAL, table)[0]
