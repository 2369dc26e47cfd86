"""The ingest of a shop: reads raw files, validates each row, and publishes its tables as one version."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import IO, TYPE_CHECKING

import polars as pl

from features.data.catalog import ITEM_COLUMNS
from features.data.interactions import INTERACTION_COLUMNS
from features.data.queries import QUERY_COLUMNS
from features.errors import DataError, disk_errors
from features.ingest.erased_users import ErasedUsers
from features.ingest.formats.known import with_defaults
from features.ingest.money.currencies import same
from features.ingest.profile.measure import IngestedTable, measured
from features.ingest.profile.report import column_notes
from features.ingest.profile.search_log import with_search_log
from features.ingest.readers.raw_table import RawTable, as_text_cell, malformed, stored
from features.ingest.rules.duplicates import mark_duplicates
from features.ingest.rules.item_links import ItemLinks, no_item_known
from features.ingest.rules.item_rules import validate_items
from features.ingest.rules.log_rules import items_of_log, validate_interactions
from features.ingest.rules.query_rules import SEARCH_LOG, damaged_note, linked, mark_repeated, validate_queries
from features.ingest.rules.variants import of_groups, one_a_group, with_groups
from features.ingest.summary import IngestSummary, TableSummary
from features.ingest.table_store import ERASED, stamps
from features.ingest.table_versions import INTERACTIONS, ITEMS, PROFILE, QUARANTINE, QUERIES, SOURCE, publish, writing
from features.ingest.tables import raw_queries, raw_tables
from features.ingest.values.texts import text_notes
from features.ingest.values.visitors import guest_notes, user_notes
from features.text.plain import agree, counted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from features.ingest.profile.model import DataProfile
    from features.ingest.rules.checked_table import CheckedTable
    from features.ingest.source import Source


_COLUMNS = {ITEMS: ITEM_COLUMNS, INTERACTIONS: INTERACTION_COLUMNS, QUERIES: QUERY_COLUMNS}


def ingest(
    source: Source,
    out: Path,
    erased: ErasedUsers | None = None,
    files: Source | None = None,
    accept: Callable[[DataProfile], None] | None = None,
) -> IngestSummary:
    """Read, validate and store a shop's tables in the folder `out`.

    The new version (`features.ingest.table_versions`) holds items.parquet and interactions.parquet (canonical columns, rows in the
    order of the source), queries.parquet where the shop has a search log, quarantine.csv (table, row, reason, value), source.json and
    profile.json. It replaces the version in use as a whole, or nothing changes. The tables are never whole in memory; ten million rows
    peaked at 1.7 GiB (`benchmarks.ingest_10m`). Only one ingest may run in `out` at a time: `Workspace.ingest` takes the lock.

    Parameters
    ----------
    erased : users whose rows are counted, and neither stored nor quarantined.
    files : for a source that is a database, the files that `features.ingest.readers.database` wrote.
    accept : gets the profile of the new tables before they replace the old ones; it raises an error to keep those.

    Raises
    ------
    DataError
        If a file cannot be read, a required column is missing, one of the tables would be empty, or `out` cannot be written.
    """
    out = out.absolute()
    with disk_errors(out, "written"), writing(out) as folder:
        new = folder / "out"
        new.mkdir()
        source = source.absolute()
        files = files or source
        seen = stamps(files)  # before the files are read, so that the next refresh notices a change in the meantime
        summary = _write_tables(source, files, folder, erased or ErasedUsers())
        profile = summary.profile
        assert profile is not None
        if accept is not None:
            accept(profile)
        about = {"source": source.model_dump(mode="json"), "files": seen and {path: stamp.model_dump() for path, stamp in seen.items()}}
        (new / SOURCE).write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")
        (new / PROFILE).write_text(profile.without_personal_data().model_dump_json(indent=1) + "\n", encoding="utf-8")
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
        return _write_tables(source, files or source, folder, erased or ErasedUsers())


@dataclass(frozen=True)
class _Judged:
    """The tables after all rules.

    Attributes
    ----------
    of_file : the catalogue's file; None for a catalogue that was taken from the log.
    understood : table -> column -> in words, how its values are written.
    queries : the search log and its checked rows; None where the shop has none.
    """

    of_file: RawTable | None
    items: RawTable
    log: RawTable
    checked_items: pl.LazyFrame
    checked_log: pl.LazyFrame
    notes: tuple[str, ...]
    understood: Mapping[str, Mapping[str, str]]
    queries: tuple[RawTable, pl.LazyFrame] | None = None


def _write_tables(source: Source, files: Source, folder: Path, erased: ErasedUsers) -> IngestSummary:
    """Write the tables to `folder`; `source` is what the user gave, `files` what is read."""
    judged = _judged(files, folder, erased)
    out = folder / "out"
    with (out / QUARANTINE).open("wb") as quarantine:
        of_items = _write_table(judged.items, judged.checked_items, out / ITEMS, quarantine)
        of_log = _write_table(judged.log, judged.checked_log, out / INTERACTIONS, quarantine)
        of_queries = None if judged.queries is None else _write_table(*judged.queries, out / QUERIES, quarantine)
    pairs = ((judged.of_file, of_items), (judged.log, of_log))
    items, log = (IngestedTable(raw, summary, judged.understood[summary.name]) for raw, summary in pairs)
    profile = measured(source, items, log, out)
    if judged.queries is not None and of_queries is not None:
        profile = with_search_log(profile, source, IngestedTable(judged.queries[0], of_queries, judged.understood[of_queries.name]), out)
    of_columns = (note for table in profile.tables for note in column_notes(table))
    unused = _without_effect(source, *(table for table in (of_items, of_log, of_queries) if table is not None))
    notes = (*of_columns, *judged.notes, *unused, *user_notes(out / INTERACTIONS), *_notes(out / ITEMS))
    summary = IngestSummary(of_items, of_log, notes, queries=of_queries)
    return replace(summary, profile=profile.model_copy(update={"notes": summary.notes}))


def _judged(files: Source, folder: Path, erased: ErasedUsers) -> _Judged:
    """Read the tables and apply the rules: to each alone, and to the logs with the catalogue."""
    of_file, log = raw_tables(files, folder)
    searches = raw_queries(files, folder)
    files = with_defaults(files, log.format)
    log_rules = validate_interactions(log.frame, files, log.format)
    checked_log = stored(log_rules.frame, folder / "log.parquet")
    if checked_log.filter(pl.col("event_id").is_not_null()).head(1).collect().height:
        checked_log = stored(mark_duplicates(checked_log, "event_id"), folder / "once.parquet")
    if erased.users:
        log, checked_log = _without(erased, log, replace(log_rules, frame=checked_log))
    _require_rows("log", log, checked_log, log_rules.advice)
    items = of_file
    if items is None:
        catalogue = items_of_log(checked_log).collect(engine="streaming")
        items = RawTable(catalogue.lazy(), malformed(), catalogue.height)
    item_rules = validate_items(items.frame, files, items.format)
    checked_items = stored(mark_duplicates(item_rules.frame), folder / "items.parquet")
    _require_rows("catalogue", items, checked_items, item_rules.advice)
    links = ItemLinks.find(checked_log, checked_items if files.variants == "items" else with_groups(checked_items))
    search_rules = None
    if searches is not None:
        searches, search_rules = _judged_queries(searches, files, checked_items, erased, folder)
    all_rows, checked_log = checked_log, stored(links.mark(checked_log), folder / "known.parquet")
    if files.variants == "one":
        checked_items, checked_log = one_a_group(checked_items, checked_log, folder)
    if not checked_log.filter(pl.col("reason").is_null()).head(1).collect().height:
        raise no_item_known(links, all_rows, checked_items)
    of_rules = (*items.notes, *log.notes, *item_rules.notes, *log_rules.notes, *_currencies(item_rules, log_rules), *links.notes)
    notes = (*of_rules, *guest_notes(checked_log, files.guests), *text_notes(items.frame, checked_items))
    understood = {"items": item_rules.understood, "interactions": log_rules.understood}
    if searches is None or search_rules is None:
        return _Judged(of_file, items, log, checked_items, checked_log, notes, understood)
    notes, understood["queries"] = (*notes, *searches.notes, *search_rules.notes), search_rules.understood
    return _Judged(of_file, items, log, checked_items, checked_log, notes, understood, (searches, search_rules.frame))


def _judged_queries(raw: RawTable, files: Source, items: pl.LazyFrame, erased: ErasedUsers, folder: Path) -> tuple[RawTable, CheckedTable]:
    """Apply the rules to the search log: alone, and with the catalogue."""
    rules = validate_queries(raw.frame, files)
    checked = stored(mark_repeated(stored(rules.frame, folder / "searches.parquet")), folder / "searches_once.parquet")
    if erased.users:
        raw, checked = _without(erased, raw, replace(rules, frame=checked))
    links = ItemLinks.find(checked, items if files.variants == "items" else with_groups(items), SEARCH_LOG)
    checked = linked(checked, links)
    checked = stored(checked if files.variants == "items" else of_groups(checked, items), folder / "known_searches.parquet")
    _require_rows(SEARCH_LOG, raw, checked, rules.advice)
    return raw, replace(rules, frame=checked, notes=(*rules.notes, *links.notes, *damaged_note(checked)))


def _without(erased: ErasedUsers, log: RawTable, rules: CheckedTable) -> tuple[RawTable, pl.LazyFrame]:
    """Refuse the rows of erased users. The content of malformed rows is dropped too, because it may be theirs."""
    checked, spellings = rules.frame, rules.spellings
    gone = erased.among(checked.select(pl.col("user_id").unique()).collect()["user_id"].drop_nulls())
    # The list may hold an id as an earlier version read it.
    gone += [after for before, after in spellings.iter_rows() if erased.has(before)]
    reason = pl.when(pl.col("user_id").is_in(gone)).then(pl.lit(ERASED)).otherwise("reason")
    return replace(log, malformed=log.malformed.with_columns(offence=pl.lit(""))), checked.with_columns(reason=reason)


def _require_rows(name: str, raw: RawTable, checked: pl.LazyFrame, advice: Mapping[str, str]) -> None:
    if raw.read == 0:
        raise DataError(f"the {name} has no rows, expected at least one: export it again, or name another file")
    if checked.filter(pl.col("reason").is_null()).head(1).collect().height:
        return
    refused = _refused(raw, checked)
    row, reason, value = refused.select("row", "reason", "offence").row(0)
    summary = TableSummary(name, raw.read, 0, _counts(refused))
    if set(summary.reasons) == {ERASED}:
        if name == SEARCH_LOG:  # a shop can do without
            return
        raise DataError(f"all {raw.read:,} rows of the {name} are of erased users: ingest a log that has others")
    example = f", such as {value!r} in row {row:,}" if len(summary.reasons) == 1 else f"; row {row:,}: {reason}: {value!r}"
    none = agree(raw.read, f"the one row of the {name} cannot", f"not one of the {raw.read:,} rows of the {name} can")
    what = f"{none} be used ({summary.why}{example})"
    raise DataError(f"{what}: {advice.get(next(iter(summary.reasons))) or advice.get(reason) or _advice(reason)}")


def _advice(reason: str) -> str:
    if "damaged text" in reason:
        return "set source.encoding: bytes of the file are of another one"
    return "export it again with the ids as text" if "rounded" in reason else "correct the export, or map another column"


def _refused(raw: RawTable, checked: pl.LazyFrame) -> pl.DataFrame:
    return pl.concat([checked.filter(pl.col("reason").is_not_null()).select("row", "reason", "offence").collect(), raw.malformed]).sort(
        "row"
    )


def _counts(refused: pl.DataFrame) -> dict[str, int]:
    return dict(refused.group_by("reason").len().sort(["len", "reason"], descending=[True, False]).iter_rows())


def _write_table(raw: RawTable, checked: pl.LazyFrame, path: Path, quarantine: IO[bytes]) -> TableSummary:
    """Write valid rows to `path`, the others to the quarantine file."""
    checked.filter(pl.col("reason").is_null()).select(list(_COLUMNS[path.name])).sink_parquet(path)
    refused = _refused(raw, checked)
    value = as_text_cell(pl.col("offence")).alias("value")
    listed = refused.filter(pl.col("reason") != ERASED).select(pl.lit(path.stem).alias("table"), "row", "reason", value)
    listed.write_csv(quarantine, include_header=quarantine.tell() == 0)
    kept = pl.scan_parquet(path).select(pl.len()).collect().item()
    return TableSummary(path.stem, raw.read, kept, _counts(refused))


def _currencies(items: CheckedTable, log: CheckedTable) -> tuple[str, ...]:
    """Return a note where the catalogue and the log have their prices in two currencies."""
    if items.currency is None or log.currency is None or same(items.currency, log.currency):
        return ()
    advice = "export both in one currency"
    found = f"the catalogue's prices are in {items.currency} and the log's in {log.currency}"
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
