"""Events of the search log: their words, and what rows without one are."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from features.ingest.values.events import KNOWN_WORDS, not_understood
from features.ingest.values.placeholders import WRITTEN, not_null_word, present, trimmed
from features.names import CART, CLICK, EVENT, ITEM_ID, PURCHASE, SEARCH_EVENTS, SHOWN
from features.text.plain import counted

if TYPE_CHECKING:
    from collections.abc import Mapping

_WORDS = 1_000  # distinct words that are looked at
_SHOWN_LETTERS = 60  # of a word in a note
# Spelled without spaces, hyphens and underscores. A "view" may be of the list or of the product: the shop has to say.
_KNOWN = {
    SHOWN: (
        "show", "impression", "impressions", "impr", "display", "displayed", "exposure", "exposed", "listed", "served", "presented",
        "search", "searched", "searchresult", "searchresults", "result", "results", "searchimpression", "viewitemlist",
        "viewsearchresults", "noclick", "notclicked", "skip", "skipped",
    ),
    CLICK: (
        "clicks", "clicked", "clickthrough", "tap", "tapped", "select", "selected", "selectitem", "productclick", "productclicked",
        "resultclick", "resultclicked", "itemclick", "itemclicked", "searchclick", "open", "opened", "viewitem", "productview",
        "productviewed", "detailview", "itemview",
    ),
    CART: (*KNOWN_WORDS[CART], "add", "atc"),
    PURCHASE: (*KNOWN_WORDS[PURCHASE], "order", "conversion", "converted", "checkout"),
}  # fmt: skip
_MEANING = {word: event for event, words in _KNOWN.items() for word in words}


@dataclass(frozen=True)
class SearchEvents:
    """The reading of a search log's events.

    Attributes
    ----------
    words : the shop's word -> the canonical event.
    notes : what was guessed and what is not understood, with counts.
    advice : what to do about words that are not understood.
    """

    words: Mapping[str, str]
    notes: tuple[str, ...] = ()
    advice: str = ""

    @classmethod
    def of(cls, table: pl.LazyFrame, own: Mapping[str, str]) -> SearchEvents:
        """Survey a search log whose columns are raw.

        Parameters
        ----------
        own : the shop's word -> the canonical event, as the user says; "" is a row without an event.
        """
        kinds = table.group_by(word=not_null_word(trimmed(EVENT), WRITTEN), of_item=present(ITEM_ID).is_not_null())
        seen = kinds.agg(pl.len(), pl.col("row").min()).collect(engine="streaming")
        counts = seen.drop_nulls("word").group_by("word").agg(pl.col("len").sum()).sort("len", "word", descending=[True, False])
        words = dict(own)
        guessed, unknown = [], []
        for word, count in counts.head(_WORDS).iter_rows():
            event = _MEANING.get(re.sub(r"[\s_\-]+", "", word.lower()))
            if word in own or word.lower() in SEARCH_EVENTS:
                continue
            if event is None:
                unknown.append((word, count))
            else:
                words[word] = event
                guessed.append(f"{word!r} as {event} ({counted(count, 'row')})")
        notes = [*_empty(seen)] if "" not in own else []
        if guessed:
            notes.append(f"note: events are read by their words: {', '.join(guessed)}; [source.queries_events] gives them another meaning")
        if not unknown:
            return cls(words, tuple(notes))
        note, advice = not_understood(unknown, "source.queries_events", _likely, _SHOWN_LETTERS)
        return cls(words, (*notes, note), advice)

    def read(self) -> pl.Expr:
        """Return the event of each row."""
        word = not_null_word(trimmed(EVENT), WRITTEN).replace(dict(self.words)).str.to_lowercase()
        return word.fill_null(pl.lit(self.words.get("", SHOWN)))


def _empty(seen: pl.DataFrame) -> list[str]:
    """Return a note on rows that name an item and no event; a row without both is a query that showed nothing."""
    missing = seen.filter(pl.col("word").is_null(), "of_item")
    if not missing.height:
        return []
    count, row = int(missing["len"].sum()), missing["row"].min()
    have, count_as = ("has", "counts") if count == 1 else ("have", "count")
    what = f"{counted(count, 'row')} with an item {have} no event (row {row:,}) and {count_as} as {SHOWN}"
    return [f'note: {what}: [source.queries_events] "" = "{CLICK}" makes them something else']


def _likely(word: str) -> str:
    """Return the event that a shop's word most likely names."""
    of_words = (
        (PURCHASE, r"order|buy|bought|purchas|sale|sold|transact|checkout|paid|pay|conver"),
        (CART, r"cart|basket|bag|wish|fav"),
        (CLICK, r"click|tap|select|open|detail|product|visit|true|yes|^1$"),
    )
    return next((event for event, pattern in of_words if re.search(pattern, word.lower())), SHOWN)
