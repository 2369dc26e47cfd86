"""Tiny shops whose metrics can be computed on paper."""

from datetime import UTC, datetime, timedelta

import polars as pl

from features.data.catalog import Catalog
from features.data.interactions import DAY, Interactions

START = datetime(2024, 1, 1, tzinfo=UTC)


def log_of(events, n_items):
    """Interactions of (user, item row, day) or (user, item row, day, event); item ids sort like their rows."""
    ids = [f"i{row:04d}" for row in range(n_items)]
    catalog = Catalog.from_frame(pl.DataFrame({"item_id": ids, "title": ids}))
    rows = [(u, ids[i], (START + timedelta(days=d)).replace(tzinfo=None), *(rest or ["purchase"])) for u, i, d, *rest in events]
    return Interactions.from_frame(pl.DataFrame(rows, schema=["user_id", "item_id", "timestamp", "event"], orient="row"), catalog)


def at_day(day):
    """Seconds since the epoch."""
    return int(START.timestamp() + day * DAY)
