"""Events of the log: their words, and what the stars of a rating make of it.

A rating below the middle of its scale is no praise but a dislike. A log with a column of stars and none of events is one of ratings.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from features.ingest.money.number_forms import number
from features.ingest.values.placeholders import WRITTEN, not_null_word, present, trimmed
from features.names import DISLIKE, EVENT, PURCHASE, RATING, STARS, VALUE

if TYPE_CHECKING:
    from features.ingest.source import Source

# Middle of the usual scales, by their highest value. The middle of the ratings given would make 4 of 5 stars a dislike in a shop that
# gets 4 and 5 alone.
_MIDDLES = {1.0: 0.5, 5.0: 3.0, 10.0: 5.5, 100.0: 50.0}
_TYPICAL_HIGHEST = 0.999  # quantile: a few mistyped ratings do not change the scale


@dataclass(frozen=True)
class Events:
    """The reading of a log's events.

    Attributes
    ----------
    words : the shop's word -> the canonical event.
    least : ratings below this are dislikes; None without stars.
    notes : what was decided, with counts.
    """

    words: dict[str, str]
    least: float | None = None
    notes: tuple[str, ...] = ()

    @classmethod
    def of(cls, table: pl.LazyFrame, source: Source) -> Events:
        """Survey a log whose columns are raw (`features.ingest.values.placeholders.raw`)."""
        words = cls(source.events)
        if RATING not in table.select(words._word().unique()).collect(engine="streaming").to_series():
            return words
        stars, rating = number(STARS), words._word() == RATING
        facts = (
            table.select(
                stars=stars.count(),
                highest=stars.quantile(_TYPICAL_HIGHEST, "higher"),
                unread=(present(STARS).is_not_null() & stars.is_null()).sum(),
                example=present(STARS).filter(stars.is_null()).drop_nulls().first(),
                paid=(rating & present(VALUE).is_not_null()).sum(),
            )
            .collect(engine="streaming")
            .row(0, named=True)
        )
        notes = []
        if facts["paid"]:
            notes.append(f"note: value of {facts['paid']:,} ratings is not read, for a rating is no sale: map stars as rating")
        if facts["unread"]:
            what = f"note: rating is not a number in {facts['unread']:,} rows (e.g. {facts['example']!r})"
            notes.append(f"{what}: they count as praise")
        if not facts["stars"]:
            return cls(source.events, notes=tuple(notes))
        scale = next((top for top in _MIDDLES if facts["highest"] <= top), facts["highest"])
        least = source.min_rating if source.min_rating is not None else _MIDDLES.get(scale, scale / 2)
        counts = table.select(disliked=(rating & (stars < least)).sum(), rated=(rating & stars.is_not_null()).sum()).collect()
        disliked, rated = counts.row(0)
        what = f"note: ratings are read as stars up to {scale:g}: {disliked:,} of {rated:,} are below {least:g} and count as dislikes"
        return cls(source.events, least, (*notes, f"{what}; source.min_rating sets another bound"))

    def read(self) -> pl.Expr:
        """Return the event of each row."""
        word = self._word()
        if self.least is None:
            return word
        return pl.when((word == RATING) & (number(STARS) < self.least)).then(pl.lit(DISLIKE)).otherwise(word)

    def _word(self) -> pl.Expr:
        word = not_null_word(trimmed(EVENT), WRITTEN).replace(self.words).str.to_lowercase()
        return word.fill_null(pl.when(present(STARS).is_null()).then(pl.lit(PURCHASE)).otherwise(pl.lit(RATING)))


def no_sale(event: pl.Expr) -> pl.Expr:
    """Return whether an event is no sale, so that its value is not a price paid."""
    return event.is_in([RATING, DISLIKE])
