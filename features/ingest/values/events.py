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
from features.ingest.values.placeholders import RAW, WRITTEN, not_null_word, present, raw, trimmed
from features.ingest.values.stars import stars
from features.names import CART, DISLIKE, EVENT, EVENTS, PURCHASE, RATING, STARS, VALUE, VIEW
from features.text.plain import agree, counted

if TYPE_CHECKING:
    from collections.abc import Callable

    from features.ingest.source import Source

# Middle of the usual scales, by their highest value. The middle of the ratings given would make 4 of 5 stars a dislike in a shop that
# gets 4 and 5 alone.
_MIDDLES = {1.0: 0.5, 5.0: 3.0, 10.0: 5.5, 100.0: 50.0}
_FROM_ONE = (5.0, 10.0)  # scales whose lowest value is mostly 1
_OFTEN = 0.1  # share of zeros from which they are no stars
_WORDS = 1_000  # distinct words that are looked at
_LISTED = 5
_TYPICAL_HIGHEST = 0.999  # quantile: a few mistyped ratings do not change the scale


# Words of known logs (Retailrocket, Taobao, Amazon Personalize), spelled without spaces, hyphens and underscores.
KNOWN_WORDS = {
    PURCHASE: (
        "purchases",
        "purchased",
        "buy",
        "bought",
        "transaction",
        "ordered",
        "sale",
        "sold",
        "checkoutcomplete",
        "checkoutcompleted",
    ),
    CART: ("addtocart", "addedtocart", "cartadd", "addtobasket", "addtobag", "basket"),
    VIEW: ("views", "viewed", "pageview", "pv", "productview", "productviewed", "viewitem", "viewproduct", "detailview", "itemview"),
    RATING: ("rated", "rate", "review", "reviewed", "like", "liked", "thumbsup", "thumbup", "upvote"),
    DISLIKE: ("disliked", "thumbsdown", "thumbdown", "downvote"),
}
_MEANING = {word: event for event, words in KNOWN_WORDS.items() for word in words}


@dataclass(frozen=True)
class Events:
    """The reading of a log's events.

    Attributes
    ----------
    words : the shop's word -> the canonical event.
    least : ratings below this are dislikes; None without stars.
    plain : whether all stars are plain numbers.
    unrated : whether no stars (0) mean that there is no rating.
    notes : what was decided, with counts.
    advice : what to do about words that are not understood.
    """

    words: dict[str, str]
    least: float | None = None
    plain: bool = True
    unrated: bool = False
    notes: tuple[str, ...] = ()
    advice: str = ""

    @classmethod
    def of(cls, table: pl.LazyFrame, source: Source) -> Events:
        """Survey a log whose columns are raw (`features.ingest.values.placeholders.raw`)."""
        seen = _seen(table)
        words, notes = _understood(seen, source.events)
        events = cls(words, notes=notes)
        found = set(seen.select(events._word()).to_series())
        if found - {*EVENTS}:
            events = events._with_unknown(seen)
        if RATING not in found:
            return events
        plain = not table.select((present(STARS).is_not_null() & number(STARS).is_null()).any()).collect(engine="streaming").item()
        return replace(events, plain=plain)._rated(table, source.min_rating)

    def _with_unknown(self, seen: pl.DataFrame) -> Events:
        """Add a note on the words that are no event."""
        odd = seen.filter(~self._word().is_in(EVENTS)).group_by(word=trimmed(EVENT)).agg(pl.col("len").sum())
        rows = odd.sort("len", "word", descending=[True, False]).rows()
        note, advice = not_understood(rows, "source.events", _meaning)
        return replace(self, notes=(*self.notes, note), advice=advice)

    def _rated(self, table: pl.LazyFrame, bound: float | None) -> Events:
        """Return the events of a log with ratings, with the bound between praise and dislike."""
        found, rating = stars(plain=self.plain), self._word() == RATING
        facts = (
            table.select(
                stars=found.count(),
                highest=found.quantile(_TYPICAL_HIGHEST, "higher"),
                lowest=found.filter(found != 0).min(),
                zeros=(found == 0).sum(),
                ones=(found == 1).sum(),
                unread=(present(STARS).is_not_null() & found.is_null()).sum(),
                example=present(STARS).filter(found.is_null()).drop_nulls().first(),
                paid=(rating & present(VALUE).is_not_null()).sum(),
            )
            .collect(engine="streaming")
            .row(0, named=True)
        )
        notes = [*self.notes]
        if facts["paid"]:
            ratings = counted(facts["paid"], "rating")
            notes.append(f"note: the value of {ratings} is not read, for a rating is no sale: if it is the stars, map it as rating")
        if facts["unread"]:
            what = f"note: rating is not a number in {counted(facts['unread'], 'row')} (e.g. {facts['example']!r})"
            notes.append(f"{what}: {agree(facts['unread'], 'it counts', 'they count')} as praise")
        if not facts["stars"]:
            return replace(self, notes=tuple(notes))
        scale = next((top for top in _MIDDLES if facts["highest"] <= top), facts["highest"])
        least = bound if bound is not None else _MIDDLES.get(scale, scale / 2)
        # Review software and Book-Crossing write 0 where nobody gave stars; on a scale from 0 the worst is not that frequent.
        often = facts["zeros"] > max(facts["ones"], _OFTEN * facts["stars"])
        unrated = bound is None and scale in _FROM_ONE and (facts["lowest"] or 0) >= 1 and often
        if unrated:
            notes.append(f"note: {facts['zeros']:,} ratings of 0 are read as events without stars: source.min_rating makes them dislikes")
        events = replace(self, least=least, unrated=unrated)
        counts = table.select(disliked=(events.read() == DISLIKE).sum(), rated=(rating & found.is_not_null()).sum()).collect()
        disliked, rated = counts.row(0)
        below = f"{disliked:,} of {rated:,} {agree(disliked, 'is', 'are')} below {least:g} and {agree(disliked, 'counts', 'count')}"
        what = f"note: ratings are read as stars up to {scale:g}: {below} as {agree(disliked, 'a dislike', 'dislikes')}"
        return replace(events, notes=(*notes, f"{what}; source.min_rating sets another bound"))

    def read(self) -> pl.Expr:
        """Return the event of each row."""
        word = self._word()
        if self.least is None:
            return word
        found = stars(plain=self.plain)
        below = found < self.least if not self.unrated else (found < self.least) & (found != 0)
        return pl.when((word == RATING) & below).then(pl.lit(DISLIKE)).otherwise(word)

    def _word(self) -> pl.Expr:
        word = not_null_word(trimmed(EVENT), WRITTEN).replace(self.words).str.to_lowercase()
        purchase = pl.lit(self.words.get("", PURCHASE))
        return word.fill_null(pl.when(present(STARS).is_null()).then(purchase).otherwise(pl.lit(RATING)))


def _seen(table: pl.LazyFrame) -> pl.DataFrame:
    """Return the raw words of the log with and without stars, each with `len` rows of which `row` is the first.

    Rows that a format refuses are left out: they say so themselves.
    """
    words = table.filter(raw(REFUSED).is_null()).select("row", raw(EVENT), rated=present(STARS).is_not_null())
    counts = words.group_by(raw(EVENT), "rated").agg(pl.len(), pl.col("row").min()).collect(engine="streaming")
    return counts.with_columns(pl.when("rated").then(pl.lit("rated")).alias(f"{RAW}{STARS}"))


def _understood(seen: pl.DataFrame, own: dict[str, str]) -> tuple[dict[str, str], tuple[str, ...]]:
    """Return the words of the log -> events, those of the user first, and a note on the others."""
    counts = seen.group_by(word=not_null_word(trimmed(EVENT), WRITTEN)).agg(pl.col("len").sum()).drop_nulls()
    found = {}
    for word, count in counts.sort("len", "word", descending=[True, False]).head(_WORDS).iter_rows():
        event = _MEANING.get(re.sub(r"[\s_\-]+", "", word.lower()))
        if word not in own and event is not None:
            found[word] = (event, count)
    notes = _empty(seen) if counts.height and "" not in own else []
    if found:
        listed = ", ".join(f"{word!r} as {event} ({count:,} rows)" for word, (event, count) in found.items())
        notes.append(f"note: events are read by their words: {listed}; [source.events] gives them another meaning")
    return {word: event for word, (event, _) in found.items()} | own, tuple(notes)


def _empty(seen: pl.DataFrame) -> list[str]:
    """Return a note on rows without an event in a log that has events."""
    missing = seen.filter(not_null_word(trimmed(EVENT), WRITTEN).is_null() & present(STARS).is_null())
    count, row = missing["len"].sum(), missing["row"].min()
    if not count:
        return []
    have, purchases = ("row has", "counts as a purchase") if count == 1 else ("rows have", "count as purchases")
    what = f"note: {count:,} {have} no event (row {row:,}) and {purchases}"
    return [f'{what}: [source.events] "" = "view" makes them something else']


def _meaning(word: str) -> str:
    """Return the event that a shop's word most likely names."""
    of_words = ((PURCHASE, r"order|buy|bought|purchas|sale|sold|transact|checkout|paid|pay"), (CART, r"cart|basket|bag|wish|fav"))
    return next((event for event, pattern in of_words if re.search(pattern, word.lower())), VIEW)


def not_understood(
    words: list[tuple[str, int]], section: str, meaning: Callable[[str], str], longest: int | None = None
) -> tuple[str, str]:
    """Return a note on words that are no event, and what to do about them.

    Parameters
    ----------
    words : with their counts, most frequent first.
    section : of the configuration that gives words a meaning.
    meaning : returns the event that a word most likely names.
    longest : letters of a word that are shown, at most; None for all.
    """
    listed = ", ".join(f"{visible(word[:longest])} ({count:,})" for word, count in words[:_LISTED]) + (", ..." * (len(words) > _LISTED))
    pairs = ", ".join(f'{quoted(word)} = "{meaning(word)}"' for word, _ in words[:_LISTED])
    what = f"the {agree(len(words), 'event', 'events')} {listed} {agree(len(words), 'is', 'are')} not understood"
    advice = f"say under [{section}] what {agree(len(words), 'it', 'each')} is, such as {pairs}"
    return f"note: {what}, and such rows are quarantined: {advice}", advice


def no_sale(event: pl.Expr) -> pl.Expr:
    """Return whether an event is no sale, so that its value is not a price paid."""
    return event.is_in([RATING, DISLIKE])
