"""Events of the log: their words, and what the stars of a rating make of it.

A rating below the middle of its scale is no praise but a dislike. A log with a column of stars and none of events is one of ratings.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import polars as pl

from features.data.ids import visible
from features.ingest.formats.layout import REFUSED
from features.ingest.money.number_forms import number
from features.ingest.times.time_survey import quoted
from features.ingest.values.placeholders import WRITTEN, not_null_word, present, trimmed
from features.names import DISLIKE, EVENT, EVENTS, PURCHASE, RATING, STARS, VALUE
from features.text.plain import agree, counted

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
    advice : what to do about words that are not understood.
    """

    words: dict[str, str]
    least: float | None = None
    notes: tuple[str, ...] = ()
    advice: str = ""

    @classmethod
    def of(cls, table: pl.LazyFrame, source: Source) -> Events:
        """Survey a log whose columns are raw (`features.ingest.values.placeholders.raw`)."""
        words = cls(source.events)
        found = set(table.select(words._word().unique()).collect(engine="streaming").to_series())
        if found - {*EVENTS}:
            words = words._with_unknown(table)
        return words._with_ratings(table, source) if RATING in found else words

    def _with_unknown(self, table: pl.LazyFrame) -> Events:
        """Add a note on the words that are no event. Rows that a format refuses say so themselves."""
        if REFUSED in table.collect_schema():
            table = table.filter(pl.col(REFUSED).is_null())
        odd = table.filter(~self._word().is_in(EVENTS)).group_by(word=trimmed(EVENT)).len()
        rows = odd.sort("len", "word", descending=[True, False]).collect(engine="streaming").rows()
        if not rows:
            return self
        listed = ", ".join(f"{visible(word)} ({count:,})" for word, count in rows[:5]) + (", ..." if len(rows) > 5 else "")
        words = ", ".join(f'{quoted(word)} = "{_meaning(word)}"' for word, _ in rows[:5])
        what = f"the {agree(len(rows), 'event', 'events')} {listed} {agree(len(rows), 'is', 'are')} not understood"
        advice = f"say under [source.events] what {agree(len(rows), 'it', 'each')} is, such as {words}"
        return replace(self, notes=(*self.notes, f"note: {what}, and such rows are quarantined: {advice}"), advice=advice)

    def _with_ratings(self, table: pl.LazyFrame, source: Source) -> Events:
        """Add what the stars of the ratings make of them."""
        words = self
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
        notes = list(self.notes)
        if facts["paid"]:
            ratings = counted(facts["paid"], "rating")
            notes.append(f"note: the value of {ratings} is not read, for a rating is no sale: if it is the stars, map it as rating")
        if facts["unread"]:
            what = f"note: rating is not a number in {counted(facts['unread'], 'row')} (e.g. {facts['example']!r})"
            notes.append(f"{what}: {agree(facts['unread'], 'it counts', 'they count')} as praise")
        if not facts["stars"]:
            return replace(self, notes=tuple(notes))
        scale = next((top for top in _MIDDLES if facts["highest"] <= top), facts["highest"])
        least = source.min_rating if source.min_rating is not None else _MIDDLES.get(scale, scale / 2)
        counts = table.select(disliked=(rating & (stars < least)).sum(), rated=(rating & stars.is_not_null()).sum()).collect()
        disliked, rated = counts.row(0)
        below = f"{disliked:,} of {rated:,} {agree(disliked, 'is', 'are')} below {least:g} and {agree(disliked, 'counts', 'count')}"
        what = f"note: ratings are read as stars up to {scale:g}: {below} as {agree(disliked, 'a dislike', 'dislikes')}"
        return replace(self, least=least, notes=(*notes, f"{what}; source.min_rating sets another bound"))

    def read(self) -> pl.Expr:
        """Return the event of each row."""
        word = self._word()
        if self.least is None:
            return word
        return pl.when((word == RATING) & (number(STARS) < self.least)).then(pl.lit(DISLIKE)).otherwise(word)

    def _word(self) -> pl.Expr:
        word = not_null_word(trimmed(EVENT), WRITTEN).replace(self.words).str.to_lowercase()
        return word.fill_null(pl.when(present(STARS).is_null()).then(pl.lit(PURCHASE)).otherwise(pl.lit(RATING)))


def _meaning(word: str) -> str:
    """Return the event that a shop's word most likely names."""
    of_words = ((PURCHASE, r"order|buy|bought|purchas|sale|sold|transact|checkout|paid|pay"), ("cart", r"cart|basket|bag|wish|fav"))
    return next((event for event, pattern in of_words if re.search(pattern, word.lower())), "view")


def no_sale(event: pl.Expr) -> pl.Expr:
    """Return whether an event is no sale, so that its value is not a price paid."""
    return event.is_in([RATING, DISLIKE])
