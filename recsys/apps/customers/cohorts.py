"""Cohorts: customers by the month of their first purchase, and what became of them month by month."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from features.names import SPEND

if TYPE_CHECKING:
    from features.behavior.purchase_days import PurchaseDays

MOST = 24  # latest cohorts that are shown
COHORT, MONTHS_SINCE, BOUGHT, CUSTOMERS = "cohort", "months_since", "bought", "customers"


def cohorts(days: PurchaseDays) -> pl.DataFrame:
    """Return a row for each month of first purchases and each month since, up to the newest month of the log.

    Returns
    -------
    `cohort`, the month as YYYY-MM; `months_since`, 0 for the month itself; `customers` of the cohort; the share of them that `bought` in
    that month; their `spend` in it, of all together. A month without a purchase is a row of zeros.
    """
    schema = {COHORT: pl.String, MONTHS_SINCE: pl.Int64, CUSTOMERS: pl.Int64, BOUGHT: pl.Float64, SPEND: pl.Float64}
    if not len(days):
        return pl.DataFrame(schema=schema)
    month = days.day.astype("datetime64[D]").astype("datetime64[M]").astype(np.int64)
    starts = np.flatnonzero(np.diff(days.user, prepend=-1) != 0)
    first = np.repeat(month[starts], np.diff(np.append(starts, len(days))))
    rows = pl.DataFrame({"first": first, MONTHS_SINCE: month - first, "user": days.user, SPEND: days.value})
    found = rows.group_by("first", MONTHS_SINCE).agg(pl.col("user").n_unique().alias("buyers"), pl.col(SPEND).sum())
    sizes = found.filter(pl.col(MONTHS_SINCE) == 0).select("first", pl.col("buyers").alias(CUSTOMERS))
    newest = int(month.max())
    grid = sizes.with_columns(pl.int_ranges(0, newest + 1 - pl.col("first")).alias(MONTHS_SINCE)).explode(MONTHS_SINCE, empty_as_null=False)
    full = grid.join(found, on=["first", MONTHS_SINCE], how="left").sort("first", MONTHS_SINCE)
    name = pl.from_epoch(pl.lit(0), time_unit="s").dt.date().dt.offset_by(pl.format("{}mo", pl.col("first"))).dt.strftime("%Y-%m")
    return full.select(
        name.alias(COHORT),
        MONTHS_SINCE,
        pl.col(CUSTOMERS).cast(pl.Int64),
        (pl.col("buyers").fill_null(0) / pl.col(CUSTOMERS)).alias(BOUGHT),
        pl.col(SPEND).fill_null(0.0),
    )
