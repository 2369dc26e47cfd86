"""The table of customers: whether they may be written to, their language, and attributes that the shop names."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Self

import numpy as np
import polars as pl

from features.errors import DataError
from features.names import ATTRIBUTES, CONSENT, LANGUAGE, OPTED_OUT, USER_ID
from features.storage.digests import of_strings

# Canonical columns of customers. The first one is required.
CUSTOMER_COLUMNS: dict[str, pl.DataType] = {
    USER_ID: pl.String(),
    CONSENT: pl.Boolean(),
    OPTED_OUT: pl.Boolean(),
    LANGUAGE: pl.String(),
    ATTRIBUTES: pl.String(),
}

# Why a customer may not be written to.
OPTED, UNLISTED, REFUSED, UNKNOWN = "opted out", "not in the table of customers", "no consent", "consent is not known"


@dataclass(frozen=True, eq=False)
class Customers:
    """What the shop says of its customers, sorted by their ids.

    Attributes
    ----------
    frame : `CUSTOMER_COLUMNS`, a row for each customer. `consent` and `opted_out` are null where nothing is known; `language` is an
        ISO 639-1 code, or empty; `attributes` is a JSON object of strings, the columns that `source.customers_attributes` names.

    Raises
    ------
    DataError
        If a column is missing or of another type, or ids are null, not unique or not sorted.
    """

    frame: pl.DataFrame

    def __post_init__(self) -> None:
        if dict(self.frame.schema) != CUSTOMER_COLUMNS:
            raise DataError(f"the customers have the columns {dict(self.frame.schema)}, expected {CUSTOMER_COLUMNS}: use Customers.of")
        ids = self.frame[USER_ID]
        if ids.null_count() or ids.n_unique() < len(ids) or not ids.is_sorted():
            raise DataError("the ids of the customers are missing, not unique or not sorted: use Customers.of")

    @classmethod
    def of(cls, frame: pl.DataFrame) -> Self:
        """Convert canonical rows; a column that may be absent is empty then.

        Raises
        ------
        DataError
            If there is no column of ids, or two rows have the same one.
        """
        if USER_ID not in frame.columns:
            raise DataError(f"the customers lack {USER_ID}; found {frame.columns}: map your names in recsys.toml")
        table = frame.select(
            (pl.col(name).cast(kind) if name in frame.columns else pl.lit(None, kind)).alias(name)
            for name, kind in CUSTOMER_COLUMNS.items()
        )
        return cls(table.with_columns(pl.col(LANGUAGE).fill_null(""), pl.col(ATTRIBUTES).fill_null("{}")).sort(USER_ID))

    def __len__(self) -> int:
        return self.frame.height

    @property
    def digest(self) -> str:
        """SHA-256 of the rows, 64 hex digits."""
        digest = hashlib.sha256()
        for name in CUSTOMER_COLUMNS:
            digest.update(of_strings(self.frame[name].cast(pl.String).fill_null("").to_list()))
        return digest.hexdigest()

    @property
    def has_consent(self) -> bool:
        """Whether the table says of anybody whether they agreed. Without, nothing is known of consent."""
        return bool(self.frame[CONSENT].count())

    def barred(self, user_ids: np.ndarray) -> dict[str, np.ndarray]:
        """Return who of some customers may not be written to: reason -> bool (n,), each customer under the first reason that holds.

        Unknown consent is none where the table has any, and so is that of a customer who is not in the table.
        """
        asked = pl.DataFrame({USER_ID: user_ids.astype(str)}, schema={USER_ID: pl.String})
        known = self.frame.select(USER_ID, CONSENT, OPTED_OUT, listed=pl.lit(value=True))
        table = asked.join(known, on=USER_ID, how="left", maintain_order="left")
        reasons = {OPTED: pl.col(OPTED_OUT).fill_null(value=False)}
        if self.has_consent:
            reasons |= {UNLISTED: pl.col("listed").is_null(), REFUSED: ~pl.col(CONSENT), UNKNOWN: pl.col(CONSENT).is_null()}
        found, left = {}, np.ones(table.height, dtype=bool)
        for reason, rule in reasons.items():
            found[reason] = left & table.select(rule.fill_null(value=False)).to_series().to_numpy()
            left = left & ~found[reason]
        return found

    def attribute(self, name: str) -> pl.DataFrame:
        """Return `user_id` and `value`, a string or null, of an attribute.

        Raises
        ------
        DataError
            If no customer has it.
        """
        rows = [json.loads(text) for text in self.frame[ATTRIBUTES]]
        if not any(name in row for row in rows):
            known = ", ".join(sorted({key for row in rows for key in row})) or "none"
            raise DataError(f"no customer has the attribute {name!r}, found {known}: name its column in source.customers_attributes")
        return self.frame.select(USER_ID).with_columns(value=pl.Series([row.get(name) for row in rows], dtype=pl.String))
