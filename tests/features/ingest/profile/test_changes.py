"""What a shop's export had at the last read and lost since, whatever the loss looks like, and what is no loss."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from features.ingest.pipeline import dry_run
from features.ingest.profile.changes import KEYS, changes
from features.ingest.profile.model import DataProfile
from features.ingest.source import Source

Frames = tuple[pl.DataFrame, pl.DataFrame]
N_ITEMS, N_EVENTS = 40, 400
START = datetime(2026, 1, 1)


def frames(**items: object) -> Frames:
    numbers = range(N_ITEMS)
    catalogue = {
        "item_id": [f"sku-{n:02}" for n in numbers],
        "title": [f"Tee Nummer {n}" if n % 4 else f"Grüner Tee {n}" for n in numbers],
        "brand": [None if n % 3 == 0 else "Nord" for n in numbers],
        "price": [f"{n + 1}.50" for n in numbers],
        "currency": ["EUR" for _ in numbers],
        "available": ["no" if n % 4 == 0 else "yes" for n in numbers],
    }
    log = {
        "user_id": [f"u{n * 7 % 30}" for n in range(N_EVENTS)],
        "item_id": [f"sku-{n * 11 % N_ITEMS:02}" for n in range(N_EVENTS)],
        "timestamp": [f"{START + timedelta(hours=12 * n):%Y-%m-%d %H:%M}" for n in range(N_EVENTS)],
        "event": ["purchase" if n % 3 == 0 else "view" for n in range(N_EVENTS)],
        "quantity": ["1"] * N_EVENTS,
        "value": [f"{n % 9 + 1}.50" for n in range(N_EVENTS)],
    }
    return pl.DataFrame(catalogue | items), pl.DataFrame(log)


def profile(shop: Frames) -> DataProfile:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        shop[0].write_csv(folder / "items.csv")
        shop[1].write_csv(folder / "log.csv")
        found = dry_run(Source(items=folder / "items.csv", interactions=folder / "log.csv"), folder).profile
        assert found is not None
        return found


@pytest.fixture(scope="module")
def before() -> DataProfile:
    return profile(frames()).without_personal_data()


def items(**columns: pl.Expr) -> Callable[[Frames], Frames]:
    return lambda shop: (shop[0].with_columns(**columns), shop[1])


def log(**columns: pl.Expr) -> Callable[[Frames], Frames]:
    return lambda shop: (shop[0], shop[1].with_columns(**columns))


def events(rows: Callable[[pl.DataFrame], pl.DataFrame]) -> Callable[[Frames], Frames]:
    return lambda shop: (shop[0], rows(shop[1]))


every = pl.int_range(pl.len())
LOST = {
    "a column is renamed": (
        lambda shop: (shop[0].rename({"available": "in_stock"}), shop[1]),
        "items.available",
        r"has no column available any more; .*\(is it in_stock\?\)",
    ),
    "a price is dropped": (lambda shop: (shop[0].drop("price"), shop[1]), "items.price", "has no column price any more"),
    "an event is dropped": (events(lambda log: log.drop("event")), "interactions.event", "has no column event any more"),
    "most prices are empty": (items(price=pl.when(every < 5).then("price")), "items.price", "88% of the rows of items.csv have no price"),
    "no brand is left": (items(brand=pl.lit(None, pl.String)), "items.brand", "100% of the rows of items.csv have no brand"),
    "brands are placeholders": (items(brand=pl.lit("N/A")), "items.brand", "100% of the rows of items.csv have no brand"),
    "values are empty": (log(value=pl.lit("")), "interactions.value", "have no value, 0% at the last read"),
    "undecoded titles": (items(title=pl.col("title").str.replace("ü", "\ufffd")), "items.title", "damaged letters"),
    "titles with question marks": (items(title=pl.col("title").str.replace("ü", "?")), "items.title", "damaged letters"),
    "everything available": (items(available=pl.lit("yes")), "items.available", "all items are available, 75% were"),
    "everything sold out": (items(available=pl.lit("0")), "items.available", "all items are sold out"),
    "another currency": (items(currency=pl.lit("USD")), "items.currency", "the prices are in USD, in EUR"),
    "prices in cents": (items(price=pl.col("price").str.replace(".", "", literal=True)), "items.price", "half of the prices are above"),
    "prices in thousands": (items(price="0.00" + pl.col("price").str.replace(".", "", literal=True)), "items.price", "above 0.0"),
    "item ids of another form": (
        lambda shop: tuple(table.with_columns(pl.col("item_id").str.replace("sku-", "")) for table in shop),
        "items.item_id",
        "item ids have the form 9, a-9",
    ),
    "user ids of another form": (
        log(user_id=pl.col("user_id").str.to_uppercase()),
        "interactions.user_id",
        "user ids have the form A9, a9",
    ),
    "no purchases": (log(event=pl.lit("view")), "interactions.event", "no event of kind purchase"),
    "the beginning": (events(lambda log: log.tail(200)), "interactions.timestamp", "the log begins on 2026-04-11, on 2026-01-02"),
    "the newest events": (events(lambda log: log.head(380)), "interactions.timestamp", "the newest event of the log is of 2026-07-09"),
}
KEPT = {
    "nothing": lambda shop: shop,
    "some products are sold out": items(available=pl.when(every % 5 == 0).then(pl.lit("no")).otherwise(pl.lit("yes"))),
    "other words for availability": items(available=pl.col("available").replace({"yes": "1", "no": "0"})),
    "columns in another order": lambda shop: (shop[0].select(shop[0].columns[::-1]), shop[1].select(shop[1].columns[::-1])),
    "our name in capitals": lambda shop: (shop[0].rename({"available": "Available"}), shop[1].rename({"event": "EVENT"})),
    "a new column": items(weight=pl.lit("100")),
    "titles written anew": items(title="Neuer " + pl.col("title")),
    "a tenth of the prices is empty": items(price=pl.when(every % 10 > 0).then("price")),
    "value becomes unit_price": lambda shop: (shop[0], shop[1].rename({"value": "unit_price"})),
    "a window that moves on": log(
        timestamp=(pl.col("timestamp").str.to_datetime("%Y-%m-%d %H:%M") + pl.duration(days=60)).dt.strftime("%Y-%m-%d %H:%M")
    ),
    "the last order is cancelled": events(lambda log: log.head(398)),
    "products in other prices": items(price=(pl.col("price").cast(pl.Float64) * 1.1).round(2).cast(pl.String)),
}


@pytest.mark.parametrize("case", LOST)
def test_a_loss_is_noticed_and_nothing_else(case: str, before: DataProfile) -> None:
    change, key, says = LOST[case]
    ((found, words),) = [(one.key, one.words) for one in changes(before, profile(change(frames())))]
    assert found == key
    assert re.search(says, words), words
    assert "\n" not in words


@pytest.mark.parametrize("case", KEPT)
def test_what_is_no_loss_passes(case: str, before: DataProfile) -> None:
    assert changes(before, profile(KEPT[case](frames()))) == []


def test_one_sold_out_product_may_come_back() -> None:
    available = [n > 0 for n in range(N_ITEMS)]
    assert changes(profile(frames(available=available)), profile(frames(available=[True] * N_ITEMS))) == []


def test_keys_are_tables_and_columns() -> None:
    assert {"items.available", "interactions.event", "interactions.timestamp", "items.currency"} <= set(KEYS)
