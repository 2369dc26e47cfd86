"""What a bundle says of its customers: the days on which they bought, what they paid, and what was expected of them when it was built."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np
import polars as pl

from features.behavior.purchase_days import PurchaseDays, end_of
from features.data.interactions import DAY
from features.names import USER_ROW
from ranking.outcomes.customer_models import PREDICTIONS, CustomerModels

if TYPE_CHECKING:
    from collections.abc import Mapping

    from features.data.interactions import Interactions

_TABLE, _DAYS, _ABOUT = "customers.parquet", "purchase_days.parquet", "about.json"


@dataclass(frozen=True)
class CustomerTables:
    """The purchases of customers by day, and the predictions of the models of customers. A bundle's log has no values, so the days do.

    Attributes
    ----------
    days : the purchase days, by the user rows of the snapshot's log; none of a log without a calendar.
    expected : `PREDICTIONS`, a row for each customer who has bought, sorted by user row.
    until : end of the log, seconds since the epoch; 0 without a calendar.
    notes : what could not be predicted and why.
    built : False in a bundle that was built without this part.
    """

    days: PurchaseDays
    expected: pl.DataFrame
    until: int = 0
    notes: tuple[str, ...] = ()
    built: bool = True

    @classmethod
    def of(cls, log: Interactions, models: CustomerModels) -> Self:
        """Read the purchases of a log, and predict at its end."""
        until = end_of(log)
        return cls(PurchaseDays.of(log) if until else _no_days(log.n_users), models.predict(log, until), until, models.notes)

    @classmethod
    def empty(cls) -> Self:
        """Return that of a bundle without this part."""
        return cls(_no_days(0), pl.DataFrame(schema=PREDICTIONS), built=False)

    @property
    def last_day(self) -> int:
        """The last day of the log, days since the epoch."""
        return (self.until - 1) // DAY

    def of_users(self, before: np.ndarray, after: np.ndarray) -> Self:
        """Keep some of the users, whose rows change.

        Parameters
        ----------
        before, after : the external ids of all user rows, sorted, object (n,); `after` has some of those of `before`.
        """
        kept = np.isin(before, after)
        place = np.searchsorted(after, before)
        left = kept[self.days.user]
        columns = {name: getattr(self.days, name)[left] for name in ("day", "first", "time", "value", "lines")}
        days = PurchaseDays(place[self.days.user[left]], **columns, n_users=len(after))
        user = self.expected[USER_ROW].to_numpy()
        moved = self.expected.with_columns(pl.Series(USER_ROW, place[user])).filter(pl.Series(kept[user]))
        return type(self)(days, moved, self.until, self.notes, self.built)

    def to_files(self) -> dict[str, bytes]:
        """Return the tables as Parquet and the rest as JSON; no file of a bundle without this part."""
        if not self.built:
            return {}
        days, of_day = self.days, self.days.day * DAY
        table = pl.DataFrame({"user": days.user, "day": days.day, "first": days.first - of_day, "time": days.time - of_day})
        table = table.cast(pl.Int32).with_columns(value=days.value, lines=pl.Series(days.lines).cast(pl.Int32))
        # Four digits are more than the models know, and float32 halves the file.
        expected = self.expected.with_columns(pl.col(pl.Float64).round_sig_figs(4).cast(pl.Float32))
        about = {"until": self.until, "notes": self.notes, "n_users": days.n_users}
        return {_DAYS: _parquet(table), _TABLE: _parquet(expected), _ABOUT: json.dumps(about).encode()}

    @classmethod
    def from_files(cls, files: Mapping[str, bytes]) -> Self:
        """Read the files that `to_files` wrote."""
        if _TABLE not in files:
            return cls.empty()
        about, table = json.loads(files[_ABOUT]), pl.read_parquet(io.BytesIO(files[_TABLE]))
        expected = table.select(pl.col(name).cast(kind) for name, kind in PREDICTIONS.items())
        stored = pl.read_parquet(io.BytesIO(files[_DAYS]))
        user, day, first, time = (stored[name].cast(pl.Int64).to_numpy() for name in ("user", "day", "first", "time"))
        value, lines = (stored[name].cast(pl.Float64).to_numpy() for name in ("value", "lines"))
        days = PurchaseDays(user, day, first + day * DAY, time + day * DAY, value, lines, about["n_users"])
        return cls(days, expected.with_columns(pl.col(pl.Float64).round_sig_figs(4)), about["until"], tuple(about["notes"]))


def _no_days(n_users: int) -> PurchaseDays:
    whole, none = np.zeros(0, dtype=np.int64), np.zeros(0)
    return PurchaseDays(whole, whole, whole, whole, none, none, n_users)


def _parquet(table: pl.DataFrame) -> bytes:
    buffer = io.BytesIO()
    table.write_parquet(buffer)
    return buffer.getvalue()
