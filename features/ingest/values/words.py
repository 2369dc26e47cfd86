"""Words with a meaning of their own: availability, as the large platforms and their exports in four languages say it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from features.ingest.times.time_survey import quoted
from features.ingest.values.placeholders import present
from features.text.plain import agree, counted

if TYPE_CHECKING:
    from collections.abc import Mapping

# Spelled without spaces, hyphens, underscores and accents. What can be ordered is available: preorders and backorders too.
YES = [
    "true", "t", "yes", "y", "on", "instock", "available", "availablefororder", "limitedavailability", "onlineonly", "instoreonly",
    "lowstock", "lowinstock", "limitedstock", "preorder", "presale", "backorder", "backordered", "onbackorder",
    "availableonbackorder", "madetoorder", "active", "enabled", "publish", "published", "visible", "continue", "ja", "auflager",
    "lieferbar", "sofortlieferbar", "verfugbar", "sofortverfugbar", "vorratig", "aktiv", "aktiviert", "vorbestellbar",
    "nachbestellbar", "oui", "enstock", "disponible", "surcommande", "enreapprovisionnement", "precommande", "actif", "si",
    "haystock", "enexistencias", "hayexistencias", "conexistencias", "reservable", "bajopedido", "activo", "disponibile",
    "inmagazzino", "ordinabile", "preordine", "attivo",
]  # fmt: skip
NO = [
    "false", "f", "no", "n", "off", "outofstock", "notinstock", "nostock", "unavailable", "notavailable", "soldout", "discontinued",
    "reserved", "draft", "archived", "disabled", "deny", "private", "pending", "trash", "hidden", "inactive", "deleted",
    "temporarilyoutofstock", "nein", "ausverkauft", "nichtverfugbar", "nichtauflager", "nichtvorratig", "nichtlieferbar",
    "vergriffen", "inaktiv", "deaktiviert", "non", "rupturedestock", "enrupture", "enrupturedestock", "horsstock", "epuise",
    "indisponible", "nondisponible", "inactif", "agotado", "sinexistencias", "sinstock", "nodisponible", "nohaystock",
    "nohayexistencias", "inactivo", "esaurito", "nondisponibile", "noninmagazzino", "nonattivo", "inattivo",
]  # fmt: skip
SHOWN = 40  # characters of a word in a note
ENOUGH = 10  # numbers of 1 and 2 alone that are a status and not counts
_ACCENTS = dict(zip("äáàâéèêëíìîïñóòôöúùûüç", "aaaaeeeeiiiinoooouuuuc", strict=True))
_BEFORE = r"(?:in stock|on stock|stock|qty|quantity|available|only|just|last|nur|noch|nur noch|auf lager|en stock|disponibles?)[\s:=(]*"
_AFTER = r"(?:\p{L}{1,10}\.?(?:\s\p{L}{1,10}\.?){0,2})"  # 12 pcs, 4 in stock, 3 left in stock
_COUNT = rf"^(?:{_BEFORE})?[<>~≥]?\s*([-−]?\d[\d.,]*)\s*\+?\s*\)?\s*{_AFTER}?\s*!?$"
_COUNTED = r"[\s:=(]+[-−]?\d[\d.,]*\s*\)?$"  # Out of stock (0)


def survey(name: str) -> dict[str, pl.Expr]:
    """Return facts of a whole column, as aggregates: whether its numbers are a status, 1 or 2, as Magento writes it."""
    text = present(name)
    status = text.is_in(["1", "2"]).all() & (text == "1").any() & (text == "2").any()
    return {f"{name} status": status & (text.count() >= ENOUGH)}


def available(name: str, facts: Mapping[str, bool], own: Mapping[str, bool]) -> pl.Expr:
    """Return whether the item can be bought; null where the word is not understood.

    Parameters
    ----------
    facts : the answers to `survey`.
    own : the user's word -> whether it means available; it goes before all others.
    """
    text = present(name).str.to_lowercase()
    if facts.get(f"{name} status"):
        return text == "1"
    word = text.str.replace(r"^https?://schema\.org/", "").str.replace(_COUNTED, "").str.replace_many(_ACCENTS)
    word = word.str.replace_all(r"[\s_\-!.]+", "")
    count = text.str.extract(_COUNT)
    stock = count.str.contains("[1-9]") & ~count.str.contains("^[-−]")
    mine = pl.lit(None, pl.Boolean)
    if own:
        mine = text.replace_strict({key.strip().lower(): value for key, value in own.items()}, default=None, return_dtype=pl.Boolean)
    return pl.coalesce(mine, pl.when(word.is_in(NO)).then(False), stock, pl.when(word.is_in(YES)).then(True))


def stock(name: str) -> pl.Expr:
    """Return how many pieces there are; null where the text does not count them. Fewer than none, as of an oversold item, are none."""
    text = present(name).str.to_lowercase()
    count = text.str.extract(_COUNT).str.replace_all(",", "", literal=True).str.replace("−", "-", literal=True)
    pieces = pl.coalesce(text.cast(pl.Float64, strict=False), count.cast(pl.Float64, strict=False))
    return pl.when(pieces.is_finite()).then(pieces.clip(lower_bound=0))


def stock_notes(table: pl.LazyFrame, name: str) -> list[str]:
    """Return a note on the texts that count no pieces; none if all do."""
    uncounted = table.filter(present(name).is_not_null() & stock(name).is_null())
    left, row, text = uncounted.select(pl.len(), row=pl.col("row").first(), text=present(name).first()).collect(engine="streaming").row(0)
    if not left:
        return []
    what = f"{counted(left, 'value')} of {name} {agree(left, 'is not a number', 'are not numbers')} ({text[:SHOWN]!r}, row {row:,})"
    return [f"note: {what}: {agree(left, 'its row is', 'their rows are')} kept, with an unknown {name}"]


def notes(table: pl.LazyFrame, name: str, unknown: pl.Expr, facts: Mapping[str, bool]) -> list[str]:
    """Return a note on the words that are not understood, or on numbers that are taken for a status; none if all is plain."""
    if facts.get(f"{name} status"):
        return [
            f"note: {name} is read as a status, 1 for yes and 2 for no, as it has no other values: map another column if these are counts"
        ]
    found = table.filter(unknown).group_by(word=present(name)).agg(count=pl.len(), row=pl.col("row").first())
    rows = found.sort("count", "word", descending=[True, False]).collect(engine="streaming").rows()
    if not rows:
        return []
    left = sum(count for _, count, _ in rows)
    listed = ", ".join(f"{word[:SHOWN]!r}" for word, _, _ in rows[:3])
    word = quoted(rows[0][0][:SHOWN])
    advice = f"set source.availability = {{ {word} = true }}, or false in its place"
    return [
        f"note: {counted(left, 'value')} of {name} {agree(left, 'is', 'are')} neither yes nor no ({listed}; row {rows[0][2]:,}): {advice}"
    ]


def described(name: str, facts: Mapping[str, bool]) -> str:
    """Return in words how a column says whether an item can be bought."""
    return "a status, 1 or 2" if facts.get(f"{name} status") else "yes or no, or the number in stock"
