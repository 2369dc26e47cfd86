"""What the rules of both tables share: raw columns, facts of whole columns, and the table that comes of them.

A rule is a lazy polars expression, so that a table larger than memory streams through.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import polars as pl

from features.ingest.formats.layout import REFUSED
from features.ingest.money import number_survey
from features.ingest.readers.raw_table import ITEM_PREFIX, SHOWN
from features.ingest.times import time_survey
from features.ingest.values import ids as id_values
from features.ingest.values import words
from features.ingest.values.ids import IdColumn
from features.ingest.values.placeholders import RAW, present, raw
from features.names import AVAILABLE, CURRENCY

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

Rule = tuple[pl.Expr, str | pl.Expr, str]  # the condition that breaks it, the reason, the offending column


@dataclass(frozen=True)
class CheckedTable:
    """A table after its rules.

    Attributes
    ----------
    frame : `row`, the canonical columns, `reason` (null: the row is valid) and `offence`, the value that broke the rule, shortened.
    notes : what was guessed, mended or left out without refusing a row, each with a count and an example.
    advice : reason of a refused row -> what to do, where more is known than the reason says.
    understood : name of a column -> in words, how its values were read.
    currency : of its prices; None if no currency is named.
    spellings : of user ids that were changed, `before` and `after`.
    masked : personal data that was masked in valid rows, in words.
    """

    frame: pl.LazyFrame
    notes: tuple[str, ...] = ()
    advice: Mapping[str, str] = field(default_factory=dict)
    understood: Mapping[str, str] = field(default_factory=dict)
    currency: str | None = None
    spellings: pl.DataFrame = field(default_factory=pl.DataFrame)
    masked: str = ""


def survey(
    table: pl.LazyFrame, raws: pl.LazyFrame, name: str, ids: Sequence[str], times_of: str, amounts: Sequence[str]
) -> tuple[dict[str, Any], dict[str, IdColumn]]:
    """Return facts of whole columns, on which the meaning of their values depends, and how columns of ids are read."""
    schema = table.collect_schema()
    checks = {key: check for column in ids if column in schema for key, check in id_values.counts(column).items()}
    native = isinstance(schema.get(times_of), pl.Datetime)
    uniform = {} if native or times_of not in schema else time_survey.uniform(raws, times_of)
    if not native and not uniform:
        checks |= time_survey.survey(times_of)
    for amount in amounts:
        checks |= number_survey.survey(amount)
    for column in (CURRENCY, AVAILABLE):
        checks |= {f"{column} present": present(column).count() if column in schema else pl.lit(0)}
    if AVAILABLE in schema:
        checks |= words.survey(AVAILABLE)
    of_head = {key: check for amount in amounts for key, check in number_survey.survey_head(amount).items()}
    facts = raws.select(**checks).collect(engine="streaming").row(0, named=True) | uniform
    if of_head:
        facts |= raws.head(number_survey.SAMPLE).select(**of_head).collect().row(0, named=True)
    columns = {column: id_values.surveyed(raws, column, facts, name) if column in schema else IdColumn(column) for column in ids}
    return facts, columns


def with_raw(table: pl.LazyFrame, names: Iterable[str]) -> pl.LazyFrame:
    """Name raw columns `raw.<name>`, so that rules can refer to the original values; absent columns are null."""
    found = table.collect_schema().names()
    names = (*names, REFUSED)
    columns = [(pl.col(name) if name in found else pl.lit(None, pl.String)).alias(f"{RAW}{name}") for name in names]
    return table.select("row", *columns, *[name for name in found if name.startswith(ITEM_PREFIX)])


def layout_rules(table: pl.LazyFrame, offends: str) -> list[Rule]:
    """Return the rule for rows that the layout of an export refuses, each with a reason of its own."""
    return [(raw(REFUSED).is_not_null(), raw(REFUSED), offends)] if REFUSED in table.collect_schema() else []


def id_rules(column: IdColumn) -> list[Rule]:
    """Return the rules for a required id."""
    # Bytes that are not UTF-8 became U+FFFD: two different ids may look the same now.
    name = column.name
    return [
        (pl.col(name).is_null(), f"no {name}", name),
        *([(column.lost(), f"{name} was rounded by a spreadsheet (scientific notation)", name)] if column.rounded else []),
        (pl.col(name).str.contains("\ufffd", literal=True), f"{name} is damaged text", name),
    ]


def drop_rules(pattern: str | None) -> list[Rule]:
    """Return the rule for items that are no products."""
    return [] if pattern is None else [(pl.col("item_id").str.contains(pattern), "dropped by source.drop_items", "item_id")]


def checked(frame: pl.LazyFrame, rules: Sequence[Rule], columns: Sequence[str]) -> pl.LazyFrame:
    """Apply the rules: a row gets the reason and the offending value of the first one that it breaks."""
    reason = pl.coalesce([pl.when(holds).then(pl.lit(text) if isinstance(text, str) else text) for holds, text, _ in rules])
    offence = pl.coalesce([pl.when(holds).then(raw(name).cast(pl.String).fill_null("")) for holds, _, name in rules])
    shown = offence.str.slice(0, SHOWN).str.replace_all(r"\p{Cc}", " ")
    return frame.select("row", *columns, reason=reason, offence=shown)


def refuse(frame: pl.LazyFrame, when: pl.Expr, reason: str, offends: str = "item_id") -> pl.LazyFrame:
    """Set the reason and the offending value of rows for which `when` holds."""
    shown = pl.when(when).then(pl.col(offends).str.slice(0, SHOWN)).otherwise("offence")
    return frame.with_columns(reason=pl.when(when).then(pl.lit(reason)).otherwise("reason"), offence=shown)
