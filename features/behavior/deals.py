"""How much of what customers buy they buy below the item's usual price: those who do redeem offers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from features.behavior.purchase_days import calendar_of
from features.data.interactions import DAY
from features.data.split import LABEL_EVENTS
from features.names import DEAL_DEPTH, DEAL_LINES, DEAL_SHARE, DEAL_SHARE_56, DEAL_SHARE_DEEP, DEAL_SHARE_SMALL

if TYPE_CHECKING:
    from features.data.interactions import Interactions

DEAL_FEATURES = (DEAL_SHARE_SMALL, DEAL_SHARE, DEAL_SHARE_DEEP, DEAL_SHARE_56, DEAL_DEPTH, DEAL_LINES)
_USUAL = 0.75  # quantile of an item's prices: promotions pull its mean and median down
_LEAST = 5  # purchases of an item, below which it has no usual price
_SMALL, _DEAL, _DEEP = -0.05, -0.2, -0.4  # logarithms of price / usual price


def deal_features(log: Interactions, now: int) -> dict[str, np.ndarray]:
    """Return `DEAL_FEATURES` of each user row from the purchases before `now`, float64 (n_users,); nan without a priced purchase."""
    times = calendar_of(log)
    priced = np.isin(log.event, LABEL_EVENTS) & (times < now) & (log.price > 0)
    table = pl.DataFrame({"user": log.user[priced], "item": log.item[priced], "price": log.price[priced], "time": times[priced]})
    usual = table.group_by("item").agg(usual=pl.col("price").quantile(_USUAL), lines=pl.len()).filter(pl.col("lines") >= _LEAST)
    below, recent = pl.col("below"), pl.col("time") >= now - 56 * DAY
    by_user = (
        table.join(usual, on="item")
        .with_columns(below=(pl.col("price") / pl.col("usual")).log())
        .group_by("user")
        .agg(
            (below < _SMALL).mean().alias(DEAL_SHARE_SMALL),
            (below < _DEAL).mean().alias(DEAL_SHARE),
            (below < _DEEP).mean().alias(DEAL_SHARE_DEEP),
            (below < _DEAL).filter(recent).mean().alias(DEAL_SHARE_56),
            below.clip(-2, 0).mean().alias(DEAL_DEPTH),
            (below < _DEAL).sum().log1p().alias(DEAL_LINES),
        )
    )
    columns = {}
    for name in DEAL_FEATURES:
        columns[name] = np.full(log.n_users, np.nan)
        columns[name][by_user["user"].to_numpy()] = by_user[name].cast(pl.Float64).fill_null(float("nan")).to_numpy()
    return columns
