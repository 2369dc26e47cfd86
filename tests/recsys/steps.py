"""A shop whose times tell only the order: everybody begins at one moment, a step a day, and nobody buys a thing twice."""

from __future__ import annotations

from datetime import datetime, timedelta

import numpy as np
import polars as pl

BEGIN = datetime(2024, 1, 1)
N_USERS, N_ITEMS = 140, 40


def steps(seed: int = 0) -> pl.DataFrame:
    """Canonical events over the tiny shop's items: from item i people mostly go on to i + 1; 4 to 8 steps a user."""
    rng = np.random.default_rng(seed)
    rows = []
    for user in range(N_USERS):
        item, seen = int(rng.integers(N_ITEMS)), set()
        for step in range(4 + user % 5):
            while item in seen:
                item = int(rng.integers(N_ITEMS))
            seen.add(item)
            about = {"quantity": 1.0, "value": 2.0 + item % 7}
            rows.append({"user_id": f"u{user:03}", "item_id": f"sku-{item:02}", "timestamp": BEGIN + timedelta(days=step)} | about)
            item = (item + 1) % N_ITEMS if rng.random() < 0.8 else int(rng.integers(N_ITEMS))
    return pl.DataFrame(rows)


def is_last_step() -> pl.Expr:
    """Of each user's events those that leave-one-out keeps for the test."""
    return pl.col("timestamp") == pl.col("timestamp").max().over("user_id")
