"""The fields of the catalogue that the lexical index reads."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from features.names import ATTRIBUTES, BRAND, CATEGORY, DESCRIPTION, TITLE

if TYPE_CHECKING:
    import numpy as np

# Characters that are read: the end of a long description says little about what the item is, and costs time.
MOST_OF_DESCRIPTION, MOST_OF_ATTRIBUTES = 2_000, 400
LEAF = "leaf"  # the last part of a category's path
REVIEWS = "reviews"  # words that reviews praise items with, see `features.reviews.praise`


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


def text_fields(items: pl.DataFrame, text_of: np.ndarray, first: np.ndarray) -> pl.DataFrame:
    """Return the fields of the distinct texts. A text has the attributes of all its items: variants may differ in nothing else.

    Parameters
    ----------
    items : pl.DataFrame
    text_of : int64 (n_items,)
        Each item's text.
    first : int64 (n_texts,)
        An item of each text.
    """
    of_texts = items[first]
    if ATTRIBUTES not in items.columns or not items[ATTRIBUTES].count():
        return item_fields(of_texts)
    pairs = items.select(ATTRIBUTES).with_columns(text=text_of).drop_nulls().unique(maintain_order=True)
    joined = pairs.group_by("text").agg(pl.col(ATTRIBUTES).str.join("; "))
    rows = pl.DataFrame({"text": range(len(first))}, schema={"text": pairs.schema["text"]})
    attributes = rows.join(joined, on="text", how="left", maintain_order="left")[ATTRIBUTES]
    return item_fields(of_texts.with_columns(attributes))
