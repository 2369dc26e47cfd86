"""Made-up reviews, and a classifier that goes by three words."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import numpy as np
import polars as pl

from features.data.catalog import Catalog
from features.data.interactions import Interactions
from features.data.reviews import Reviews
from features.reviews.aspects import AspectList
from features.reviews.scored import ScoredReviews
from features.text.classifier.readable import Unread
from features.text.sentiment.model import Sentiments
from recsys.snapshot.reviews import read_reviews

DAY_0 = datetime(2026, 1, 1)
WORDS = {"bad": 0, "so-so": 1, "good": 2}


class ByWords:
    """Bad, so-so or good, whichever stands in the text; no opinion without any of them."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    def read(self, texts: list[str]) -> Sentiments:
        self.seen += texts
        found = [next((label for word, label in WORDS.items() if word in text.lower()), -1) for text in texts]
        labels = np.array(found, dtype=np.int64)
        probabilities = np.full((len(texts), 3), 0.05, dtype=np.float32)
        probabilities[np.arange(len(texts)), np.maximum(labels, 0)] = 0.9
        probabilities[labels < 0] = np.nan
        return Sentiments(probabilities, labels, Unread(labels < 0, np.zeros(len(texts), dtype=bool)))

    def to_files(self) -> dict[str, bytes]:
        return {"words": repr(WORDS).encode()}


def catalog() -> Catalog:
    columns = {
        "item_id": ["a", "b", "c"],
        "title": ["Kettle", "Toaster", "Jacket"],
        "brand": ["Alba", "Alba", None],
        "category": ["Kitchen|Kettles", "Kitchen|Toasters", "Clothes"],
    }
    return Catalog.from_frame(pl.DataFrame(columns))


def log_of(items: Catalog, users: list[str]) -> Interactions:
    times = [DAY_0 + timedelta(hours=number) for number in range(len(users))]
    frame = pl.DataFrame({"user_id": users, "item_id": ["a"] * len(users), "timestamp": times, "event": ["purchase"] * len(users)})
    return Interactions.from_frame(frame, items)


def reviews_of(rows: list[tuple[Any, ...]], items: Catalog, log: Interactions) -> Reviews:
    """Make reviews of (user, item, day, rating, text)."""
    table = pl.DataFrame(rows, schema=["user_id", "item_id", "day", "rating", "text"], orient="row")
    table = table.with_columns(
        timestamp=pl.lit(DAY_0) + pl.duration(minutes=(pl.col("day").cast(pl.Float64) * 1440).cast(pl.Int64)),
        row=pl.int_range(1, pl.len() + 1),
    )
    return Reviews.of(table.drop("day"), items, log.user_ids)


def scored_of(rows: list[tuple[Any, ...]], users: list[str] | None = None) -> ScoredReviews:
    """Read made-up reviews; `users` bought something."""
    items = catalog()
    log = log_of(items, users or ["u0"])
    model: Any = ByWords()
    return read_reviews(reviews_of(rows, items, log), log, model, AspectList.packaged(), ScoredReviews.empty())[0]
