"""The links between the log and the catalogue: which item of the catalogue a row of the log means.

An id of the log that the catalogue lacks is read as the one id of the catalogue that differs from it in nothing but leading zeros, case,
width, spaces, the kind of hyphen or decimals. Where several do, it stays unknown.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import polars as pl

from features.data.ids import DECIMAL, visible
from features.errors import DataError
from features.ingest.readers.raw_table import SHOWN
from features.ingest.summary import TableSummary
from features.ingest.values.ids import are, counted
from features.ingest.values.placeholders import ID_PLACEHOLDERS

if TYPE_CHECKING:
    from collections.abc import Callable

UNKNOWN = "item_id not in the catalogue"
QUARANTINED = "item_id whose row in the catalogue is quarantined"
_SHARED = 20  # as many ids of a catalogue that a rule makes one, and a hundredth of all: the difference has a meaning there
_IDS = {"before": pl.String, "after": pl.String}


def _zeros(text: pl.Expr) -> pl.Expr:
    return pl.when(text.str.contains(r"^\d+$")).then(text.str.replace(r"^0+(\d)", "$1")).otherwise(text)


def _decimals(text: pl.Expr) -> pl.Expr:
    return pl.when(text.str.contains(DECIMAL)).then(text.str.replace(r"[.,]0+$", "")).otherwise(text)


def _wide(text: pl.Expr) -> pl.Expr:
    return text.str.normalize("NFKC").str.replace_all(r"[\p{Pd}\u{2212}]", "-")


def _spaces(text: pl.Expr) -> pl.Expr:
    return text.str.replace_all(" ", "")


def _any(text: pl.Expr) -> pl.Expr:
    return _zeros(_decimals(_spaces(_wide(text)).str.to_lowercase()))


# What two ids of one item may differ in, and the expression that makes them the same.
_RULES: dict[str, Callable[[pl.Expr], pl.Expr]] = {
    "leading zeros": _zeros,
    "decimals": _decimals,
    "case": lambda text: text.str.to_lowercase(),
    "width or the kind of hyphen": _wide,
    "spaces": _spaces,
    "several of zeros, decimals, case, width and spaces": _any,
}


@dataclass(frozen=True)
class ItemLinks:
    """What becomes of the log's ids.

    Attributes
    ----------
    known : `item_id` of the catalogue, and whether it is `valid`: has a row that is not quarantined.
    missing : words among the log's ids that stand for no id.
    read_as : `before`, an id of the log that the catalogue lacks, and `after`, the id that it is read as.
    notes : what was read as something else, and what was not, with counts.
    complete : whether each id of the log is one of the catalogue and valid, so that `mark` changes nothing.
    """

    known: pl.DataFrame
    missing: tuple[str, ...] = ()
    read_as: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=_IDS))
    notes: tuple[str, ...] = ()
    complete: bool = False

    @classmethod
    def find(cls, used: pl.DataFrame, checked_items: pl.LazyFrame, name: str = "log") -> ItemLinks:
        """Compare the ids that a log names (`used_ids`) with those of a checked catalogue; `name` is the log's in notes."""
        items = checked_items.drop_nulls("item_id").group_by("item_id").agg(valid=pl.col("reason").is_null().any())
        known = items.collect(engine="streaming")
        unknown = used.join(known, on="item_id", how="anti").sort("item_id")
        missing = unknown.filter(pl.col("item_id").is_in(ID_PLACEHOLDERS))["item_id"]
        unknown = unknown.filter(~pl.col("item_id").is_in(missing.implode()))
        found, notes = [pl.DataFrame(schema=_IDS)], []
        for difference, rule in _RULES.items():
            if not unknown.height:
                break
            read_as, unclear = _matches(unknown, known, rule)
            unknown = unknown.join(pl.concat([read_as, unclear]), left_on="item_id", right_on="before", how="anti")
            found.append(read_as.select(*_IDS))
            notes += _notes(name, difference, read_as, unclear)
        complete = not used.join(known.filter("valid"), on="item_id", how="anti").height
        return cls(known, tuple(missing), pl.concat(found), tuple(notes), complete)

    def mark(self, checked_log: pl.LazyFrame) -> pl.LazyFrame:
        """Read ids of the log as those of the catalogue, and refuse valid rows without a valid item."""
        table = self.known.select("item_id", "valid", after="item_id")
        linked = self.read_as.join(self.known, left_on="after", right_on="item_id").select(item_id="before", valid="valid", after="after")
        marked = checked_log.join(pl.concat([table, linked]).lazy(), on="item_id", how="left", maintain_order="left")
        nobody = pl.col("item_id").is_in(self.missing) if self.missing else pl.lit(value=False)
        reason = (
            pl.when(pl.col("reason").is_not_null() | pl.col("valid").fill_null(value=False))
            .then("reason")
            .when(nobody)
            .then(pl.lit("no item_id"))
            .when(pl.col("valid").is_null())
            .then(pl.lit(UNKNOWN))
            .otherwise(pl.lit(QUARANTINED))
        )
        refused = pl.col("reason").is_null() & reason.is_not_null()
        shown = pl.when(refused).then(pl.col("item_id").str.slice(0, SHOWN)).otherwise("offence")
        return marked.with_columns(reason=reason, offence=shown, item_id=pl.coalesce("after", "item_id")).drop("valid", "after")

    def alike(self, log_ids: pl.DataFrame) -> tuple[str, str] | None:
        """Return an id of the log and one of the catalogue that have the same letters and digits."""
        bare = pl.col("item_id").str.normalize("NFKC").str.replace_all(r"[^\p{L}\p{N}]", "").str.to_lowercase()
        ours, theirs = log_ids.select("item_id", bare=bare), self.known.select(other="item_id", bare=bare)
        both = ours.join(theirs, on="bare").filter(pl.col("bare") != "").sort("item_id", "other")
        return (both["item_id"][0], both["other"][0]) if both.height else None


def used_ids(checked_log: pl.LazyFrame) -> pl.DataFrame:
    """Return `item_id` of a checked log's valid rows and their number, `len`."""
    return checked_log.filter(pl.col("reason").is_null()).group_by("item_id").len().collect(engine="streaming")


def _matches(unknown: pl.DataFrame, known: pl.DataFrame, rule: Callable[[pl.Expr], pl.Expr]) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return unknown ids with the one known id that is the same after a rule, and those with several: before, len, after."""
    keyed = known.select(after="item_id", key=rule(pl.col("item_id"))).with_columns(shared=pl.len().over("key"))
    shared = keyed.select((pl.col("shared") > 1).sum()).item()
    wanted = unknown.select("len", before="item_id", key=rule(pl.col("item_id")))
    found = wanted.join(keyed, on="key").sort("before", "after").group_by("before", maintain_order=True).agg(pl.all().first())
    columns = ("before", "len", "after", "shared")
    one = pl.col("shared") == 1
    if shared >= max(_SHARED, known.height / 100):
        one = pl.lit(value=False)
    return found.filter(one).select(columns), found.filter(~one).select(columns)


def _notes(name: str, difference: str, read_as: pl.DataFrame, unclear: pl.DataFrame) -> list[str]:
    notes = []
    if read_as.height:
        before, after = (visible(read_as[side][0]) for side in _IDS)
        each = "is" if read_as.height == 1 else "are each"
        what = f"{each} read as the one id of the catalogue that differs only in {difference}, e.g. {before} as {after}"
        notes.append(f"note: {counted(read_as, 'item_id', name)} {what}")
    if unclear.height:
        before, after = (visible(unclear[side][0]) for side in _IDS)
        what = f"like several ids of the catalogue but for {difference}, e.g. {before} like {after}"
        notes.append(f"note: {counted(unclear, 'item_id', name)} {are(unclear)} {what}, and therefore not read as any of them")
    return notes


def no_item_known(links: ItemLinks, checked_log: pl.LazyFrame, checked_items: pl.LazyFrame) -> DataError:
    """Return the error of a log of which no row has a valid item: the items' rows are quarantined, or the ids differ."""
    used = checked_log.filter(pl.col("reason").is_null()).select("item_id").unique().collect(engine="streaming").sort("item_id")
    meant = used.join(links.read_as, left_on="item_id", right_on="before", how="left").select(item_id=pl.coalesce("after", "item_id"))
    theirs = checked_items.join(meant.lazy(), on="item_id", how="semi").filter(pl.col("reason").is_not_null())
    refused = theirs.select("row", "reason", "offence").collect().sort("row")
    if refused.height:
        row, reason, value = refused.row(0)
        counts = refused.group_by("reason").len().sort(["len", "reason"], descending=[True, False])
        why = TableSummary("items", 0, 0, dict(counts.iter_rows()))
        return DataError(
            f"no row of the log has an item that can be used: the catalogue's rows of its items are quarantined ({why.why}; row {row}:"
            f" {reason}: {value!r}): mend these rows of the items file"
        )
    ours, kept = used["item_id"][0], checked_items.filter(pl.col("reason").is_null()).select("item_id").head(1).collect().item()
    pair = links.alike(used) or (ours, kept)
    same_length = len(pair[0]) == len(pair[1])  # letters of two alphabets may look the same
    mine, its = (ascii(text) if same_length else visible(text) for text in pair)
    return DataError(f"no item of the log is in the catalogue (the log has {mine}, the catalogue {its}): both must use the same item ids")
