"""The numbers of a table: money in one currency, and quantities."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import polars as pl

from features.ingest.money import number_forms, number_survey
from features.ingest.money.number_survey import Currencies
from features.names import CURRENCY, QUANTITY
from features.text.plain import agree, counted

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from features.ingest.money.number_forms import NumberForm
    from features.ingest.source import Source


@dataclass(frozen=True)
class Amounts:
    """How a table writes its numbers.

    Attributes
    ----------
    forms : name of a column -> how it writes them.
    currencies : those of its prices.
    currency_of_row : the currency of a row.
    notes : what was guessed, and which prices are left out.
    advice : reason of a refused row -> what to do.
    """

    forms: Mapping[str, NumberForm]
    currencies: Currencies
    currency_of_row: pl.Expr
    notes: tuple[str, ...] = ()
    advice: Mapping[str, str] = field(default_factory=dict)

    def read(self, name: str) -> pl.Expr:
        """Return a column's numbers; null where a value is none."""
        return number_forms.read(name, self.forms[name])

    def price(self, name: str) -> pl.Expr:
        """Return a column's money, rounded; null where it is in a currency that was not chosen."""
        value = self.read(name).round(number_forms.DECIMALS)
        if not self.currencies.others:
            return value
        return pl.when(~self.currency_of_row.is_in(self.currencies.others).fill_null(False)).then(value)

    def unread(self, table: pl.LazyFrame, name: str) -> list[str]:
        """Return a note on the values of a column that cannot be read, whose rows are kept; none if there are none."""
        form = self.forms[name]
        if form.style == "plain":
            return []
        count, row, text = number_survey.unread(table, name, form)
        if not count:
            return []
        what = f"{counted(count, 'value')} of {name} {agree(count, 'is not a number', 'are not numbers')} ({text!r}, row {row:,})"
        return [f"note: {what}: {agree(count, 'its row is', 'their rows are')} kept, with an unknown {name}"]

    def described(self, name: str) -> str:
        """Return in words how a column writes its numbers."""
        chosen = self.currencies.chosen
        return f"{self.forms[name]}, {chosen}" if chosen and name != QUANTITY else str(self.forms[name])


def decide(table: pl.LazyFrame, names: Sequence[str], facts: Mapping[str, Any], source: Source) -> Amounts:
    """Return how a table of raw columns writes the numbers of some columns.

    Parameters
    ----------
    names : the columns. All but the quantity are money.
    facts : the answers to `number_survey.survey` and `survey_head` of each.
    """
    forms, notes, advice = {}, [], {}
    for name in names:
        forms[name], said = number_survey.decide(table, name, facts, source.decimal, quantity=name == QUANTITY)
        notes += said
        if forms[name].style == "unknown":
            advice[f"{name} is not a number"] = said[0].removeprefix("note: ")
    money = [name for name in names if name != QUANTITY and facts[f"{name} present"]]
    of_row, chosen = number_survey.beside(money, CURRENCY, forms), Currencies(source.currency, ())
    if money and (facts[f"{CURRENCY} present"] or any(forms[name].style != "plain" for name in money)):
        priced = pl.any_horizontal(*(number_forms.read(name, forms[name]).is_not_null() for name in money))
        what = "price" if "price" in money else "value"
        chosen = number_survey.choose(table, what, of_row, priced, source.currency)
        notes += [chosen.note] if chosen.note else []
    return Amounts(forms, chosen, of_row, tuple(notes), advice)
