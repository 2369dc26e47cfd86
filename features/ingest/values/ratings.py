"""Ratings of reviews on any scale, mapped onto 1 to 5."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from features.data.reviews import HIGHEST, LOWEST
from features.ingest.money.number_forms import number
from features.ingest.values.placeholders import present
from features.ingest.values.stars import highest, stars
from features.names import STARS
from features.text.plain import agree, counted

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

_TOPS = (5.0, 10.0, 20.0, 100.0)  # of the usual scales
_FROM_ONE = (5.0, 10.0)  # scales that begin at 1, or at 0
_TYPICAL_HIGHEST = 0.999  # quantile: a few mistyped ratings do not change the scale
_OFTEN, _RARE = 0.1, 0.01  # share of zeros from which they are no ratings, and below which no scale begins there
_ENOUGH = 20  # ratings whose shares say something
_OWN = "source.reviews_scale, such as [1, 10], sets another"


@dataclass(frozen=True)
class Ratings:
    """The reading of a column of ratings.

    Attributes
    ----------
    scale : lowest and highest rating of the numbers that name no scale; None where there are none.
    plain : whether all ratings are plain numbers.
    unrated : whether 0 means that nobody rated.
    lowest : highest rating as a spelling says it ("4 out of 10") -> the lowest one of these.
    notes : what was decided, with counts.
    """

    scale: tuple[float, float] | None = None
    plain: bool = True
    unrated: bool = False
    lowest: Mapping[float, float] | None = None
    notes: tuple[str, ...] = ()

    @classmethod
    def of(cls, table: pl.LazyFrame, own: tuple[float, float] | None) -> Ratings:
        """Survey a table of reviews whose columns are raw.

        Parameters
        ----------
        own : lowest and highest rating of the scale, as the user says.
        """
        text = present(STARS)
        given, odd = table.select(text.count(), odd=(text.is_not_null() & number(STARS).is_null()).sum()).collect(engine="streaming").row(0)
        if not given:
            return cls()
        plain = not odd
        value, top = stars(plain=plain), pl.lit(None, pl.Float64) if plain else highest()
        said = table.select(value=value, top=top).filter(pl.col("top").is_not_null(), pl.col("value").is_not_null())
        tops = {} if plain else dict(said.group_by("top").agg(pl.col("value").min()).collect(engine="streaming").iter_rows())
        bare = table.select(value=pl.when(top.is_null()).then(value)).drop_nulls()
        facts = bare.select(
            n=pl.len(),
            highest=pl.col("value").quantile(_TYPICAL_HIGHEST, "higher"),
            lowest=pl.col("value").filter(pl.col("value") > 0).min(),
            zeros=(pl.col("value") == 0).sum(),
            ones=(pl.col("value") == 1).sum(),
            between=pl.col("value").is_between(0, 1, closed="none").sum(),
        )
        scale, unrated, notes = _scale(facts.collect(engine="streaming").row(0, named=True), own)
        lowest = {high: 1.0 if high in _FROM_ONE and low >= 1 else 0.0 for high, low in tops.items()}
        ratings = cls(scale, plain, unrated, lowest)
        return cls(scale, plain, unrated, lowest, (*notes, *ratings._said(), *ratings._unread(table)))

    def __str__(self) -> str:
        scales = [self.scale] if self.scale else []
        scales += [(low, high) for high, low in (self.lowest or {}).items() if (low, high) not in scales]
        return f"ratings on a scale of {' and '.join(f'{low:g} to {high:g}' for low, high in scales)}" if scales else "ratings"

    def read(self) -> pl.Expr:
        """Return the rating of each row, from 1 to 5; null where there is none, or none that lies on its scale."""
        value = stars(plain=self.plain)
        if self.unrated:
            value = pl.when(value != 0).then(value)
        low, high = self.scale or (LOWEST, HIGHEST)
        if self.plain:
            return _mapped(value, pl.lit(low), pl.lit(high), zero=low == 1)
        said, lowest = highest(), self.lowest or {}
        floor = said.replace_strict(list(lowest), list(lowest.values()), default=None, return_dtype=pl.Float64) if lowest else pl.lit(low)
        bare = said.is_null()
        ends = pl.when(bare).then(pl.lit(low)).otherwise(floor), pl.when(bare).then(pl.lit(high)).otherwise(said)
        return _mapped(value, *ends, zero=low == 1)

    def _said(self) -> list[str]:
        """Return the note on the scales that were read, with an example of those that are not ours."""
        scales = dict(self.lowest or {}) | ({self.scale[1]: self.scale[0]} if self.scale else {})
        if not scales:
            return []
        each = []
        for high, low in sorted(scales.items()):
            middle = round(low + 0.75 * (high - low), 2)
            ours = LOWEST + 0.75 * (HIGHEST - LOWEST)
            example = "" if (low, high) == (LOWEST, HIGHEST) else f" ({middle:g} is {ours:g} of 5)"
            each.append(f"{low:g} to {high:g}{example}")
        return [f"note: {STARS} is read on a scale of {' and '.join(each)}: {_OWN}"]

    def _unread(self, table: pl.LazyFrame) -> list[str]:
        """Return a note on ratings that are not understood; none if there are none."""
        zero = stars(plain=self.plain) == 0 if self.unrated else pl.lit(value=False)
        unread = table.filter(present(STARS).is_not_null() & self.read().is_null() & ~zero.fill_null(value=False))
        told = unread.select(pl.len(), row=pl.col("row").min(), example=present(STARS).sort_by("row").first())
        count, row, example = told.collect(engine="streaming").row(0)
        if not count:
            return []
        what = f"{counted(count, 'value')} of {STARS} {agree(count, 'is no rating on that scale', 'are no ratings on that scale')}"
        return [f"note: {what} ({example!r}, row {row:,}): unknown"]


def _mapped(value: pl.Expr, low: pl.Expr, high: pl.Expr, *, zero: bool) -> pl.Expr:
    """Map a scale onto 1 to 5. `zero`: a 0 on a scale from 1 is its lowest rating."""
    value = pl.when((value == 0) & (low == 1)).then(1.0).otherwise(value) if zero else value
    mapped = LOWEST + (value - low) / (high - low) * (HIGHEST - LOWEST)
    # To the tenth decimal place: 4.2 is 4.2 however the scale was divided.
    return pl.when(value.is_between(low, high)).then(mapped.round(10))


def _scale(facts: Mapping[str, Any], own: tuple[float, float] | None) -> tuple[tuple[float, float] | None, bool, list[str]]:
    """Return the scale of the numbers that name none, whether 0 means that nobody rated, and notes."""
    n, zeros = facts["n"], facts["zeros"]
    if not n:
        return None, False, []
    if own is not None:
        return own, bool(zeros) and own[0] > 0, []
    top = next((one for one in _TOPS if facts["highest"] <= one), facts["highest"])
    if facts["highest"] <= 1 and (zeros or facts["between"]):
        return (0.0, 1.0), False, []
    # Review software writes 0 where nobody gave stars; on a scale of stars from 0 the worst is not that frequent.
    if top == HIGHEST and n >= _ENOUGH and zeros > max(facts["ones"], _OFTEN * n) and facts["lowest"] >= 1:
        return (1.0, top), True, [f"note: {zeros:,} ratings of 0 are read as reviews without a rating"]
    if top not in _FROM_ONE or zeros >= _RARE * n > 0:
        return (0.0, top), False, []
    if facts["between"]:  # half stars
        return (0.0 if facts["lowest"] < 0.5 else 0.5, top), False, []
    notes = [f"note: {counted(zeros, 'rating')} of 0 {agree(zeros, 'counts', 'count')} as 1, the lowest of the scale"] if zeros else []
    return (1.0, top), False, notes
