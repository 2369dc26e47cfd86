"""Raw files in, two clean tables out: validated, counted, and published as one."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import IO, TYPE_CHECKING

import polars as pl

from features.data.catalog import ITEM_COLUMNS
from features.data.interactions import INTERACTION_COLUMNS
from features.errors import DataError, disk_errors
from features.ingest.datasets import complete_journey
from features.ingest.erased_users import ErasedUsers
from features.ingest.raw_table import ITEM_PREFIX, RawTable, TableSpec, as_text_cell, malformed
from features.ingest.read_files import read_table
from features.ingest.row_rules import TOO_EARLY, items_of_log, judge_interactions, judge_items, mark_duplicates, mark_unknown
from features.ingest.source import UNIT_PRICE, Source
from features.ingest.table_store import stamps
from features.ingest.table_versions import INTERACTIONS, ITEMS, QUARANTINE, SOURCE, publish, writing
from features.names import RATING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

REASONS_SHOWN = 5
ERASED = "of an erased user"

# Field names of the public Amazon review files: 2023 first, then 2018 and 2014.
AMAZON_ITEMS = {
    "item_id": ("parent_asin", "asin"),
    "title": ("title",),
    "description": ("description",),
    "brand": ("brand", "store"),
    "category": ("categories", "category"),
    "price": ("price",),
}
AMAZON_INTERACTIONS = {
    "user_id": ("user_id", "reviewerID"),
    "item_id": ("parent_asin", "asin"),
    "timestamp": ("timestamp", "unixReviewTime"),
}


@dataclass(frozen=True)
class TableSummary:
    """Rows read = rows kept + rows quarantined, the latter by reason, most frequent first."""

    name: str
    read: int
    kept: int
    reasons: Mapping[str, int]

    @property
    def quarantined(self) -> int:
        return sum(self.reasons.values())

    def __str__(self) -> str:
        line = f"{self.name}: {self.read:,} read = {self.kept:,} kept + {self.quarantined:,} quarantined"
        return f"{line} ({self.why})" if self.reasons else line

    @property
    def why(self) -> str:
        """The most frequent reasons with their counts."""
        shown = [f"{count:,} {reason}" for reason, count in list(self.reasons.items())[:REASONS_SHOWN]]
        rest = sum(list(self.reasons.values())[REASONS_SHOWN:])
        return ", ".join(shown + ([f"{rest:,} for other reasons"] if rest else []))


@dataclass(frozen=True)
class IngestSummary:
    """What became of both tables. `notes` are things to look at that are not errors."""

    items: TableSummary
    interactions: TableSummary
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        return "\n".join([str(self.items), str(self.interactions), *self.notes])


def ingest(source: Source, out: Path, erased: ErasedUsers | None = None, files: Source | None = None) -> IngestSummary:
    """Read, judge and store a shop's two tables in the folder `out`.

    The new version (`features.ingest.table_store`) holds items.parquet and interactions.parquet (the canonical
    columns, rows in the order of the
    source), quarantine.csv (table, row, reason, value) and source.json. It takes the place of the one in use as a whole, or nothing
    changes. The tables are never whole in memory; ten million rows peaked at 1.7 GiB (benchmarks/ingest_10m.py). One at a time in `out`:
    `Workspace.ingest` sees to that.

    erased: whose rows are counted and stored nowhere, neither kept nor listed; in a workspace `Workspace.ingest` knows them. files: of a
    source that is a database, what `features.ingest.read_database` wrote of it.

    Raises
    ------
    DataError: a file cannot be read, a required column is missing, one of the tables would be empty, or `out` cannot be written.
    """
    out = out.absolute()
    with disk_errors(out, "written"), writing(out) as folder:
        new = folder / "out"
        new.mkdir()
        source = source.absolute()
        files = files or source
        seen = stamps(files)  # before they are read: what changes meanwhile is read again by the next refresh
        summary = _write_tables(files, folder, erased or ErasedUsers())
        about = {
            "source": source.model_dump(mode="json"),
            "files": seen and {path: stamp.model_dump() for path, stamp in seen.items()},
        }
        text = json.dumps(about, indent=1) + "\n"
        (new / SOURCE).write_text(text, encoding="utf-8")
        publish(new, out)
    return summary


def _write_tables(source: Source, folder: Path, erased: ErasedUsers) -> IngestSummary:
    items, log = _raw_tables(source, folder)
    judged_log = _stored(judge_interactions(log.frame, source), folder / "log.parquet")
    if judged_log.filter(pl.col("event_id").is_not_null()).head(1).collect().height:
        judged_log = _stored(mark_duplicates(judged_log, "event_id"), folder / "once.parquet")
    if erased.users:
        log, judged_log = _without(erased, log, judged_log)
    _some_left("log", log, judged_log)
    if items is None:
        catalogue = items_of_log(judged_log).collect(engine="streaming")
        items = RawTable(catalogue.lazy(), malformed(), catalogue.height)
    judged_items = _stored(mark_duplicates(judge_items(items.frame, source)), folder / "items.parquet")
    _some_left("catalogue", items, judged_items)
    in_log = judged_log.filter(pl.col("reason").is_null()).select("item_id")
    judged_log = _stored(mark_unknown(judged_log, judged_items), folder / "known.parquet")
    if not judged_log.filter(pl.col("reason").is_null()).head(1).collect().height:
        kept_ids = judged_items.filter(pl.col("reason").is_null()).select("item_id")
        ours, theirs = (frame.head(1).collect().item() for frame in (kept_ids, in_log))
        raise DataError(
            f"no item of the log is in the catalogue (the log has {theirs!r}, the catalogue {ours!r}): both must use the same item ids"
        )
    with (folder / "out" / QUARANTINE).open("wb") as quarantine:
        of_items = _write_table(items, judged_items, folder / "out" / ITEMS, quarantine)
        of_log = _write_table(log, judged_log, folder / "out" / INTERACTIONS, quarantine)
    return IngestSummary(of_items, of_log, _notes(folder / "out" / ITEMS))


def _raw_tables(source: Source, folder: Path) -> tuple[RawTable | None, RawTable]:
    """Both tables as they stand in the source; no items where the catalogue is to be taken from the log."""
    if source.dataset is not None or source.interactions is None:
        return complete_journey()
    amazon = source.format == "amazon"
    log_columns = AMAZON_INTERACTIONS if amazon else _names([*INTERACTION_COLUMNS, UNIT_PRICE], source.interactions_columns)
    item_columns = AMAZON_ITEMS if amazon else _names(ITEM_COLUMNS, source.items_columns)
    required, mapped = ["user_id", "item_id", "timestamp"], list(source.interactions_columns)
    if source.items is None:
        carried = {ITEM_PREFIX + name: theirs for name, theirs in item_columns.items() if name != "item_id"}
        log_columns = log_columns | carried
        required.append(ITEM_PREFIX + "title")
        mapped += [ITEM_PREFIX + name for name in source.items_columns if name != "item_id"]
    spec = TableSpec("interactions", source.interactions, log_columns, tuple(required), tuple(mapped), source.encoding, amazon)
    log = read_table(spec, folder / "raw_log")
    if amazon:
        log = replace(log, frame=log.frame.with_columns(event=pl.lit(RATING)))
    if source.items is None:
        return None, log
    spec = TableSpec("items", source.items, item_columns, ("item_id", "title"), tuple(source.items_columns), source.encoding, amazon)
    return read_table(spec, folder / "raw_items"), log


def _names(ours: Iterable[str], mapping: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    return {name: (mapping.get(name, name),) for name in ours}


def _stored(frame: pl.LazyFrame, path: Path) -> pl.LazyFrame:
    """The table on disk, so that it is worked out once and never whole in memory."""
    frame.sink_parquet(path, compression="lz4")
    return pl.scan_parquet(path)


def _without(erased: ErasedUsers, log: RawTable, judged: pl.LazyFrame) -> tuple[RawTable, pl.LazyFrame]:
    """The log with the rows of erased users refused; what stood in rows that nobody could parse is not told any more: it may be theirs."""
    gone = erased.among(judged.select(pl.col("user_id").unique()).collect()["user_id"].drop_nulls())
    reason = pl.when(pl.col("user_id").is_in(gone)).then(pl.lit(ERASED)).otherwise("reason")
    return replace(log, malformed=log.malformed.with_columns(offence=pl.lit(""))), judged.with_columns(reason=reason)


def _some_left(name: str, raw: RawTable, judged: pl.LazyFrame) -> None:
    if raw.read == 0:
        raise DataError(f"the {name} has no rows, expected at least one: export it again, or name another file")
    if judged.filter(pl.col("reason").is_null()).head(1).collect().height:
        return
    refused = _refused(raw, judged)
    row, reason, value = refused.select("row", "reason", "offence").row(0)
    summary = TableSummary(name, raw.read, 0, _counts(refused))
    if set(summary.reasons) == {ERASED}:
        raise DataError(f"all {raw.read:,} rows of the {name} are of erased users: ingest a log that has others")
    what = f"not one of the {raw.read:,} rows of the {name} can be used ({summary.why}; row {row}: {reason}: {value!r})"
    order = ", and where times are an order (1, 2, 3) and no dates, add 100000000 to each" if reason == TOO_EARLY else ""
    raise DataError(f"{what}: check its mapping{order}")


def _refused(raw: RawTable, judged: pl.LazyFrame) -> pl.DataFrame:
    return pl.concat([judged.filter(pl.col("reason").is_not_null()).select("row", "reason", "offence").collect(), raw.malformed]).sort(
        "row"
    )


def _counts(refused: pl.DataFrame) -> dict[str, int]:
    return dict(refused.group_by("reason").len().sort(["len", "reason"], descending=[True, False]).iter_rows())


def _write_table(raw: RawTable, judged: pl.LazyFrame, path: Path, quarantine: IO[bytes]) -> TableSummary:
    """Good rows to `path`, the others to the quarantine file."""
    columns = ITEM_COLUMNS if path.name == ITEMS else INTERACTION_COLUMNS
    judged.filter(pl.col("reason").is_null()).select(list(columns)).sink_parquet(path)
    refused = _refused(raw, judged)
    value = as_text_cell(pl.col("offence")).alias("value")
    listed = refused.filter(pl.col("reason") != ERASED).select(pl.lit(path.stem).alias("table"), "row", "reason", value)
    listed.write_csv(quarantine, include_header=quarantine.tell() == 0)
    kept = pl.scan_parquet(path).select(pl.len()).collect().item()
    return TableSummary(path.stem, raw.read, kept, _counts(refused))


def _notes(items: Path) -> tuple[str, ...]:
    damaged = pl.scan_parquet(items).select(pl.col("title").str.contains("\ufffd", literal=True).sum()).collect().item()
    if not damaged:
        return ()
    return (f"note: {damaged:,} titles hold characters that could not be decoded (\ufffd): set source.encoding, say to cp1252",)
