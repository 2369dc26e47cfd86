"""The fields of the catalogue that the lexical index reads."""

from __future__ import annotations

import polars as pl

from features.names import BRAND, CATEGORY, DESCRIPTION, TITLE

# Characters that are read: the end of a long description says little about what the item is, and costs time.
MOST_OF_DESCRIPTION, MOST_OF_ATTRIBUTES = 2_000, 400
ATTRIBUTES = "attributes"  # "colour: red; size: 40"
LEAF = "leaf"  # the last part of a category's path


def item_fields(items: pl.DataFrame) -> pl.DataFrame:
    """Return a column of text for each field, without nulls, a row for each item.

    Parameters
    ----------
    items : pl.DataFrame
        With a title; brand, category, description and attributes where the shop has them.
    """
    held = set(items.columns)
    text = {
        name: pl.col(name).cast(pl.String) if name in held else pl.lit(None, pl.String) for name in (TITLE, BRAND, CATEGORY, DESCRIPTION)
    }
    path = text[CATEGORY].fill_null("").str.split("|").list.eval(pl.element().str.strip_chars())
    columns = {
        TITLE: text[TITLE],
        BRAND: text[BRAND],
        CATEGORY: path.list.join(" "),
        LEAF: path.list.last(),
        DESCRIPTION: text[DESCRIPTION].str.slice(0, MOST_OF_DESCRIPTION),
        **({ATTRIBUTES: pl.col(ATTRIBUTES).cast(pl.String).str.slice(0, MOST_OF_ATTRIBUTES)} if ATTRIBUTES in held else {}),
    }
    return items.select(column.fill_null("").alias(name) for name, column in columns.items())
