"""What a bundle says of its customers: the chance of buying, the next purchase and the spend that were expected when it was built."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import polars as pl

from features.names import USER_ROW
from ranking.outcomes.customer_models import PREDICTIONS

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np

_TABLE, _ABOUT = "customers.parquet", "about.json"


@dataclass(frozen=True)
class ExpectedOfCustomers:
    """The predictions of the models of customers.

    Attributes
    ----------
    frame : `PREDICTIONS`, a row for each customer who has bought, by the user rows of the snapshot's log.
    notes : what could not be predicted and why.
    built : False in a bundle that was built without this part.
    """

    frame: pl.DataFrame
    notes: tuple[str, ...] = ()
    built: bool = True

    @classmethod
    def empty(cls) -> Self:
        """Return that of a bundle without this part."""
        return cls(pl.DataFrame(schema=PREDICTIONS), (), built=False)

    def without_users(self, rows: np.ndarray, n_users: int) -> Self:
        """Drop user rows of a log with so many users; those after them move up, as in `Interactions.without_users`."""
        left = pl.int_range(n_users, eager=True).filter(~pl.int_range(n_users, eager=True).is_in(rows.tolist()))
        places = pl.DataFrame({USER_ROW: left, "place": pl.int_range(len(left), eager=True)})
        kept = self.frame.join(places, on=USER_ROW, how="inner").with_columns(pl.col("place").alias(USER_ROW)).drop("place")
        return type(self)(kept.sort(USER_ROW), self.notes, self.built)

    def to_files(self) -> dict[str, bytes]:
        """Return the table as Parquet and the notes as JSON; no file of a bundle without this part."""
        if not self.built:
            return {}
        buffer = io.BytesIO()
        # Four digits are more than the models know, and float32 halves the file.
        self.frame.with_columns(pl.col(pl.Float64).round_sig_figs(4).cast(pl.Float32)).write_parquet(buffer)
        return {_TABLE: buffer.getvalue(), _ABOUT: json.dumps({"notes": self.notes}).encode()}

    @classmethod
    def from_files(cls, files: Mapping[str, bytes]) -> Self:
        """Read the files that `to_files` wrote."""
        if _TABLE not in files:
            return cls.empty()
        table = pl.read_parquet(io.BytesIO(files[_TABLE]))
        frame = table.select(pl.col(name).cast(kind) for name, kind in PREDICTIONS.items()).with_columns(
            pl.col(pl.Float64).round_sig_figs(4)
        )
        return cls(frame, tuple(json.loads(files[_ABOUT])["notes"]))
