"""Finds how a column writes its numbers, and in which currency: never from one row, always from the whole column."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import polars as pl

from features.ingest.money import currencies
from features.ingest.money.number_forms import AMBIGUOUS, GROUPED, NumberForm, currency, groups, number, read
from features.ingest.values.placeholders import present
from features.text.plain import agree, counted

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

SAMPLE = 10_000  # first values of a column, which mostly tell what a dot means
ENOUGH = 10  # numbers such as 3,50 that make a column one of decimal commas without further evidence

# What a number says of its column. A comma before three digits, 1,299, is taken for thousands, unless the others say otherwise.
_POINT = r"^(?:\d+\.(?:\d{1,2}|\d{4,})|0\.\d+|\d{4,}\.\d+|\.\d+|[1-9]\d{0,2}(?:,\d{2,3})*,\d{3}\.\d+|[1-9]\d{0,2}(?:,\d{2,3})+,\d{3})$"
_COMMA = r"^(?:[1-9]\d{0,2}(?:\.\d{3})+,\d+|[1-9]\d{0,2}(?:\.\d{3}){2,})$"
_MAYBE_COMMA = r"^(?:\d+,(?:\d{1,2}|\d{4,})|0,\d+|\d{4,},\d+)$"
_SPACED_COMMA, _SPACED_POINT = r"[ '’]\d{3},\d+$", r"[ '’]\d{3}\.\d+$"


def survey(name: str) -> dict[str, pl.Expr]:
    """Return facts of a whole column, as aggregates, for `decide`."""
    text = present(name)
    return {
        f"{name} present": text.count(),
        f"{name} plain": number(name).count(),
        f"{name} dots": text.str.contains(".", literal=True).any(),
    }


def survey_head(name: str) -> dict[str, pl.Expr]:
    """Return facts of the first `SAMPLE` rows for `decide`. Selected with those of `survey`, they would hold the column in memory."""
    text = present(name)
    return {f"{name} points": (text.str.contains(".", literal=True) & ~text.str.contains(AMBIGUOUS)).any()}


def decide(
    table: pl.LazyFrame, name: str, facts: Mapping[str, Any], decimal: str | None, *, quantity: bool = False
) -> tuple[NumberForm, list[str]]:
    """Return how a column writes its numbers, and notes on what was guessed or could not be read.

    Parameters
    ----------
    table : raw columns.
    facts : the answers to `survey` and `survey_head`.
    decimal : the sign before decimals, "." or ",", given by the user for columns that do not tell.
    """
    count, plain = (facts[f"{name} {key}"] for key in ("present", "plain"))
    if plain == count:
        settled = not facts[f"{name} dots"] or facts[f"{name} points"] or decimal == "."
        if settled or not (ambiguous := _ambiguous(table, name)):
            return NumberForm(quantity=quantity), []
        if quantity and ambiguous == count and decimal is None:
            # Goods by weight with three decimals throughout: thousands of pieces in every row are not believed.
            example = table.select(present(name).drop_nulls().first()).collect().item()
            return NumberForm(quantity=quantity), [
                f"note: {name} is read with three decimals, as all its values are written so ({example})"
            ]
    found = _evidence(table, name, quantity=quantity)
    form, notes = _style(name, found, decimal, quantity=quantity)
    return form, [*notes, *_ranges(table, name, form)]


def unread(table: pl.LazyFrame, name: str, form: NumberForm) -> tuple[int, int | None, str | None]:
    """Return the number of values that cannot be read, and the row and the text of the first one."""
    missing = present(name).is_not_null() & read(name, form).is_null()
    row = table.filter(missing).select(pl.len(), row=pl.col("row").first(), text=present(name).first())
    return row.collect(engine="streaming").row(0)


@dataclass(frozen=True)
class Currencies:
    """The currencies of a table's prices.

    Attributes
    ----------
    chosen : the one whose prices are read; None: no currency is named.
    others : names whose prices are left unknown.
    """

    chosen: str | None
    others: tuple[str, ...]
    note: str | None = None


def beside(names: Sequence[str], column: str, forms: Mapping[str, NumberForm]) -> pl.Expr:
    """Return the currency of a row: beside one of its prices, or else in a column of its own."""
    written = [currency(name) for name in names if forms[name].style != "plain"]
    own = present(column).str.to_lowercase()
    return pl.coalesce(*written, own.replace_strict(currencies.NAMES, default=own.str.to_uppercase(), return_dtype=pl.String))


def choose(table: pl.LazyFrame, what: str, of_row: pl.Expr, priced: pl.Expr, wanted: str | None) -> Currencies:
    """Return the currency whose prices are read, the most frequent one if none is wanted: those of two are never mixed.

    Parameters
    ----------
    what : the noun of the note: price or value.
    of_row : the currency of a row.
    priced : whether a row has a price.
    """
    by_currency = table.filter(priced).select(currency=of_row, row="row").drop_nulls().group_by("currency")
    found = by_currency.agg(count=pl.len(), row=pl.col("row").first()).sort("count", "currency", descending=[True, False])
    rows = found.collect(engine="streaming").rows()
    if not rows:
        return Currencies(wanted, ())
    chosen = wanted or rows[0][0]
    # A sign alone counts as the currency that shares it, if it stands beside only one such code.
    others = [row for row in rows if not currencies.same(row[0], chosen)]
    if not others:
        return Currencies(chosen, ())
    listed = ", ".join(f"{count:,} in {name}" for name, count, _ in others[:5])
    left = sum(count for _, count, _ in others)
    why = "source.currency" if wanted else "the most frequent currency"
    advice = "" if wanted else f'; source.currency = "{others[0][0]}" chooses another'
    unknown = f"{counted(left, what)} {agree(left, 'is unknown, as it is', 'are unknown, as they are')} not in {chosen}, {why}"
    note = f"note: {unknown} ({listed}; first in row {others[0][2]:,}){advice}"
    return Currencies(chosen, tuple(name for name, _, _ in others), note)


def _three_decimals(name: str, example: str) -> str:
    return f"note: {name} is read with three decimals, as all its values are written so ({example!r}): source.decimal says what the sign is"


def _evidence(table: pl.LazyFrame, name: str, *, quantity: bool) -> dict[str, Any]:
    written = groups(name, NumberForm("point", quantity)).struct.field("number")
    core = written.str.replace_all(r"[ '’]", "")
    checks = {
        "point": core.str.contains(_POINT) | written.str.contains(_SPACED_POINT),
        "comma": core.str.contains(_COMMA) | written.str.contains(_SPACED_COMMA),
        "maybe": core.str.contains(_MAYBE_COMMA),
        "ambiguous": core.str.contains(AMBIGUOUS),
        "grouped": core.str.contains(GROUPED),
        "numbers": core.is_not_null(),
    }
    shown = {f"{key} shown": written.filter(check).first() for key, check in checks.items()}
    answers = table.select(**{key: check.sum() for key, check in checks.items()}, **shown).collect(engine="streaming")
    return answers.row(0, named=True)


def _style(name: str, found: Mapping[str, Any], decimal: str | None, *, quantity: bool) -> tuple[NumberForm, list[str]]:
    """Return the style that the evidence of a column speaks for."""
    point, comma, maybe, ambiguous = (found[key] or 0 for key in ("point", "comma", "maybe", "ambiguous"))
    # The key is for columns that do not tell: another table of the source may be a program's, with decimal points throughout.
    if decimal == "," and (comma + maybe or not point):
        return NumberForm("comma", quantity), []
    if decimal == "." and (point or not comma + maybe):
        return NumberForm("point", quantity), []
    if quantity and found["grouped"] == found["numbers"] and decimal is None and found["numbers"]:
        return NumberForm("comma", quantity), [_three_decimals(name, found["grouped shown"])]
    conclusive = comma or (maybe and ambiguous) or maybe >= ENOUGH
    if conclusive and comma + maybe > point:
        example = found["comma shown"] or found["maybe shown"]
        return NumberForm("comma", quantity), [
            f'note: {name} is read with a decimal comma, as {example!r} says: source.decimal = "," says so for good'
        ]
    if point or not (ambiguous or maybe):
        return NumberForm("point", quantity), []
    if ambiguous:
        why = f"{counted(ambiguous, 'value')} of {name} such as {found['ambiguous shown']!r} {agree(ambiguous, 'has', 'have')} two meanings"
        return NumberForm("unknown", quantity), [
            f'note: {why}: set source.decimal = "," if the dot stands between thousands, or "." if it stands before decimals'
        ]
    why = f"{counted(maybe, 'value')} of {name} such as {found['maybe shown']!r} may have a decimal comma"
    return NumberForm("unknown", quantity), [f'note: {why}: set source.decimal = "," if so']


def _ranges(table: pl.LazyFrame, name: str, form: NumberForm) -> list[str]:
    if form.quantity:
        return []
    parts = groups(name, form)
    several = pl.any_horizontal(
        *(parts.struct.field(part).is_not_null() & (parts.struct.field(part) != "") for part in ("least", "range", "unit"))
    )
    count, row, text = table.filter(several).select(pl.len(), row=pl.col("row").first(), text=present(name).first()).collect().row(0)
    if not count:
        return []
    what = f"{counted(count, 'value')} of {name} {agree(count, 'is a range or a price', 'are ranges or prices')} per unit"
    return [f"note: {what} ({text!r}, row {row:,}): the lowest number is taken"]


def _ambiguous(table: pl.LazyFrame, name: str) -> int:
    """Return the number of values such as 1.500; 0 if another value shows that the dot stands before decimals."""
    text = present(name)
    ambiguous = text.str.contains(AMBIGUOUS)
    points = (text.str.contains(".", literal=True) & ~ambiguous).any()
    count, told = table.select(ambiguous.sum(), points=points).collect(engine="streaming").row(0)
    return 0 if told else count
