"""Tiny shops whose figures can be worked out on paper."""

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from features.catalog import Catalog
from features.interactions import DAY, Interactions
from features.split import Split

START = datetime(2024, 1, 1, tzinfo=UTC)


def _log(events, n_items):
    """Interactions of (user, item row, day) or (user, item row, day, event); item ids sort like their rows."""
    ids = [f"i{row:04d}" for row in range(n_items)]
    catalog = Catalog.from_frame(pl.DataFrame({"item_id": ids, "title": ids}))
    rows = [(u, ids[i], (START + timedelta(days=d)).replace(tzinfo=None), *(rest or ["purchase"])) for u, i, d, *rest in events]
    return Interactions.from_frame(pl.DataFrame(rows, schema=["user_id", "item_id", "timestamp", "event"], orient="row"), catalog)


@pytest.fixture
def make_log():
    return _log


def at_day(day):
    """Seconds since the epoch."""
    return int(START.timestamp() + day * DAY)


@pytest.fixture
def paper_split():
    """Items 0-3 are known at the cut (day 10), 4 and 5 are not.

    u0 had 0, 0, 1 and buys 0 (repeat), 2 (new), 5 (cold); u1 had 0, 2 and buys 2; u2 had 3 and buys 4 (cold); u3 had 1 and buys nothing;
    u4 comes after the cut. Distinct buyers before it: two of 0 and of 1, one of 2 and of 3.
    """
    before = [("u0", 0, 1), ("u0", 0, 2), ("u0", 1, 3), ("u1", 0, 1), ("u1", 2, 4), ("u2", 3, 5), ("u3", 1, 6)]
    after = [("u0", 0, 11), ("u0", 0, 12), ("u0", 2, 11), ("u0", 5, 11), ("u1", 2, 13), ("u2", 4, 12), ("u4", 0, 11)]
    return Split.by_time(_log(before + after, 6), at_day(10))
