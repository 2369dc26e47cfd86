"""Expressions that the layouts share: optional columns, values of a group's first line, paths of categories, refusals."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from features.ingest.formats.layout import REFUSED, REMARK
from features.ingest.values.placeholders import not_null_word

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from features.ingest.formats.layout import Record

YES, NO = pl.lit("yes"), pl.lit("no")
TRUE = ("true", "yes", "1", "y")


def complete(frame: pl.LazyFrame, names: Iterable[str]) -> pl.LazyFrame:
    """Add columns that an export lacks, as null, and make empty text null in all of `names`."""
    schema = frame.collect_schema()
    columns = [
        pl.lit(None, pl.String).alias(name)
        if name not in schema
        else not_null_word(pl.col(name).str.strip_chars())
        if schema[name] == pl.String
        else pl.col(name)
        for name in dict.fromkeys((*names, REFUSED, REMARK))
    ]
    return frame.with_columns(columns)


def of_group(frame: pl.LazyFrame, key: str, names: Sequence[str]) -> pl.LazyFrame:
    """Give rows without a value the first one of their group, in columns that only the first row of an order or a product has."""
    first = frame.filter(pl.col(key).is_not_null()).group_by(key).agg(pl.col(name).sort_by("row").drop_nulls().first() for name in names)
    joined = frame.join(first, on=key, how="left", suffix=" of group", maintain_order="left")
    return joined.with_columns(pl.coalesce(name, f"{name} of group").alias(name) for name in names).drop(
        f"{name} of group" for name in names
    )


def refuse(when: pl.Expr, reason: str | pl.Expr) -> pl.Expr:
    """Return the column `refused` with a reason for rows that have none yet."""
    text = pl.lit(reason) if isinstance(reason, str) else reason
    return pl.coalesce(REFUSED, pl.when(when).then(text)).alias(REFUSED)


def remark(when: pl.Expr, text: str) -> pl.Expr:
    """Return the column `remark`, set for rows that are kept."""
    return pl.coalesce(REMARK, pl.when(when & pl.col(REFUSED).is_null()).then(pl.lit(text))).alias(REMARK)


def path(text: pl.Expr, separator: str) -> pl.Expr:
    """Return a category's path with our separator."""
    return text.str.replace_all(rf"\s*{separator}\s*", "|").str.strip_chars("| ")


def deepest(name: str, separator: str) -> pl.Expr:
    r"""Return the most specific of several categories, separated by commas; of equals the first. A comma within a name is `\,`."""
    paths = pl.col(name).str.replace_all(r"\,", "\x1f", literal=True).str.split(",")
    depth = paths.list.eval(pl.element().str.count_matches(separator, literal=True))
    return path(paths.list.get(depth.list.arg_max()).str.replace_all("\x1f", ",", literal=True), separator)


def attributes(values: Mapping[str, pl.Expr]) -> pl.Expr:
    """Return an item's attributes as one text, "color: red; size: 40", of those that have a value."""
    return named_attributes([(pl.lit(name.replace("_", " ")), value) for name, value in values.items()])


def named_attributes(pairs: Iterable[tuple[pl.Expr, pl.Expr]]) -> pl.Expr:
    """Return names and values of attributes as one text; null where none has both."""
    text = pl.concat_str([name + ": " + value for name, value in pairs], separator="; ", ignore_nulls=True)
    return pl.when(text != "").then(text)


def is_true(name: str) -> pl.Expr:
    """Return whether a word means yes; null where there is none."""
    return pl.col(name).str.to_lowercase().is_in(TRUE)


def number(name: str) -> pl.Expr:
    """Return the number that an export wrote, with a decimal point; null where it is none."""
    return pl.col(name).cast(pl.Float64, strict=False)


def email(name: str) -> pl.Expr:
    """Return an id of a customer; of an e-mail address in lower case, as a shop takes it."""
    text = pl.col(name)
    return pl.when(text.str.contains("@", literal=True)).then(text.str.to_lowercase()).otherwise(text)


def same(*names: str) -> Mapping[str, tuple[str, ...]]:
    """Return the columns of a layout whose records have our names already."""
    return {name: (name,) for name in (*names, REFUSED)}


def nodes(value: object) -> list[Record]:
    """Return the records of a list, of GraphQL's edges and nodes too; an empty list of anything else."""
    if isinstance(value, dict):
        found = value.get("nodes")
        value = found if isinstance(found, list) else [edge.get("node") for edge in value.get("edges") or [] if isinstance(edge, dict)]
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def inner(record: Record, *names: str) -> object:
    """Return a value within nested records; None where one is missing."""
    value: object = record
    for name in names:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def distinct(rows: Sequence[Record], key: str = "item_id") -> Sequence[Record]:
    """Refuse all but the last of a record's rows with the same id: they have the same row number, by which others are told apart."""
    last = {row.get(key): place for place, row in enumerate(rows)}
    for place, row in enumerate(rows):
        if row.get(key) and last[row[key]] != place:
            row[REFUSED] = f"duplicate {key} (a later row wins)"
    return rows
