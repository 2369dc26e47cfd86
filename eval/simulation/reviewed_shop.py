"""A small made-up shop with reviews: its sentences come from a list, and on a known day an item begins to break.

It shows what reviews give, and it is free to show. It says nothing of how customers write.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import polars as pl

from features.names import BRAND, CATEGORY, DESCRIPTION, ITEM_ID, PRICE, STARS, TEXT, TIMESTAMP, TITLE, USER_ID

START = datetime(2026, 1, 5)
DAYS, INCIDENT = 300, 285  # days of the log, and the day from which on the item breaks
USERS, VISITS = 1_500, 5_000
REVIEWED = 0.45  # share of the purchases that are reviewed
BROKEN, BROKEN_SHARE = "kettle-3", 0.3  # the best seller, so that days and not weeks show it
ITEMS = (
    ("kettle-1", "Glass kettle 1.7 l", "Alba", "Kitchen|Kettles", 39.0, 0.85),
    ("kettle-2", "Steel kettle 1 l", "Brook", "Kitchen|Kettles", 29.0, 0.8),
    ("kettle-3", "Travel kettle with lid lock", "Brook", "Kitchen|Kettles", 24.0, 0.88),
    ("toaster-1", "Toaster for two slices", "Alba", "Kitchen|Toasters", 34.0, 0.8),
    ("toaster-2", "Toaster for four slices, quiet", "Cedar", "Kitchen|Toasters", 59.0, 0.9),
    ("vacuum-1", "Vacuum cleaner 800 W", "Cedar", "Cleaning|Vacuum cleaners", 119.0, 0.7),
    ("vacuum-2", "Vacuum cleaner with a long cable", "Dune", "Cleaning|Vacuum cleaners", 149.0, 0.9),
    ("mop-1", "Flat mop with bucket", "Dune", "Cleaning|Mops", 25.0, 0.8),
    ("jacket-1", "Rain jacket, navy", "Elm", "Clothes|Jackets", 79.0, 0.75),
    ("jacket-2", "Down jacket, light", "Elm", "Clothes|Jackets", 129.0, 0.85),
    ("boots-1", "Hiking boots", "Fern", "Clothes|Shoes", 99.0, 0.8),
    ("boots-2", "Rubber boots", "Fern", "Clothes|Shoes", 35.0, 0.85),
)
PRAISE = (
    "Delivery was quick and the parcel came in good shape.",
    "Arrived a day early, great shipping.",
    "Very good value for the price.",
    "Cheaper than in town and just as good.",
    "The quality is excellent, it feels solid.",
    "Well made, I would buy it again.",
    "The colour is lovely and it looks elegant.",
    "Easy to use and easy to clean.",
    "Customer service answered my question within an hour.",
    "The size is just right.",
    "I love it and use it every day.",
    "So quiet that I hardly hear it.",
)
COMPLAINTS = (
    "Delivery took three weeks, far too long.",
    "The parcel arrived damaged.",
    "Far too expensive for what it is.",
    "Poor quality, it feels cheap.",
    "It looks nothing like the picture.",
    "Hard to use, the instructions are useless.",
    "Customer service never answered.",
    "The size is much too small.",
    "I am disappointed and sent it back.",
    "So loud that the neighbours complain.",
)
BREAKS = (
    "The lid broke off after two days, terrible quality.",
    "Bad quality: the handle snapped and hot water spilled.",
    "It stopped working after a week, very poor quality.",
    "The lock is defective, it leaks everywhere.",
)
FOR_WHOM = ("myself", "my mother", "my brother", "our flat", "the office", "my son", "a friend", "a holiday", "my wife", "my husband")
WHEN = ("last week", "in spring", "some days ago", "after long thought", "on a whim", "again", "for a birthday", "in a hurry", "on Monday")
WHERE = ("after reading the reviews here", "because the old one was worn", "on a friend's advice", "without many hopes", "from my phone")
SO_SO = ("It does what it should, nothing more.", "It is okay, neither good nor bad.", "Average, as expected.")


@dataclass(frozen=True)
class ReviewedShop:
    """Tables as a shop would give them: items, purchases, and reviews with their rating and text."""

    items: pl.DataFrame
    interactions: pl.DataFrame
    reviews: pl.DataFrame

    def before(self, day: int) -> ReviewedShop:
        """Return the shop as it was at the beginning of a day of its log."""
        end = START + timedelta(days=day)
        return ReviewedShop(self.items, *(table.filter(pl.col(TIMESTAMP) < end) for table in (self.interactions, self.reviews)))


def reviewed_shop(seed: int = 0) -> ReviewedShop:
    """Make the shop."""
    rng = np.random.default_rng(seed)
    item_ids = np.array([item[0] for item in ITEMS])
    liked = np.array([item[5] for item in ITEMS])
    at = np.sort(rng.random(VISITS)) * DAYS
    often = np.where(item_ids == BROKEN, BROKEN_SHARE, (1 - BROKEN_SHARE) / (len(ITEMS) - 1))
    user, item = rng.integers(USERS, size=VISITS), rng.choice(len(ITEMS), size=VISITS, p=often)
    times = [START + timedelta(days=float(day)) for day in at]
    users = [f"customer-{number:03d}" for number in user]
    interactions = pl.DataFrame({USER_ID: users, ITEM_ID: item_ids[item], TIMESTAMP: times})
    rows = []
    for visit in np.flatnonzero(rng.random(VISITS) < REVIEWED).tolist():
        written = at[visit] + rng.uniform(1, 4)
        if written >= DAYS:
            continue
        broken = item_ids[item[visit]] == BROKEN and at[visit] >= INCIDENT - 3
        good = rng.random() < (0.2 if broken else liked[item[visit]])
        stars, text = _review(rng, good=bool(good), broken=bool(broken))
        rows.append((users[visit], item_ids[item[visit]], START + timedelta(days=float(written)), stars, text))
    reviews = pl.DataFrame(rows, schema=[USER_ID, ITEM_ID, TIMESTAMP, STARS, TEXT], orient="row").sort(TIMESTAMP)
    columns = [ITEM_ID, TITLE, BRAND, CATEGORY, PRICE]
    items = pl.DataFrame([item[:5] for item in ITEMS], schema=columns, orient="row").with_columns(pl.col(TITLE).alias(DESCRIPTION))
    return ReviewedShop(items, interactions, reviews)


def _review(rng: np.random.Generator, *, good: bool, broken: bool) -> tuple[int, str]:
    """Return stars and text; an opening of its own keeps a review from being a copy of another."""
    stars, told = _opinion(rng, good=good, broken=broken)
    return stars, f"Ordered for {rng.choice(FOR_WHOM)} {rng.choice(WHEN)}, {rng.choice(WHERE)}. {told}"


def _opinion(rng: np.random.Generator, *, good: bool, broken: bool) -> tuple[int, str]:
    """Return stars and what is said of the item."""
    if not good and broken:
        sentences = [BREAKS[rng.integers(len(BREAKS))]]
        return 1, " ".join([*sentences, COMPLAINTS[8]][: rng.integers(1, 3)])
    if rng.random() < 0.1:
        return 3, SO_SO[rng.integers(len(SO_SO))]
    pool, other = (PRAISE, COMPLAINTS) if good else (COMPLAINTS, PRAISE)
    sentences = rng.choice(pool, size=rng.integers(1, 4), replace=False).tolist()
    if rng.random() < 0.15:
        sentences.append(str(rng.choice(other)))
    return int(rng.choice((4, 5) if good else (1, 2))), " ".join(sentences)
