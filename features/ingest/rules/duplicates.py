"""Rows that say the same thing twice: the last one wins."""

from __future__ import annotations

import numpy as np
import polars as pl

from features.ingest.rules.checked_table import refuse


def mark_duplicates(checked: pl.LazyFrame, key: str = "item_id") -> pl.LazyFrame:
    """Refuse all but the last valid row of each key; rows without a key are no duplicates.

    The last row takes the values that it lacks from earlier ones, the latest first: an export of changed prices has no descriptions.
    """
    columns = [name for name in checked.collect_schema().names() if name not in ("row", key, "reason", "offence")]
    valid = checked.filter(pl.col("reason").is_null(), pl.col(key).is_not_null())
    latest = [pl.col(name).sort_by("row").drop_nulls().last().alias(f"latest.{name}") for name in columns]
    repeated = valid.filter(pl.col(key).is_in(_repeated(valid, key))).group_by(key).agg(*latest, winner=pl.col("row").max())
    marked = checked.join(repeated, on=key, how="left", maintain_order="left")
    wins, loses = (pl.col("reason").is_null() & test for test in (pl.col("row") == pl.col("winner"), pl.col("row") < pl.col("winner")))
    merged = marked.with_columns(pl.when(wins).then(pl.coalesce(name, f"latest.{name}")).otherwise(name).alias(name) for name in columns)
    return refuse(merged, loses, f"duplicate {key} (a later row wins)", key).select(checked.collect_schema().names())


def _repeated(valid: pl.LazyFrame, key: str) -> pl.Series:
    """Return the keys of several rows. Their hashes are compared first: a long log has too many keys for memory."""
    digest = pl.col(key).hash(seed=0)
    hashes = np.sort(valid.select(digest).collect(engine="streaming")[key].to_numpy())
    suspects = pl.Series(hashes[1:][hashes[1:] == hashes[:-1]]).unique()
    counts = valid.select(key).filter(digest.is_in(suspects.implode())).group_by(key).len()
    return counts.filter(pl.col("len") > 1).select(key).collect(engine="streaming")[key].implode()
