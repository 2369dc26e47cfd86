"""The canonical column that a column of a file may be: by its name, checked against its values, or by its values alone."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from features.ingest.profile.column_names import candidates
from features.ingest.profile.value_forms import MOST_WORDS, form_of
from features.names import (
    ATTRIBUTES,
    AVAILABLE,
    BARCODE,
    BRAND,
    CATEGORY,
    CLICK,
    CREATED_AT,
    CURRENCY,
    DESCRIPTION,
    EVENT,
    EVENTS,
    ITEM_ID,
    MARGIN,
    PRICE,
    QUANTITY,
    QUERY,
    RANK,
    STARS,
    STATUS,
    TEXT,
    TIMESTAMP,
    TITLE,
    UNIT_PRICE,
    USER_ID,
    VALUE,
)
from features.text.closest import plain_name

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    import polars as pl

    from features.ingest.optional_tables import Table
    from features.ingest.profile.value_forms import Kind, ValueForm

EVENT_WORDS = frozenset(EVENTS).union(
    [
        "buy",
        "bought",
        "order",
        "ordered",
        "sale",
        "transaction",
        CLICK,
        "clicked",
        "pv",
        "pageview",
        "page_view",
        "viewed",
        "visit",
        "addtocart",
        "add_to_cart",
        "basket",
        "add",
        "removefromcart",
        "remove_from_cart",
        "wishlist",
        "favorite",
        "fav",
        "like",
        "checkout",
        "begin_checkout",
        "refund",
        "return",
        "impression",
        "view_item",
        "search",
        "review",
        "purchased",
    ]
)
_STOCK_WORDS = re.compile(
    r"(in|out) ?(of)?[ _-]?stock|in_?stock|sold[ _-]?out|backorder|on[ _-]?backorder|pre[ _-]?order|available|discontinued"
)
_KINDS: Mapping[str, tuple[Kind, ...]] = {
    TIMESTAMP: ("time",),
    CREATED_AT: ("time",),
    **dict.fromkeys((PRICE, MARGIN, VALUE, UNIT_PRICE, QUANTITY), ("number",)),
    ITEM_ID: ("id", "number", "words", "text", "structure"),
    USER_ID: ("id", "number", "words", "text", "structure"),
    TITLE: ("text", "words", "id"),
    DESCRIPTION: ("text", "words"),
    BRAND: ("text", "words", "id"),
    CATEGORY: ("text", "words", "structure", "id"),
    ATTRIBUTES: ("text", "words", "structure"),
    BARCODE: ("id", "number"),
    QUERY: ("text", "words", "id"),
    TEXT: ("text", "words"),
    RANK: ("number", "yes or no"),
}
_VAGUE = {"type", "kind", "activity"}  # names of an event only if its words are known; others may have the shop's own words, or codes
_SAME_IDS = 0.5  # share of the values that the catalogue's first rows hold


def looks_like(name: str, values: Iterable[str | None], table: Table, free: Collection[str], items: Collection[str] = ()) -> str | None:
    """Return the canonical column that a column may be; None if it is like none of them.

    Parameters
    ----------
    values : a sample.
    free : the canonical columns that no other column is read as.
    items : ids of the catalogue.
    """
    form = form_of(values)
    for ours in candidates(name, table):
        plain = plain_name(name) not in _VAGUE
        if ours in free and (_fits(ours, form) or (ours == EVENT and plain and 2 <= len(form.counts) <= MOST_WORDS)):
            return ours
    if table == "items":
        return None
    if EVENT in free and _event_words(form) >= 2:
        return EVENT
    if ITEM_ID in free and items and _share_in(form, items) >= _SAME_IDS:
        return ITEM_ID
    return STARS if STARS in free and _all_stars(form) else None


def guesses(
    sample: pl.DataFrame, table: Table, read: Collection[str], free: Collection[str], items: Collection[str] = ()
) -> dict[str, str]:
    """Return for the columns of a sample that are not read the canonical columns that they may be."""
    return {
        name: ours
        for name in sample.columns
        if name not in read and (ours := looks_like(name, sample[name].to_list(), table, free, items)) is not None
    }


def _fits(ours: str, form: ValueForm) -> bool:
    """Return whether values of this form can be of a canonical column. A column without values shows nothing."""
    if form.kind == "empty":
        return False
    if ours == EVENT:
        return form.kind in ("words", "id", "text") and (_event_words(form) >= 1)
    if ours == STARS:
        return form.kind == "number" and min(form.numbers, default=-1) >= 0 and max(form.numbers, default=99) <= 10
    if ours == AVAILABLE:
        whole = form.kind == "number" and form.words.startswith("whole")
        return form.kind == "yes or no" or whole or any(_STOCK_WORDS.fullmatch(word.lower()) for word in form.counts)
    if ours == CURRENCY:
        return all(re.fullmatch(r"[A-Za-z]{3}|[$€£¥]", word) for word in form.counts)
    if ours == STATUS:
        return form.kind == "words"
    return form.kind in _KINDS.get(ours, (form.kind,)) or (form.kind == "yes or no" and ours in (QUANTITY, ITEM_ID, USER_ID))


def _event_words(form: ValueForm) -> int:
    """Return how many distinct values are known words for events; 0 unless most values are."""
    known = {word: count for word, count in form.counts.items() if re.sub(r"[\s-]+", "_", word.lower()) in EVENT_WORDS}
    return len(known) if sum(known.values()) > 0.5 * sum(form.counts.values()) else 0


def _all_stars(form: ValueForm) -> bool:
    """Return whether a column has all of 1 to 5, nothing beyond, and mostly the upper half, as ratings have."""
    stars = set(form.numbers)
    if not {1.0, 2.0, 3.0, 4.0, 5.0} <= stars or max(stars) > 5 or min(stars) < 0 or len(stars) < len(form.counts):
        return False
    upper = sum(count for value, count in form.counts.items() if float(value) >= 3)
    return upper > 0.5 * sum(form.counts.values())


def _share_in(form: ValueForm, items: Collection[str]) -> float:
    return sum(value in items for value in form.counts) / max(len(form.counts), 1)
