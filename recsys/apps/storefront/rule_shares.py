"""The share of places that each merchandising rule has taken, from the impressions that were stored."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from recsys.workspace.impression_columns import PAGE_ROW, POSITION, RULE

if TYPE_CHECKING:
    from collections.abc import Mapping

TOP = 3  # positions that are seen without a turn of the row


def rule_shares(impressions: pl.DataFrame, rules: Mapping[str, str] | None = None) -> pl.DataFrame:
    """Return what each rule has taken of the places that were shown, the largest share first.

    Parameters
    ----------
    impressions : one row for each place that was shown, with the columns rule (null: the ranking placed the item), row and position.
    rules : name -> kind of the rules that are in force; those that took no place are in the answer too.

    Returns
    -------
    A frame with rule, row, places, share (of all places of the row), share_top (of its first three positions) and mean_position.
    """
    top = pl.col(POSITION) <= TOP
    of_rows = impressions.group_by(PAGE_ROW).agg(all=pl.len(), all_top=top.sum())
    taken = impressions.drop_nulls(RULE).group_by(RULE, PAGE_ROW).agg(places=pl.len(), top=top.sum(), mean_position=pl.col(POSITION).mean())
    shares = taken.join(of_rows, on=PAGE_ROW, nulls_equal=True).select(
        RULE,
        PAGE_ROW,
        "places",
        share=pl.col("places") / pl.col("all"),
        share_top=pl.when(pl.col("all_top") > 0).then(pl.col("top") / pl.col("all_top")),
        mean_position="mean_position",
    )
    idle = [name for name in rules or {} if name not in set(shares[RULE])]
    if idle:
        nothing = pl.DataFrame({RULE: idle}).with_columns(places=pl.lit(0), share=pl.lit(0.0), share_top=pl.lit(0.0))
        shares = pl.concat([shares, nothing.cast({"places": shares.schema["places"]})], how="diagonal")
    return shares.sort("share", RULE, descending=[True, False])
