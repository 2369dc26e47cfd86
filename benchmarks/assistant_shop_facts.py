"""What the right outcomes of scripted dialogues are known from."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

if TYPE_CHECKING:
    from recsys.recommend.pipeline import Recommender


@dataclass(frozen=True)
class ShopFacts:
    """What the right outcomes are known from: catalogue, prices and log, read without the assistant."""

    recommender: Recommender

    @cached_property
    def _items(self) -> pl.DataFrame:
        frame = self.recommender.snapshot.catalog.frame
        text = (pl.col("title") + " || " + pl.col("category").fill_null("")).str.to_lowercase()
        return frame.select("title", text=text).with_columns(price=pl.Series(self.recommender.snapshot.prices))

    def price(self, titles: str, quantile: float) -> float:
        """Return a price in whole units below which a share of the products of a kind costs."""
        prices = self._items.filter(pl.col("text").str.contains(titles))["price"].drop_nans().drop_nulls().to_numpy()
        return max(1.0, float(np.ceil(np.quantile(prices, quantile))))

    @cached_property
    def orders(self) -> pl.DataFrame:
        """Return user, time, day, titles: days on which a customer ordered once, up to five products."""
        snapshot = self.recommender.snapshot
        log = pl.DataFrame({"user": snapshot.log.user, "time": snapshot.log.time, "item": snapshot.log.item})
        log = log.with_columns(day=pl.col("time") // 86_400).filter(pl.col("user") < 400)
        days = log.group_by("user", "day").agg(pl.col("time").n_unique().alias("orders"), pl.col("time").first(), pl.col("item"))
        last = pl.col("day") == pl.col("day").max().over("user")
        found = days.with_columns(last=last).filter((pl.col("orders") == 1) & (pl.col("item").list.len() <= 5))
        titles = snapshot.catalog.frame["title"]
        return found.sort("user", "day").with_columns(
            pl.col("item").map_elements(lambda items: titles.gather(items).to_list(), return_dtype=pl.List(pl.String)).alias("titles"),
            pl.col("user").map_elements(lambda row: str(snapshot.log.user_ids[row]), return_dtype=pl.String).alias("id"),
        )
