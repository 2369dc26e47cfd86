"""The ingest of a shop: reads raw files, validates each row, and publishes its tables as one version."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import IO, TYPE_CHECKING

import polars as pl

from features.data.catalog import ITEM_COLUMNS
from features.data.log.rows import INTERACTION_COLUMNS
from features.errors import disk_errors
from features.ingest.earlier_log import LOG, EarlierLog, LogReading, decides_by_ids, ids_of
from features.ingest.erased_users import ErasedUsers
from features.ingest.formats.known import with_defaults
from features.ingest.money.currencies import same
from features.ingest.optional_tables import OPTIONAL
from features.ingest.partitions import partitions_for, share_unchanged, write_log
from features.ingest.profile.measure import IngestedTable, measured
from features.ingest.profile.optional_tables import with_optional
from features.ingest.profile.report import column_notes
from features.ingest.readers.raw_table import RawTable, as_text_cell, malformed, stored
from features.ingest.rules.duplicates import mark_duplicates
from features.ingest.rules.item_links import ItemLinks, no_item_known, used_ids
from features.ingest.rules.item_rules import validate_items
from features.ingest.rules.log_rules import items_of_log, validate_interactions
from features.ingest.rules.optional_rules import judged_optional
from features.ingest.rules.refusals import reason_counts, reasons_of, refused_rows, require_rows, without_erased
from features.ingest.rules.variants import one_a_group, with_groups
from features.ingest.summary import IngestSummary, TableSummary
from features.ingest.table_store import ERASED, catalogue_written, stamps
from features.ingest.table_versions import AS_OF, INTERACTIONS, ITEMS, PROFILE, QUARANTINE, SOURCE, publish, table_files, versions, writing
from features.ingest.tables import raw_items, raw_optional, raw_tables
from features.ingest.values.texts import text_notes
from features.ingest.values.visitors import guest_notes, user_notes
from features.text.plain import agree, counted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from features.ingest.optional_tables import OptionalName
    from features.ingest.profile.model import DataProfile
    from features.ingest.rules.checked_table import CheckedTable
    from features.ingest.source import Source


_COLUMNS = {ITEMS: ITEM_COLUMNS, INTERACTIONS: INTERACTION_COLUMNS, **{one.file: one.columns for one in OPTIONAL.values()}}


def ingest(
    source: Source,
    out: Path,
    erased: ErasedUsers | None = None,
    files: Source | None = None,
    accept: Callable[[DataProfile], None] | None = None,
    keep_log: bool = False,
) -> IngestSummary:
    """Read, validate and store a shop's tables in the folder `out`.

    The new version (`features.ingest.table_versions`) holds items.parquet and interactions.parquet (canonical columns, rows in the
    order of the source; a large log in partitions by user, `features.ingest.partitions`), a file for each optional table that the
    shop has (`features.ingest.optional_tables`), quarantine.csv (table, row, reason, value), source.json, profile.json and, where the
    next ingest may take over the log, log_ids.parquet (`features.ingest.earlier_log`). It replaces the version in use as a whole, or
    nothing changes. The tables are never whole in memory (`benchmarks.ingest_100m`).
    Only one ingest may run in `out` at a time: `Workspace.ingest` takes the lock.

    Parameters
    ----------
    erased : users whose rows are counted, and neither stored nor quarantined.
    files : for a source that is a database, the files that `features.ingest.readers.database` wrote.
    accept : gets the profile of the new tables before they replace the old ones; it raises an error to keep those.
    keep_log : whether the log of the version in use is taken over where it would be the same again (`features.ingest.earlier_log`).

    Raises
    ------
    DataError
        If a file cannot be read, a required column is missing, one of the tables would be empty, or `out` cannot be written.
    """
    out = out.absolute()
    with disk_errors(out, "written"), writing(out) as folder:
        new = folder / "out"
        new.mkdir()
        source, erased = source.absolute(), erased or ErasedUsers()
        files = files or source
        seen = stamps(files)  # before the files are read, so that the next refresh notices a change in the meantime
        earlier = EarlierLog.find(out, source, files, seen, erased) if keep_log else None
        summary, reading = _write_tables(source, files, folder, erased, earlier)
        profile = summary.profile
        assert profile is not None
        if accept is not None:
            accept(profile)
        about = {"source": source.record(), "files": seen and {path: stamp.model_dump() for path, stamp in seen.items()}}
        about |= {AS_OF: catalogue_written(files, seen), LOG: reading and reading.model_dump()}
        (new / SOURCE).write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")
        (new / PROFILE).write_text(profile.without_personal_data().model_dump_json(indent=1) + "\n", encoding="utf-8")
        for before in versions(out)[:1]:
            share_unchanged(new, before)
        publish(new, out)
    return summary


def dry_run(source: Source, folder: Path, erased: ErasedUsers | None = None, files: Source | None = None) -> IngestSummary:
    """Read and judge a shop's tables as `ingest` does, and store nothing that stays: `folder` is a temporary one.

    Raises
    ------
    DataError
        Where `ingest` would.
    """
    with disk_errors(folder, "written"):
        (folder / "out").mkdir()
        source = source.absolute()
        return _write_tables(source, files or source, folder, erased or ErasedUsers())[0]


@dataclass(frozen=True)
class _Judged:
    """The tables after all rules.

    Attributes
    ----------
    of_file : the catalogue's file; None for a catalogue that was taken from the log.
    log : the log's file, or the log that is taken over.
    ids : what the catalogue makes of the ids that the log names (`features.ingest.earlier_log.ids_of`); None where more decides.
    currency : of the log's values.
    understood : table -> column -> in words, how its values are written.
    optional : the optional tables that the shop has, and what the rules make of them.
    """

    of_file: RawTable | None
    items: RawTable
    log: RawTable | EarlierLog
    checked_items: pl.LazyFrame
    checked_log: pl.LazyFrame
    ids: pl.DataFrame | None
    currency: str | None
    notes: tuple[str, ...]
    understood: Mapping[str, Mapping[str, str]]
    optional: Mapping[OptionalName, tuple[RawTable, CheckedTable]]


def _write_tables(
    source: Source, files: Source, folder: Path, erased: ErasedUsers, earlier: EarlierLog | None = None
) -> tuple[IngestSummary, LogReading | None]:
    """Write the tables to `folder`; `source` is what the user gave, `files` what is read, `earlier` a log that may be taken over.

    Returns the summary, and what the next ingest has to know to take over the log; None where it cannot.
    """
    judged = (_with_earlier(files, folder, erased, earlier) if earlier else None) or _judged(files, folder, erased)
    out, log = folder / "out", judged.log
    with (out / QUARANTINE).open("wb") as quarantine:
        of_items = _write_table(judged.items, judged.checked_items, out / ITEMS, quarantine)
        if isinstance(log, EarlierLog):
            of_log = log.keep(out, quarantine)
        else:
            of_log = _write_table(log, judged.checked_log, out / INTERACTIONS, quarantine, partitions_for(log.read, source.memory))
        optional: dict[OptionalName, TableSummary] = {
            name: replace(_write_table(raw, rules.frame, out / OPTIONAL[name].file, quarantine), masked=rules.masked)
            for name, (raw, rules) in judged.optional.items()
        }
    events = _valid(judged.checked_log, INTERACTIONS)  # in the order of the source, whatever the partitions
    items = IngestedTable(judged.of_file, of_items, judged.understood["items"])
    if isinstance(log, EarlierLog):
        profile = log.profile_with(source, items, pl.scan_parquet(out / ITEMS))
    else:
        table = IngestedTable(log, of_log, judged.understood["interactions"])
        profile = measured(source, items, table, pl.scan_parquet(out / ITEMS), events)
    tables: dict[OptionalName, IngestedTable] = {
        name: IngestedTable(raw, optional[name], rules.understood) for name, (raw, rules) in judged.optional.items()
    }
    profile = with_optional(profile, source, tables, out)
    of_columns = (note for table in profile.tables for note in column_notes(table))
    unused = _without_effect(source, of_items, of_log, *optional.values())
    notes = (*of_columns, *judged.notes, *unused, *user_notes(events), *_notes(out / ITEMS))
    summary = IngestSummary(of_items, of_log, notes, optional=optional)
    reading = None if judged.ids is None else LogReading.store(out, judged.ids, erased, judged.currency)
    return replace(summary, profile=profile.model_copy(update={"notes": summary.notes})), reading


def _judged(files: Source, folder: Path, erased: ErasedUsers) -> _Judged:
    """Read the tables and apply the rules: to each alone, and to the logs with the catalogue."""
    of_file, log = raw_tables(files, folder)
    raw = raw_optional(files, folder)
    files = with_defaults(files, log.format)
    log_rules = validate_interactions(log.frame, files, log.format)
    last: int = log.frame.select(pl.col("row").max()).collect(engine="streaming").item() or 0
    checked_log = stored(log_rules.frame, folder / "log.parquet", last)
    if checked_log.filter(pl.col("event_id").is_not_null()).head(1).collect().height:
        checked_log = stored(mark_duplicates(checked_log, "event_id"), folder / "once.parquet")
    if erased.users:
        log, checked_log = without_erased(erased, log, replace(log_rules, frame=checked_log))
    require_rows("log", log, checked_log, log_rules.advice)
    items = of_file
    if items is None:
        catalogue = items_of_log(checked_log).collect(engine="streaming")
        items = RawTable(catalogue.lazy(), malformed(), catalogue.height)
    item_rules = _checked_items(items, files, folder)
    checked_items, used = item_rules.frame, used_ids(checked_log)
    links = ItemLinks.find(used, checked_items if files.variants == "items" else with_groups(checked_items))
    optional = _judged_optional(raw, files, checked_items, erased, folder)
    all_rows, checked_log = checked_log, checked_log if links.complete else stored(links.mark(checked_log), folder / "known.parquet", last)
    if files.variants == "one":
        checked_items, checked_log = one_a_group(checked_items, checked_log, folder)
    if not checked_log.filter(pl.col("reason").is_null()).head(1).collect().height:
        raise no_item_known(links, all_rows, checked_items)
    of_rules = (*items.notes, *log.notes, *item_rules.notes, *log_rules.notes, *_currencies(item_rules.currency, log_rules.currency))
    notes = (*of_rules, *links.notes, *_notes_of_rows(items, checked_items, checked_log, files, optional))
    understood = {"items": item_rules.understood, "interactions": log_rules.understood}
    ids = ids_of(used, links) if of_file is not None and decides_by_ids(files, of_file.frame) else None
    return _Judged(of_file, items, log, checked_items, checked_log, ids, log_rules.currency, notes, understood, optional)


def _with_earlier(files: Source, folder: Path, erased: ErasedUsers, earlier: EarlierLog) -> _Judged | None:
    """Read the tables but the log, and apply the rules as `_judged` does; None where the log would not be the same again."""
    assert files.items is not None
    items = raw_items(files, files.items, folder)
    files = with_defaults(files, earlier.profile.interactions.format)
    item_rules = _checked_items(items, files, folder)
    checked_items = item_rules.frame
    links = ItemLinks.find(earlier.used, checked_items)
    if not decides_by_ids(files, items.frame) or not earlier.holds(links, checked_items):
        return None
    optional = _judged_optional(raw_optional(files, folder), files, checked_items, erased, folder)
    of_rules = (*items.notes, *item_rules.notes, *_currencies(item_rules.currency, earlier.currency), *links.notes)
    notes = (*of_rules, *_notes_of_rows(items, checked_items, earlier.rows, files, optional))
    understood = {"items": item_rules.understood}
    return _Judged(items, items, earlier, checked_items, earlier.rows, earlier.ids, earlier.currency, notes, understood, optional)


def _checked_items(items: RawTable, files: Source, folder: Path) -> CheckedTable:
    """Apply the rules of the catalogue alone."""
    rules = validate_items(items.frame, files, items.format)
    checked = stored(mark_duplicates(rules.frame), folder / "items.parquet")
    require_rows("catalogue", items, checked, rules.advice)
    return replace(rules, frame=checked)


def _judged_optional(
    raw: Mapping[OptionalName, RawTable], files: Source, items: pl.LazyFrame, erased: ErasedUsers, folder: Path
) -> dict[OptionalName, tuple[RawTable, CheckedTable]]:
    return {name: judged_optional(name, table, files, items, erased, folder) for name, table in raw.items()}


def _notes_of_rows(
    items: RawTable,
    checked_items: pl.LazyFrame,
    checked_log: pl.LazyFrame,
    files: Source,
    optional: Mapping[OptionalName, tuple[RawTable, CheckedTable]],
) -> tuple[str, ...]:
    of_optional = (note for table, rules in optional.values() for note in (*table.notes, *rules.notes))
    return (*guest_notes(checked_log, files.guests), *text_notes(items.frame, checked_items), *of_optional)


def _write_table(raw: RawTable, checked: pl.LazyFrame, path: Path, quarantine: IO[bytes], parts: int = 1) -> TableSummary:
    """Write valid rows to `path`, or to `parts` partitions of the log, and the others to the quarantine file."""
    valid = _valid(checked, path.name)
    if path.name == INTERACTIONS:
        write_log(valid, path.parent, parts)
    else:
        valid.sink_parquet(path)
    value, counts = as_text_cell(pl.col("offence")).alias("value"), []
    for refused in refused_rows(raw, checked):
        listed = refused.filter(pl.col("reason") != ERASED).select(pl.lit(path.stem).alias("table"), "row", "reason", value)
        listed.write_csv(quarantine, include_header=quarantine.tell() == 0)
        counts.append(reasons_of(refused))
    kept = pl.scan_parquet(table_files(path.parent, path.name)).select(pl.len()).collect().item()
    return TableSummary(path.stem, raw.read, kept, reason_counts(counts))


def _valid(checked: pl.LazyFrame, name: str) -> pl.LazyFrame:
    return checked.filter(pl.col("reason").is_null()).select(list(_COLUMNS[name]))


def _currencies(items: str | None, log: str | None) -> tuple[str, ...]:
    """Return a note where the catalogue and the log have their prices in two currencies."""
    if items is None or log is None or same(items, log):
        return ()
    advice = "export both in one currency"
    found = f"the catalogue's prices are in {items} and the log's in {log}"
    return (f"note: {found}, and they are compared as if they were one: {advice}",)


def _without_effect(source: Source, *tables: TableSummary) -> Iterator[str]:
    """Yield a note for each key that should leave something out, and did not: a typo in it would go unnoticed."""
    for key, given in (("drop_items", source.drop_items), ("drop_users", source.drop_users)):
        if given and not any(f"dropped by source.{key}" in table.reasons for table in tables):
            yield f"note: source.{key} has no effect: no row was left out for {given if isinstance(given, str) else ', '.join(given)}"


def _notes(items: Path) -> tuple[str, ...]:
    damaged = pl.scan_parquet(items).select(pl.col("title").str.contains("\ufffd", literal=True).sum()).collect().item()
    if not damaged:
        return ()
    what = f"{counted(damaged, 'title')} {agree(damaged, 'holds', 'hold')} characters that could not be decoded"
    return (f"note: {what} (\ufffd): set source.encoding, say to cp1252",)
