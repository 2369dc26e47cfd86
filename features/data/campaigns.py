"""Campaigns: which customer was written to with which offer, what it cost, and whether it was redeemed."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import polars as pl

from features.errors import DataError
from features.names import CAMPAIGN_ID, CATEGORY, COST, HOLDOUT, ITEM_ID, OFFER, REDEEMED_AT, SENT_AT, USER_ID
from features.storage.digests import of_strings

if TYPE_CHECKING:
    from datetime import datetime

# Canonical columns of campaigns. The first three are required.
CAMPAIGN_COLUMNS: dict[str, pl.DataType] = {
    CAMPAIGN_ID: pl.String(),
    USER_ID: pl.String(),
    SENT_AT: pl.Datetime("us"),
    OFFER: pl.String(),
    ITEM_ID: pl.String(),
    CATEGORY: pl.String(),
    COST: pl.Float64(),
    REDEEMED_AT: pl.Datetime("us"),
    HOLDOUT: pl.Boolean(),
}


@dataclass(frozen=True, eq=False)
class Campaigns:
    """What was sent to whom, sorted by time.

    Attributes
    ----------
    frame : `CAMPAIGN_COLUMNS`; `holdout` is never null. A customer of the holdout was chosen by chance and not written to: `sent_at` is
        then the moment at which the others of the campaign were.

    Raises
    ------
    DataError
        If a column is missing or of another type, an id or a time is null, a cost is negative, or rows are not sorted by time.
    """

    frame: pl.DataFrame

    def __post_init__(self) -> None:
        frame = self.frame
        if dict(frame.schema) != CAMPAIGN_COLUMNS:
            raise DataError(f"the campaigns have the columns {dict(frame.schema)}, expected {CAMPAIGN_COLUMNS}: use Campaigns.of")
        for name in (CAMPAIGN_ID, USER_ID, SENT_AT, HOLDOUT):
            if count := frame[name].null_count():
                raise DataError(f"{name} is missing in {count:,} of {frame.height:,} rows of campaigns: run `recsys ingest` on them first")
        if frame.select((pl.col(COST) < 0).any()).item():
            raise DataError("a cost of the campaigns is negative: run `recsys ingest` on them first")
        if not frame[SENT_AT].is_sorted():
            raise DataError("the campaigns are not sorted by time: use Campaigns.of")

    @classmethod
    def of(cls, frame: pl.DataFrame) -> Self:
        """Convert canonical rows; a column that may be absent is null then, and nobody is held out.

        Raises
        ------
        DataError
            If a required column is missing, or a campaign of a holdout alone has no time.
        """
        if missing := [name for name in (CAMPAIGN_ID, USER_ID, SENT_AT) if name not in frame.columns]:
            raise DataError(f"the campaigns lack {' and '.join(missing)}; found {frame.columns}: map your names in recsys.toml")
        table = frame.select(
            (pl.col(name).cast(kind) if name in frame.columns else pl.lit(None, kind)).alias(name)
            for name, kind in CAMPAIGN_COLUMNS.items()
        )
        first = pl.col(SENT_AT).min().over(CAMPAIGN_ID)
        held = pl.col(HOLDOUT).fill_null(value=False)
        table = table.with_columns(held, pl.when(held).then(pl.col(SENT_AT).fill_null(first)).otherwise(SENT_AT).alias(SENT_AT))
        # The other columns break ties, so that the same rows in any order give the same table.
        return cls(table.sort(SENT_AT, CAMPAIGN_ID, USER_ID, OFFER, ITEM_ID, nulls_last=True))

    def __len__(self) -> int:
        return self.frame.height

    @property
    def digest(self) -> str:
        """SHA-256 of the rows, 64 hex digits."""
        digest = hashlib.sha256()
        for name in CAMPAIGN_COLUMNS:
            digest.update(of_strings(self.frame[name].cast(pl.String).fill_null("").to_list()))
        return digest.hexdigest()

    def before(self, moment: datetime) -> Self:
        """Return what was known at a moment: rows sent before it, without redemptions that came later."""
        known = self.frame.filter(pl.col(SENT_AT) < moment)
        return type(self)(known.with_columns(pl.when(pl.col(REDEEMED_AT) < moment).then(REDEEMED_AT).alias(REDEEMED_AT)))
