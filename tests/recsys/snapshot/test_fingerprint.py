"""The digest of training data: columns that came later count where they say something."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import polars as pl
import pytest

from features.data.catalog import Catalog
from features.names import ATTRIBUTES, BARCODE, GROUP_ID, MARGIN, STOCK
from features.storage.digests import of_strings
from features.text.template import item_texts
from recsys.snapshot.fingerprint import fingerprint

FIRST = ["item_id", "title", "description", "brand", "category", "price", "available", "created_at"]


def test_a_catalogue_without_later_columns_has_the_fingerprint_of_before(shop: Any) -> None:
    digest = hashlib.sha256(shop.catalog.frame.select(FIRST).write_json().encode())
    for column in shop.log.columns().values():
        digest.update(np.ascontiguousarray(column).tobytes())
    digest.update(of_strings(shop.log.user_ids.tolist()))
    assert fingerprint(shop.catalog, shop.log) == digest.hexdigest()


@pytest.mark.parametrize("column", [GROUP_ID, ATTRIBUTES, BARCODE])
def test_a_later_column_counts_where_it_has_a_value(shop: Any, column: str) -> None:
    frame = shop.catalog.frame.with_columns(pl.when(pl.col("item_id") == "sku-03").then(pl.lit("red")).alias(column))
    changed = Catalog(frame)
    assert fingerprint(changed, shop.log) != fingerprint(shop.catalog, shop.log)
    assert item_texts(changed).equals(item_texts(shop.catalog)), "no text that the encoder reads changes"


@pytest.mark.parametrize("column", [MARGIN, STOCK])
def test_what_no_model_reads_does_not_count(shop: Any, column: str) -> None:
    changed = Catalog(shop.catalog.frame.with_columns(pl.lit(3.0).alias(column)))
    assert fingerprint(changed, shop.log) == fingerprint(shop.catalog, shop.log)
