"""Variants of a product (size, colour) as one item: the group takes their place in the catalogue and in the log."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from features.ingest.readers.raw_table import stored
from features.names import ATTRIBUTES, BARCODE, GROUP_ID, GROUP_TITLE, MARGIN, STOCK

if TYPE_CHECKING:
    from pathlib import Path

MERGED = "a variant, part of its product's item"
_FIRST = ("description", "brand", "category")
_OF_ALL = {ATTRIBUTES: "; ", BARCODE: "|"}  # of several variants, each once, and what stands between them


def with_groups(items: pl.LazyFrame) -> pl.LazyFrame:
    """Return what a row of the log may name: the items, and the ids of their groups."""
    groups = items.filter(pl.col("reason").is_null(), pl.col(GROUP_ID).is_not_null()).select(item_id=GROUP_ID, reason="reason").unique()
    return pl.concat([items.select("item_id", "reason"), groups])


def one_a_group(items: pl.LazyFrame, log: pl.LazyFrame, folder: Path) -> tuple[pl.LazyFrame, pl.LazyFrame]:
    """Make the valid rows of a group one item, and give it the events of all of them.

    The item has the group's id, the product's title, the lowest price and the first created_at; it is available if one of its variants
    is. It has the margin of the cheapest one, and the stock, attributes and barcodes of all. The row that stays is the product's own, or
    else the first; the others get a reason.
    """
    key = pl.coalesce(GROUP_ID, "item_id")
    valid = pl.col("reason").is_null()
    items = items.with_row_index("_place").with_columns(_key=pl.when(valid).then(key))
    own = pl.col("item_id") == pl.col("_key")
    in_order = (~own, "_place")  # the product's own row first
    groups = items.filter(valid).group_by("_key").agg(
        _stays=pl.col("_place").sort_by(*in_order).first(),
        _title=pl.coalesce(pl.col(GROUP_TITLE).drop_nulls().first(), pl.col("title").sort_by(*in_order).first()),
        _price=pl.col("price").min(),
        # Nobody said that a variant is not available: it is.
        _available=pl.when(pl.col("available").is_not_null().any()).then(pl.col("available").fill_null(True).any()),
        _created_at=pl.col("created_at").min(),
        _margin=pl.col(MARGIN).sort_by("price", nulls_last=True).drop_nulls().first(),
        _stock=pl.when(pl.col(STOCK).is_not_null().any()).then(pl.col(STOCK).sum()),
        **{f"_{name}": pl.col(name).sort_by(*in_order).drop_nulls().first() for name in _FIRST},
        **{f"_{name}": _joined(name, sign) for name, sign in _OF_ALL.items()},
    )  # fmt: skip
    joined = items.join(groups, on="_key", how="left", maintain_order="left")
    other = valid & (pl.col("_place") != pl.col("_stays"))
    whole = {
        name: pl.when(valid).then(f"_{name}").otherwise(name)
        for name in ("title", "price", "available", "created_at", MARGIN, STOCK, *_FIRST, *_OF_ALL)
    }
    merged = joined.with_columns(
        **whole,
        reason=pl.when(other).then(pl.lit(MERGED)).otherwise("reason"),
        offence=pl.when(other).then("item_id").otherwise("offence"),
        item_id=pl.when(valid & ~other).then("_key").otherwise("item_id"),
        group_id=pl.coalesce("_key", GROUP_ID),
    )
    return stored(merged, folder / "groups.parquet"), stored(of_groups(log, items), folder / "of_groups.parquet")


def of_groups(log: pl.LazyFrame, items: pl.LazyFrame) -> pl.LazyFrame:
    """Give the rows of a log the groups of their items; `items` are the variants, before they became one."""
    variants = items.filter(pl.col("reason").is_null()).select("item_id", _group=pl.coalesce(GROUP_ID, "item_id")).unique("item_id")
    log = log.join(variants, on="item_id", how="left", maintain_order="left")
    return log.with_columns(item_id=pl.coalesce("_group", "item_id")).drop("_group")


def _joined(name: str, sign: str) -> pl.Expr:
    parts = pl.col(name).drop_nulls().str.split(sign.strip()).explode().str.strip_chars().unique(maintain_order=True)
    return pl.when(pl.col(name).is_not_null().any()).then(parts.str.join(sign))
