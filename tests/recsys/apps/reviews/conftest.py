"""The tiny shop with reviews: tea is praised, until a tea begins to be complained of."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

import polars as pl
import pytest

from features.ingest.source import Source
from recsys.refresh import build
from tests.features.reviews.made_up import ByWords
from tests.recsys.conftest import Place

FIRST, DAYS, SURGE = datetime(2024, 1, 1), 160, 140
ITEM = "sku-00"


def written(until: int) -> pl.DataFrame:
    """Three reviews a day of one item, one each of two others; from the day `SURGE` on, most of the first complain of its quality."""
    rows = []
    for day in range(until):
        for number in range(3):
            bad = number < 2 if day >= SURGE else (day + number) % 9 == 0
            text = f"Bad quality, number {day} {number}." if bad else f"Good quality, number {day} {number}."
            rows.append((f"author-{day}-{number}", ITEM, FIRST + timedelta(days=day, hours=number), 1 if bad else 5, text))
        rows.append((f"author-{day}-x", "sku-20", FIRST + timedelta(days=day), 4, f"Good, number {day}."))  # of no aspect
        rows.append((f"author-{day}-x", "sku-10", FIRST + timedelta(days=day), 4, f"A good price, number {day}."))
    return pl.DataFrame(rows, schema=["user_id", "item_id", "timestamp", "rating", "text"], orient="row")


@pytest.fixture
def reviewed(spare: Place, monkeypatch: pytest.MonkeyPatch) -> Callable[[int], Place]:
    """The shop on a day, ingested and published; its reviews are read by a classifier that goes by words."""
    file = spare.folder / "reviews.csv"
    monkeypatch.setattr(build.Build, "_sentiment", lambda _: ByWords())

    def stand(day: int) -> Place:
        written(day).write_csv(file)
        spare.workspace.ingest(Source(items=spare.items, interactions=spare.log, reviews=file))
        build.build_index(spare.workspace, spare.settings)
        return spare

    return stand
