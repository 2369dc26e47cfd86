"""The rules of the table of customers: raw text becomes typed, canonical columns, and a refused row gets its first reason."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import polars as pl

from features.data.customers import CUSTOMER_COLUMNS
from features.ingest.optional_tables import CUSTOMERS
from features.ingest.readers.raw_table import ATTRIBUTE_PREFIX
from features.ingest.rules.checked_table import CheckedTable, checked, id_rules, refuse, with_raw
from features.ingest.rules.log_rules import drop_user_rules
from features.ingest.summary import NOTE
from features.ingest.values import ids as id_values
from features.ingest.values import words
from features.ingest.values.placeholders import not_null_word, one_line, present, raw, trimmed
from features.names import CONSENT, LANGUAGE, OPTED_OUT, USER_ID
from features.text.languages.names import language_codes
from features.text.plain import agree, counted

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from features.ingest.source import Source

LONGEST = 100  # characters of an attribute's value
REPEATED = "customer who stands in the table already (the row that forbids to write stays, or else the first)"
_ANSWERS = (CONSENT, OPTED_OUT)
_UNKNOWN = "unknown language"  # column of a checked table: what is told of a row


def validate_customers(table: pl.LazyFrame, source: Source) -> CheckedTable:
    """Check the rows of customers alone."""
    found = table.collect_schema().names()
    attributes = {column.removeprefix(ATTRIBUTE_PREFIX): column for column in found if column.startswith(ATTRIBUTE_PREFIX)}
    raws = with_raw(table, (*CUSTOMERS.inputs, *attributes.values()))
    checks = {**id_values.counts(USER_ID), **{key: check for name in _ANSWERS for key, check in words.survey(name).items()}}
    facts = raws.select(**checks).collect(engine="streaming").row(0, named=True)
    ids = id_values.surveyed(raws, USER_ID, facts, CUSTOMERS.title)
    language = trimmed(LANGUAGE)
    code = language.map_batches(language_codes, return_dtype=pl.String, is_elementwise=True)
    frame = raws.with_columns(
        user_id=ids.read(),
        consent=words.available(CONSENT, facts, {}),
        opted_out=words.available(OPTED_OUT, facts, {}),
        language=code.fill_null(""),
        attributes=_as_json(attributes),
        **{_UNKNOWN: pl.when((language != "") & (code == "")).then(language)},
    )
    unclear = [(present(name).is_not_null() & pl.col(name).is_null(), f"{name} is neither yes nor no", name) for name in _ANSWERS]
    rules = [*id_rules(ids), *drop_user_rules(source.drop_users), *unclear]
    absent = (f"it has no column {name!r} (source.customers_attributes)" for name in source.customers_attributes if name not in attributes)
    notes = (*ids.notes, *absent)
    return CheckedTable(
        frame=checked(frame, rules, [*CUSTOMER_COLUMNS, _UNKNOWN]),
        notes=tuple(f"{NOTE}the {CUSTOMERS.title}: {note.removeprefix(NOTE)}" for note in notes),
        spellings=ids.spellings,
    )


def _as_json(attributes: Mapping[str, str]) -> pl.Expr:
    if not attributes:
        return pl.lit("{}")
    values = (not_null_word(one_line(raw(column).cast(pl.String)).str.head(LONGEST)).alias(name) for name, column in attributes.items())
    return pl.struct(*values).struct.json_encode()


def mark_repeated(frame: pl.LazyFrame) -> pl.LazyFrame:
    """Refuse all but one of the valid rows of a customer: one that forbids to write stays, or else the first."""
    forbids = pl.col(OPTED_OUT).fill_null(value=False) | ~pl.col(CONSENT).fill_null(value=True)
    valid = frame.filter(pl.col("reason").is_null()).select("row", USER_ID, forbids=forbids).collect(engine="streaming")
    valid = valid.sort("forbids", "row", descending=[True, False])
    again = valid.filter(~pl.col(USER_ID).is_first_distinct()).select("row", _again=pl.lit(value=True))
    marked = frame.join(again.lazy(), on="row", how="left", maintain_order="left")
    return refuse(marked, pl.col("_again").is_not_null(), REPEATED, USER_ID).drop("_again")


def described(rules: CheckedTable) -> CheckedTable:
    """Complete the notes, once all rows are judged: what is not known or not understood of the customers who are kept."""
    valid = rules.frame.filter(pl.col("reason").is_null()).collect()
    return replace(rules, notes=(*rules.notes, *(f"{NOTE}the {CUSTOMERS.title}: {note}" for note in _notes(valid))))


def _notes(valid: pl.DataFrame) -> Iterator[str]:
    missing = valid[CONSENT].null_count()
    if missing == valid.height:
        yield f"no row has {CONSENT}: whether a customer agreed to be written to is not known, and plans say so"
    elif missing:
        yield f"{CONSENT} is not known of {missing:,} of {counted(valid.height, 'customer')}: a plan leaves them out"
    unknown = valid.drop_nulls(_UNKNOWN)
    if unknown.height:
        what = f"{counted(unknown.height, 'row')} {agree(unknown.height, 'has', 'have')} a {LANGUAGE} that is not understood"
        yield f"{what} ({unknown[_UNKNOWN][0][:40]!r} in row {unknown['row'][0]:,}): write a code such as en or de"
