"""Ids of users, items and events: one spelling for one thing.

A first pass over a table counts, for each column of ids, the values that may need mending. Nearly always there are none, and an id is then
read as it is. Otherwise the distinct odd values say what is done to the column, and notes tell what was done to how many rows.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import polars as pl

from features.data.ids import DECIMAL, ODD, normal, visible
from features.ingest.values.placeholders import ID_PLACEHOLDERS, NO_ID, RAW, WRITTEN, not_null_word, trimmed
from features.text import plain

if TYPE_CHECKING:
    from collections.abc import Mapping

SHARE, AHEAD = 0.05, 10  # of all rows, and times what the next id has
SAMPLE = 200_000  # rows that are counted
SHOWN_IDS = 4
LARGEST_EXACT = 2**53  # above it a float does not hold every whole number
_SCIENTIFIC = r"^\d(?:[.,]\d+[eE]\+?\d{1,3}|[eE]\+\d{2,3})$"  # 12E3 and 1E5 are codes of products
_WHOLE = r"^[+-]?\d+(?:\.0{1,2}|\.0{4,}|,00?)?$"  # 1.000 may be one thousand
_ANY_ODD = f"{ODD}|{DECIMAL}|{_SCIENTIFIC}"


@dataclass(frozen=True)
class IdColumn:
    """How the ids of one column are read.

    Attributes
    ----------
    name : the column.
    odd : whether some ids are not in their one spelling.
    decimals : whether all ids are whole numbers, some of them written as 17850.0.
    replaced : ids that become others, such as 5001.0 where the column has 5001 as well.
    rounded : whether some ids lost digits.
    missing : words that stand for no id.
    spellings : of changed ids, `before` and `after`.
    notes : what was changed, with counts.
    """

    name: str
    odd: bool = False
    decimals: bool = False
    replaced: Mapping[str, str] = field(default_factory=dict)
    rounded: bool = False
    missing: tuple[str, ...] = WRITTEN
    spellings: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema={"before": pl.String, "after": pl.String}))
    notes: tuple[str, ...] = ()

    def spelt(self) -> pl.Expr:
        """Return ids, among them words that stand for no id."""
        text = trimmed(self.name)
        if self.odd:
            text = normal(text)
        if self.decimals:
            text = pl.when(text.str.contains(DECIMAL)).then(text.str.replace(r"[.,]0+$", "")).otherwise(text)
        return text.replace(dict(self.replaced)) if self.replaced else text

    def read(self) -> pl.Expr:
        """Return ids; null where there is none."""
        return not_null_word(self.spelt(), self.missing)

    def lost(self) -> pl.Expr:
        """Return whether the id lost digits: different ids may look the same now."""
        return self.spelt().str.contains(_SCIENTIFIC) if self.rounded else pl.lit(value=False)


def counts(name: str) -> dict[str, pl.Expr]:
    """Return what `surveyed` needs to know of a column first, as aggregates."""
    text = trimmed(name)
    return {
        f"{name} odd": text.str.contains(_ANY_ODD).sum(),
        f"{name} nobody": text.is_in(ID_PLACEHOLDERS).sum(),
        f"{name} all": (~text.is_in(WRITTEN)).sum(),
    }


def surveyed(frame: pl.LazyFrame, name: str, facts: Mapping[str, int], table: str) -> IdColumn:
    """Return how a column of raw ids is read.

    Parameters
    ----------
    frame : the raw table, its columns named by `features.ingest.values.placeholders.raw`.
    facts : values of `counts`.
    table : the table's name, for notes: catalogue, log or another one whose items are the catalogue's.
    """
    nobody, notes = _nobody(frame, name, facts, table)
    if not facts[f"{name} odd"]:
        return IdColumn(name, missing=nobody, notes=notes)
    found = frame.select(before=trimmed(name)).filter(pl.col("before").str.contains(_ANY_ODD))
    values = found.group_by("before").len().collect(engine="streaming").sort("before")
    values = values.with_columns(after=normal(pl.col("before")))
    odd = values.filter(pl.col("before") != pl.col("after"))
    replaced, decimals, more = _numbers(frame, name, values, facts[f"{name} all"], table)
    rounded = values.filter(pl.col("after").str.contains(_SCIENTIFIC), ~pl.col("after").is_in(list(replaced)))
    about = name, table
    if odd.height:
        how = "without invisible characters, odd spaces and quotes, and in composed Unicode"
        example = f"{visible(odd['before'][0])} as {visible(odd['after'][0])}"
        notes += (f"note: {counted(odd, *about)} {are(odd)} read {how}, e.g. {example}", *_merged(frame, odd, about))
    if rounded.height:
        notes += (_rounded(rounded, about),)
    spellings = odd.select("before", "after")
    return IdColumn(name, bool(odd.height), decimals, replaced, bool(rounded.height), nobody, spellings, notes + more)


def read_ids(ids: pl.Series) -> tuple[pl.Series, tuple[str, ...]]:
    """Return the ids of a column that is no table's, such as a list of users, as a table's column would have them, and notes."""
    name = "user_id"
    frame = pl.LazyFrame({f"{RAW}{name}": pl.select(as_text(pl.lit(ids), ids.dtype)).to_series()})
    facts = frame.select(**counts(name)).collect().row(0, named=True)
    column = surveyed(frame, name, facts, "list")
    known = pl.when(~column.lost()).then(column.read()).alias(name)
    return frame.select(known).collect().to_series(), column.notes


def as_text(ids: pl.Expr, kind: pl.DataType) -> pl.Expr:
    """Return a column of any type as text; whole floats keep all their digits, which text like 1e16 would lose."""
    text = ids.cast(pl.String)
    if not kind.is_float():
        return text
    whole = ids.cast(pl.Int64, strict=False)
    return pl.when(whole.cast(pl.Float64) == ids).then(whole.cast(pl.String) + ".0").otherwise(text)


def dominant(ids: pl.LazyFrame, column: str) -> tuple[str, float] | None:
    """Return the id that has a twentieth of all rows and ten times what the next one has, and its share; None if none has."""
    first = largest(ids, column)
    if len(first) < 2 or first[0][1] < SHARE or first[0][1] < AHEAD * first[1][1]:
        return None
    return first[0]


def largest(ids: pl.LazyFrame, column: str) -> list[tuple[str, float]]:
    """Return the ids with the most rows and their shares, in falling order, `SHOWN_IDS` at most.

    Of a long table, rows at even distances stand for all: a twentieth of ten million is found among a hundred thousand.
    """
    rows = ids.select(pl.len()).collect(engine="streaming").item()
    every = max(1, rows // SAMPLE)
    some = ids.select(id=column).with_row_index("_place").filter(pl.col("_place") % every == 0).select("id").drop_nulls()
    some = some.collect(engine="streaming")
    counts = some.group_by("id").len().sort("len", "id", descending=[True, False]).head(SHOWN_IDS)
    return [(name, count / some.height) for name, count in counts.iter_rows()]


def counted(values: pl.DataFrame, name: str, table: str) -> str:
    """Return how many ids there are and in how many rows, which `len` has, as text."""
    rows = int(values["len"].sum())
    return f"{plain.counted(values.height, name)} of the {table} ({plain.counted(rows, 'row')})"


def are(values: pl.DataFrame) -> str:
    """Return the verb of `counted`."""
    return "is" if values.height == 1 else "are"


def _nobody(frame: pl.LazyFrame, name: str, facts: Mapping[str, int], table: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the words that stand for no id in a column, and notes.

    A catalogue that lists an item NA once has such an item. Logs do not know: the catalogue decides (rules/item_links.py).
    """
    if name not in ("user_id", "item_id"):
        return WRITTEN, ()
    if not facts[f"{name} nobody"]:
        return WRITTEN if table != "catalogue" and name == "item_id" else NO_ID, ()
    words = frame.select(word=trimmed(name)).filter(pl.col("word").is_in(ID_PLACEHOLDERS)).group_by("word").len()
    found = words.collect(engine="streaming").sort("len", "word", descending=[True, False])
    if name == "user_id":
        listed = ", ".join(f"{visible(word)} in {count:,}" for word, count in found.head(5).iter_rows())
        rows = int(found["len"].sum())
        return NO_ID, (f"note: {plain.counted(rows, 'row')} {plain.agree(rows, 'has', 'have')} no user: user_id is {listed}",)
    if table != "catalogue":
        return WRITTEN, ()
    real = found.filter(pl.col("len") == 1)["word"].to_list()
    text = "note: the catalogue lists an item with the id {!r}: rows of the log with it are read as that item, not as rows without item_id"
    return tuple(word for word in NO_ID if word not in real), tuple(text.format(word) for word in real)


def _numbers(frame: pl.LazyFrame, name: str, values: pl.DataFrame, total: int, table: str) -> tuple[dict[str, str], bool, tuple[str, ...]]:
    """Return which numbers become others, whether all ids of the column are whole numbers, and notes."""
    exact = {text: whole for text in values["after"].unique().to_list() if (whole := _exact(text))}
    decimal = values.filter(pl.col("after").str.contains(DECIMAL)).with_columns(whole=pl.col("after").str.replace(r"[.,]0+$", ""))
    if not decimal.height:
        return exact, False, ()
    text = normal(trimmed(name))
    # Ids that lost their digits are numbers too.
    other = ~text.str.contains(f"{_WHOLE}|{_SCIENTIFIC}") & ~text.is_in(NO_ID)
    whole = decimal["len"].sum() == total or not frame.select(other.any()).collect(engine="streaming").item()
    if not whole:
        twins = frame.select(text.alias("id")).filter(pl.col("id").is_in(decimal["whole"].implode())).unique()
        decimal = decimal.filter(pl.col("whole").is_in(twins.collect(engine="streaming")["id"].implode()))
        exact |= dict(decimal.select("after", "whole").iter_rows())
    if not decimal.height:
        return exact, False, ()
    about = name, table
    example = f"{visible(decimal['before'][0])} as {visible(decimal['whole'][0])}"
    notes = [f"note: {counted(decimal, *about)} {are(decimal)} read without decimals, e.g. {example}"]
    large = decimal.filter(pl.col("whole").cast(pl.Float64, strict=False).abs() > LARGEST_EXACT)
    if large.height:
        notes.append(_rounded(large, about))
    return exact, whole, tuple(notes)


def _exact(text: str) -> str | None:
    """Return the whole number that scientific notation stands for, where it has all its digits."""
    mantissa, _, exponent = text.replace(",", ".").lower().partition("e")
    digits, _, fraction = mantissa.partition(".")
    fraction = fraction.rstrip("0")
    if not (digits.isdigit() and fraction.isdigit() and exponent.removeprefix("+").isdigit()) or len(fraction) < int(exponent):
        return None
    return digits + fraction if len(fraction) == int(exponent) and digits != "0" else None


def _rounded(values: pl.DataFrame, about: tuple[str, str]) -> str:
    have = "has" if values.height == 1 else "have"
    what = f"{have} lost digits in a spreadsheet or program, e.g. {visible(values['before'][0])}, and several may have become one"
    return f"note: {counted(values, *about)} {what}: export them again as text"


def _merged(frame: pl.LazyFrame, odd: pl.DataFrame, about: tuple[str, str]) -> tuple[str, ...]:
    """Return a note on ids that are one now and were several."""
    same = frame.select(before=trimmed(about[0])).filter(pl.col("before").is_in(odd["after"].implode())).unique()
    others = pl.concat([same.collect(engine="streaming").with_columns(after="before"), odd.select("before", "after")])
    several = others.filter(pl.col("after").is_duplicated()).sort("after", "before")
    if not several.height:
        return ()
    example = " and ".join(map(visible, several.filter(pl.col("after") == several["after"][0])["before"].to_list()[:3]))
    name, table = about
    ids = plain.counted(several["after"].n_unique(), name)
    return (f"note: {ids} of the {table} had several spellings, which are one now, e.g. {example}",)
