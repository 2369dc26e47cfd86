"""Canonical rows of a log as integer rows and numbers, sorted by user and time: of one table, or of a log in partitions by user."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from features.data.prices import unit_price
from features.errors import DataError
from features.names import DISLIKE, EVENT, EVENT_ID, EVENTS, ITEM_ID, PURCHASE, QUANTITY, TIMESTAMP, USER_ID, VALUE
from features.storage.mapped import mapped, release

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

# Canonical columns of a log with external ids. The first three are required.
INTERACTION_COLUMNS: dict[str, pl.DataType] = {
    USER_ID: pl.String(),
    ITEM_ID: pl.String(),
    TIMESTAMP: pl.Datetime("us"),
    EVENT: pl.String(),
    QUANTITY: pl.Float64(),
    VALUE: pl.Float64(),
    EVENT_ID: pl.String(),
}
_TYPES = {
    "user": np.int32,
    "item": np.int32,
    "time": np.int64,
    "event": np.int8,
    "weight": np.float32,
    "price": np.float64,
    "value": np.float64,
}


@dataclass(frozen=True)
class LogRows:
    """Events of some users.

    Attributes
    ----------
    user_ids : pl.Series of strings (n_users,)
        Sorted.
    columns : name -> array (n,)
        user, item, time, event, weight, price and value, as in `features.data.interactions.Interactions`; sorted by user, time, item,
        event, price and value, so that the same rows in any order give the same arrays.
    """

    user_ids: pl.Series
    columns: dict[str, np.ndarray]

    @classmethod
    def of(cls, frame: pl.DataFrame, item_ids: pl.Series, weights: Mapping[str, float]) -> LogRows:
        """Convert canonical rows with external ids; drop rows of items that are not among `item_ids`.

        Raises
        ------
        DataError
            If a required column is missing.
        """
        missing = {USER_ID, ITEM_ID, TIMESTAMP} - set(frame.columns)
        if missing:
            raise DataError(f"the log lacks {sorted(missing)}; found {frame.columns}: map your names in recsys.toml")
        defaults = [pl.lit(None, kind).alias(name) for name, kind in INTERACTION_COLUMNS.items() if name not in frame.columns]
        weights = dict(weights) | {DISLIKE: 0.0}
        items = pl.DataFrame({ITEM_ID: item_ids}).with_row_index("item")
        table = frame.with_columns(defaults).join(items, on=ITEM_ID, how="inner").drop(ITEM_ID, EVENT_ID)
        users = table[USER_ID].unique().drop_nulls().sort()
        table = table.join(pl.DataFrame({USER_ID: users}).with_row_index("user"), on=USER_ID, how="inner").drop(USER_ID)
        value, quantity = (table[name].cast(pl.Float64).fill_null(float("nan")).to_numpy() for name in (VALUE, QUANTITY))
        event = pl.col(EVENT).fill_null(PURCHASE)
        table = table.select(
            pl.col("user", "item").cast(pl.Int32),
            time=pl.col(TIMESTAMP).cast(pl.Datetime("us")).dt.epoch("s"),
            event=event.replace_strict(list(EVENTS), list(range(len(EVENTS))), return_dtype=pl.Int8),
            weight=event.replace_strict(list(weights), list(weights.values()), return_dtype=pl.Float32),
            price=pl.Series(unit_price(value, quantity)),
            value=pl.Series(value),
        ).sort("user", "time", "item", "event", "price", "value")
        return cls(users, {name: table[name].to_numpy() for name in _TYPES})

    @classmethod
    def of_parts(cls, parts: Iterable[pl.DataFrame], item_ids: pl.Series, weights: Mapping[str, float]) -> LogRows:
        """Convert the partitions of a log, of which no two have a user in common, one after another.

        The columns of several partitions lie in files (`features.storage.mapped`): no more than one partition and one column are in
        memory together.

        Raises
        ------
        DataError
            Like `of`; or if a user is in two partitions.
        """
        rows: list[LogRows] = []
        for part in parts:
            if rows:
                rows[-1] = rows[-1]._aside()
            rows.append(cls.of(part, item_ids, weights))
        return rows[0] if len(rows) == 1 else _joined([*rows[:-1], rows[-1]._aside()])

    def __len__(self) -> int:
        return len(self.columns["user"])

    def _aside(self) -> LogRows:
        """Return the same rows with columns that lie in files."""
        columns = {}
        for name, column in self.columns.items():
            columns[name] = mapped(len(column), column.dtype)
            columns[name][:] = column
            release(columns[name])
        return LogRows(self.user_ids, columns)


def _joined(parts: list[LogRows]) -> LogRows:
    user_ids = pl.concat([part.user_ids for part in parts]).sort()
    if (user_ids[1:] == user_ids[:-1]).any():
        raise DataError("a user is in two partitions of the log: run `recsys ingest` again")
    rows = [np.asarray(user_ids.search_sorted(part.user_ids)).astype(np.int32) for part in parts]
    counts = np.zeros(len(user_ids), dtype=np.int64)
    for row, part in zip(rows, parts, strict=True):
        counts[row] = np.bincount(part.columns["user"], minlength=len(row))
    begins = np.cumsum(counts) - counts
    columns = {}
    for name, kind in _TYPES.items():
        columns[name] = out = mapped(int(counts.sum()), kind)
        for row, part in zip(rows, parts, strict=True):
            user = part.columns["user"]
            # The events of a user stay together: they move from where they begin in the partition to where they begin in the log.
            moved = (begins[row] - (np.cumsum(counts[row]) - counts[row]))[user]
            out[moved + np.arange(len(user))] = row[user] if name == "user" else part.columns[name]
            for column in part.columns.values():
                release(column)
        release(out)
    return LogRows(user_ids, columns)
