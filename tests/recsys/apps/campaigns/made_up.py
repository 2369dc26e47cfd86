"""A made shop with campaigns whose truth is known."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import polars as pl

from features.behavior.campaigns import SendHistory
from features.data.campaigns import CAMPAIGN_COLUMNS, Campaigns
from features.data.catalog import Catalog
from features.data.customers import Customers
from features.data.interactions import Interactions

START = datetime(2025, 1, 1)
DAYS = 240
CATEGORIES = ("Tea", "Coffee", "Bread")


@dataclass
class MadeShop:
    """Stands in for a workspace: it loads what a test put into it."""

    catalog: Catalog
    log: Interactions
    campaigns: Campaigns | None = None
    customers: Customers | None = None

    def load(self, _events: object = None) -> tuple[Catalog, Interactions]:
        return self.catalog, self.log

    def load_campaigns(self) -> Campaigns | None:
        return self.campaigns

    def load_customers(self) -> Customers | None:
        return self.customers

    @property
    def history(self) -> SendHistory:
        empty = Campaigns.of(pl.DataFrame(schema=CAMPAIGN_COLUMNS))
        return SendHistory(self.log, self.catalog, self.campaigns or empty)

    @property
    def users(self) -> list[str]:
        return self.log.user_ids.tolist()


def made_shop(customers: int = 300, seed: int = 0, extra: pl.DataFrame | None = None) -> MadeShop:
    """Customers who buy at their own rates, of three categories; `extra` are purchases that a campaign brought."""
    rng = np.random.default_rng(seed)
    items = pl.DataFrame({"item_id": [f"i{n}" for n in range(12)], "title": "x", "category": [CATEGORIES[n % 3] for n in range(12)]})
    counts = rng.poisson(rng.gamma(2, 6, customers)) + 1
    user = np.repeat(np.arange(customers), counts)
    rows = pl.DataFrame(
        {
            "user_id": [f"u{n:03}" for n in user],
            "item_id": [f"i{n}" for n in rng.integers(12, size=len(user))],
            "timestamp": [START + timedelta(minutes=int(minute)) for minute in rng.integers(DAYS * 1440, size=len(user))],
            "value": rng.gamma(4, 2, len(user)).round(2),
            "quantity": 1.0,
        }
    )
    catalog = Catalog.from_frame(items)
    whole = rows if extra is None else pl.concat([rows, extra.select(rows.columns)])
    return MadeShop(catalog, Interactions.from_frame(whole, catalog))


def sent(users: list[str], day: int, name: str = "spring", **columns: object) -> pl.DataFrame:
    """Rows of a campaign; further columns by name, a value for all or one for each."""
    table = {"campaign_id": name, "sent_at": START + timedelta(days=day), "offer": "10% off"} | columns
    return pl.DataFrame(
        {"user_id": users} | {key: value for key, value in table.items() if isinstance(value, list | np.ndarray)}
    ).with_columns(*(pl.lit(value).alias(key) for key, value in table.items() if not isinstance(value, list | np.ndarray)))


def redeemed(users: list[str], day: int, rng: np.random.Generator, chance: np.ndarray) -> list[datetime | None]:
    """When each customer redeemed, some days after a campaign; None for those who did not."""
    moment = START + timedelta(days=day)
    return [moment + timedelta(days=int(rng.integers(1, 20))) if rng.random() < one else None for _, one in zip(users, chance, strict=True)]
