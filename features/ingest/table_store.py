"""The ingested tables of a shop: reads them, compares them with their source, and removes erased users from them.

The layout on disk is in `features.ingest.table_versions`.
"""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl
from pydantic import BaseModel, ConfigDict, ValidationError

from features.errors import DataError, disk_error, disk_errors
from features.ingest.datasets import complete_journey_files
from features.ingest.help_pages.markdown import is_pages, page_files
from features.ingest.optional_tables import FILES, OPTIONAL
from features.ingest.profile.measure import log_facts
from features.ingest.profile.model import DataProfile
from features.ingest.profile.optional_tables import facts_of
from features.ingest.source import Source
from features.ingest.table_versions import (
    AS_OF,
    INTERACTIONS,
    ITEMS,
    PROFILE,
    QUARANTINE,
    SOURCE,
    damaged,
    in_use,
    items_as_of,
    log_files,
    present,
    publish,
    read,
    remove_but,
    table_files,
    versions,
    writing,
)
from features.names import CURRENCY
from features.storage.digests import of_file

if TYPE_CHECKING:
    from features.ingest.erased_users import ErasedUsers
    from features.ingest.optional_tables import OptionalName
    from features.ingest.profile.model import TableProfile

LOGS = (INTERACTIONS, *(one.file for one in OPTIONAL.values() if one.of_users))  # tables with users
ERASED = "of an erased user"  # reason of the rows that an erasure removes
SETTLED = 2_000_000_000  # nanoseconds: two writes within one tick of a file system's clock get the same time


def load_source(out: Path) -> Source:
    """Return the source that the tables in `out` were read from.

    Raises
    ------
    DataError
        If nothing was ingested there, or it is damaged.
    """
    content = read(out, lambda folder: present(folder / SOURCE).read_bytes())
    try:
        return Source.of_record(json.loads(content)["source"])
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{SOURCE} in {out} is damaged: run `recsys ingest` again and give its files") from error


def load_profile(out: Path) -> DataProfile | None:
    """Return the data profile of the tables in `out`; None if an earlier version of this program wrote them.

    Raises
    ------
    DataError
        If nothing was ingested there, or it cannot be read.
    """
    path = read(out, lambda folder: present(folder / SOURCE).with_name(PROFILE))
    try:
        return DataProfile.model_validate_json(path.read_bytes())
    except (FileNotFoundError, ValidationError):
        return None
    except OSError as error:
        raise DataError(disk_error(error, path, "read")) from error


def load_tables(out: Path) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the canonical items and interactions in `out`, both of one version.

    Raises
    ------
    DataError
        If nothing was ingested there, or it is damaged.
    """
    return read(out, lambda folder: (pl.read_parquet(present(folder / ITEMS)), pl.concat(map(pl.read_parquet, log_files(folder)))))


def load_optional(out: Path, name: OptionalName) -> pl.DataFrame | None:
    """Return the canonical rows of an optional table in `out`; None where the shop has none.

    Raises
    ------
    DataError
        If nothing was ingested there, or it is damaged.
    """
    # A folder that is no whole version, such as a removed one, lacks its source: then `read` looks again.
    file = OPTIONAL[name].file
    return read(out, lambda folder: pl.read_parquet(folder / file) if present(folder / SOURCE) and (folder / file).is_file() else None)


def load_quarantine(out: Path) -> pl.DataFrame:
    """Return the rows that broke a rule: table, row, reason, value.

    Raises
    ------
    DataError
        If nothing was ingested there, or it is damaged.
    """
    return read(out, lambda folder: pl.read_csv(present(folder / QUARANTINE), infer_schema=False))


def table_digests(out: Path) -> list[str] | None:
    """Return the SHA-256 of the files of items, log and the optional tables that there are; None unless the first two exist."""

    def digests(folder: Path) -> list[str]:
        optional = [path for one in OPTIONAL.values() if (path := folder / one.file).is_file()]
        return [of_file(present(path)) for path in (folder / ITEMS, *log_files(folder), *optional)]

    try:
        return read(out, digests)
    except DataError:
        return None


def is_ingested(out: Path) -> bool:
    """Return whether there are tables in `out`, without reading them."""
    return (in_use(out) / SOURCE).is_file()


def catalogue_written(source: Source, seen: dict[str, Stamp] | None) -> float:
    """Return when the file that has a source's catalogue was last written, seconds since the epoch; now where there is none."""
    now = time.time()
    path = source.items or source.interactions
    if not seen or (path is not None and str(path) not in seen):
        return now
    of_items = [stamp.modified for name, stamp in seen.items() if path is None or name == str(path)]
    return min(now, max(of_items) / 1e9)  # a file server's clock may be ahead


def stamps(source: Source) -> dict[str, Stamp] | None:
    """Return path -> stamp of a source's files; None for a source without files, or if one of them is missing."""
    paths = source_files(source)
    return {str(path): Stamp.of(path) for path in paths} if paths and all(path.is_file() for path in paths) else None


class Stamp(BaseModel):
    """State of a file at one moment, to detect a later change.

    Attributes
    ----------
    size : bytes.
    modified, changed : the file's times, nanoseconds since the epoch.
    seen : when the file was examined, nanoseconds since the epoch.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    size: int
    modified: int
    changed: int
    seen: int
    sha256: str

    @classmethod
    def of(cls, path: Path) -> Stamp:
        """Return the stamp of a file, which is read whole. Raises DataError if it cannot be read."""
        try:
            status, seen = path.stat(), time.time_ns()
            content = of_file(path)
        except OSError as error:
            raise DataError(f"{path} cannot be read ({error.strerror or error}): check the file and its permissions") from error
        return cls(size=status.st_size, modified=status.st_mtime_ns, changed=status.st_ctime_ns, seen=seen, sha256=content)

    def still(self, path: Path) -> bool:
        """Return whether the file is unchanged. Its content is compared if a time differs or is too close to `seen`."""
        try:
            status = path.stat()
        except OSError:
            return False
        same = (status.st_size, status.st_mtime_ns, status.st_ctime_ns) == (self.size, self.modified, self.changed)
        if same and max(self.modified, self.changed) < self.seen - SETTLED:
            return True
        return status.st_size == self.size and Stamp.of(path).sha256 == self.sha256


def unchanged(out: Path, source: Source) -> bool:
    """Return whether the tables in `out` were read from exactly these files; False if that is not recorded."""
    content = read(out, lambda folder: present(folder / SOURCE).read_bytes())
    try:
        before = {path: Stamp.model_validate(stamp) for path, stamp in json.loads(content).get("files").items()}
    except (ValueError, AttributeError):
        return False
    paths = source_files(source)
    return paths is not None and set(before) == set(map(str, paths)) and all(before[str(path)].still(path) for path in paths)


def source_files(source: Source) -> list[Path] | None:
    """Return the files that a source is read from; None for a source without files."""
    own = list(complete_journey_files()) if source.dataset is not None else []
    named = [path for name in FILES if (path := getattr(source, name)) is not None]
    return [*own, *(file for path in named for file in (page_files(path) if is_pages(path) else [path]))] or None


def users_among(out: Path, erased_users: ErasedUsers) -> set[str]:
    """Return erased users in the logs of any stored version. Unreadable ones are skipped: `forget` handles them."""
    found: set[str] = set()
    for path in (path for folder in (out, *versions(out)) for name in LOGS for path in table_files(folder, name)):
        try:
            found.update(_theirs(path, erased_users))
        except pl.exceptions.PolarsError:
            continue
    return found


def _theirs(log: Path, erased_users: ErasedUsers) -> list[str]:
    """Return the erased users in a stored log."""
    return erased_users.among(pl.scan_parquet(log).select("user_id").unique().collect(engine="streaming")["user_id"].drop_nulls())


def forget(out: Path, erased_users: ErasedUsers) -> int:
    """Replace all stored versions by one without the rows of erased users. Returns how many rows it drops of the tables with users.

    The logs' part of quarantine.csv is removed as a whole, because it does not say whose rows they are. The next ingest lists the rest
    of it again, and reads the sources even if they have not changed.

    Raises
    ------
    DataError
        If the tables are damaged, or `out` cannot be written.
    """
    current, count = in_use(out), 0
    try:
        with disk_errors(out):
            if table_files(current, INTERACTIONS):
                with writing(out) as folder:
                    count = _without(current, folder / "out", erased_users)
                    current = publish(folder / "out", out)
            remove_but(out, {current}, strict=True)
    except pl.exceptions.PolarsError as error:
        raise damaged(out, error) from error
    return count


def _without(current: Path, new: Path, erased_users: ErasedUsers) -> int:
    """Write the tables of a version without erased users to a new folder. Returns how many rows were theirs."""
    new.mkdir()
    count = 0
    for path in (path for name in LOGS for path in table_files(current, name)):
        log = pl.scan_parquet(path)
        theirs = pl.col("user_id").is_in(_theirs(path, erased_users)).fill_null(value=False)
        count += log.select(theirs.sum()).collect(engine="streaming").item() or 0
        log.filter(~theirs).sink_parquet(new / path.name)
    for name in (ITEMS, *(one.file for one in OPTIONAL.values() if not one.of_users)):
        if (current / name).is_file():
            shutil.copyfile(current / name, new / name)
    quarantine = pl.read_csv(current / QUARANTINE, infer_schema=False)
    quarantine.filter(~pl.col("table").is_in([Path(name).stem for name in LOGS])).write_csv(new / QUARANTINE)
    source = {"source": load_source(current).record(), AS_OF: items_as_of(current)}
    (new / SOURCE).write_text(json.dumps(source, indent=1) + "\n", encoding="utf-8")
    before = load_profile(current)
    if before is not None and (profile := _recounted(before, new)) is not None:
        (new / PROFILE).write_text(profile.model_dump_json(indent=1) + "\n", encoding="utf-8")
    return count


def _recounted(profile: DataProfile, folder: Path) -> DataProfile | None:
    """Return the profile with the facts of the logs that are left, None if no log is. Its columns hold no values of users anyway."""
    log = pl.scan_parquet(log_files(folder))
    if not (kept := log.select(pl.len()).collect().item()):
        return None
    facts = log_facts(log).model_copy(update={"words": profile.log.words, CURRENCY: profile.log.currency})
    changed: dict[str, object] = {"interactions": _less(profile.interactions, kept), "log": facts}
    for name, one in OPTIONAL.items():
        if one.of_users and (table := getattr(profile, name)) is not None and (folder / one.file).is_file():
            rows = pl.scan_parquet(folder / one.file)
            changed |= {name: _less(table, rows.select(pl.len()).collect().item()), **facts_of(name, rows)}
    return profile.model_copy(update=changed).without_personal_data()


def _less(table: TableProfile, kept: int) -> TableProfile:
    quarantined = dict(table.quarantined)
    if table.kept > kept:
        quarantined[ERASED] = quarantined.get(ERASED, 0) + table.kept - kept
    return table.model_copy(update={"kept": kept, "quarantined": quarantined})
