"""What `ingest` has stored (`features.ingest.table_versions`): read again, compared with its source, and cleared of
those who are to be forgotten."""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl
from pydantic import BaseModel, ConfigDict

from features.errors import DataError, disk_errors
from features.ingest.datasets import complete_journey_files
from features.ingest.source import Source
from features.ingest.table_versions import (
    INTERACTIONS,
    ITEMS,
    QUARANTINE,
    SOURCE,
    damaged,
    in_use,
    present,
    publish,
    read,
    remove_but,
    versions,
    writing,
)

if TYPE_CHECKING:
    from features.ingest.erased_users import ErasedUsers

SETTLED = 2_000_000_000  # nanoseconds: a file written twice within one tick of a file system's clock bears one time


def load_source(out: Path) -> Source:
    """What the tables in `out` were read from.

    Raises
    ------
    DataError: nothing has been ingested there, or it is damaged.
    """
    content = read(out, lambda folder: present(folder / SOURCE).read_bytes())
    try:
        return Source.model_validate(json.loads(content)["source"])
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{SOURCE} in {out} is damaged: run `recsys ingest` with the files named again") from error


def load_tables(out: Path) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The canonical items and interactions in `out`, both of one version.

    Raises
    ------
    DataError: nothing has been ingested there, or it is damaged.
    """
    return read(out, lambda folder: (pl.read_parquet(present(folder / ITEMS)), pl.read_parquet(present(folder / INTERACTIONS))))


def load_quarantine(out: Path) -> pl.DataFrame:
    """The rows that broke a rule: table, row, reason, value.

    Raises
    ------
    DataError: nothing has been ingested there, or it is damaged.
    """
    return read(out, lambda folder: pl.read_csv(present(folder / QUARANTINE), infer_schema=False))


def table_digests(out: Path) -> list[str] | None:
    """SHA-256 of items and interactions; None where they are not both there."""

    def digest(path: Path) -> str:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    try:
        return read(out, lambda folder: [digest(present(folder / name)) for name in (ITEMS, INTERACTIONS)])
    except DataError:
        return None


def is_ingested(out: Path) -> bool:
    """Whether there are tables, as far as can be told without reading them."""
    return (in_use(out) / SOURCE).is_file()


def stamps(source: Source) -> dict[str, Stamp] | None:
    """What tells each file of a source from any other; None for a source that is no files, or whose files are not all there."""
    paths = source_files(source)
    return {str(path): Stamp.of(path) for path in paths} if paths and all(path.is_file() for path in paths) else None


class Stamp(BaseModel):
    """A file as it stood. modified, changed: nanoseconds since the epoch; seen: when it was looked at, the same."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    size: int
    modified: int
    changed: int
    seen: int
    sha256: str

    @classmethod
    def of(cls, path: Path) -> Stamp:
        """Read it whole. Raises DataError where it cannot be read."""
        try:
            status, seen = path.stat(), time.time_ns()
            with path.open("rb") as file:
                content = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise DataError(f"{path} cannot be read ({error.strerror or error}): check the file and its rights") from error
        return cls(size=status.st_size, modified=status.st_mtime_ns, changed=status.st_ctime_ns, seen=seen, sha256=content)

    def still(self, path: Path) -> bool:
        """Whether the file is the same. Its content is compared where the times differ, or are too near to when it was looked at."""
        try:
            status = path.stat()
        except OSError:
            return False
        told = (status.st_size, status.st_mtime_ns, status.st_ctime_ns) == (self.size, self.modified, self.changed)
        if told and max(self.modified, self.changed) < self.seen - SETTLED:
            return True
        return status.st_size == self.size and Stamp.of(path).sha256 == self.sha256


def unchanged(out: Path, source: Source) -> bool:
    """Whether the tables in `out` were read from just these files. False where nobody can say."""
    content = read(out, lambda folder: present(folder / SOURCE).read_bytes())
    try:
        before = {path: Stamp.model_validate(stamp) for path, stamp in json.loads(content).get("files").items()}
    except (ValueError, AttributeError):
        return False
    paths = source_files(source)
    return paths is not None and set(before) == set(map(str, paths)) and all(before[str(path)].still(path) for path in paths)


def source_files(source: Source) -> list[Path] | None:
    """The files that a source is read from; None where it is no files."""
    if source.dataset is not None:
        return list(complete_journey_files())
    paths = [path for path in (source.items, source.interactions) if path is not None]
    return paths or None


def users_among(out: Path, erased_users: ErasedUsers) -> set[str]:
    """Erased users in the log of any version that is kept. One that cannot be read names nobody; `forget` removes or refuses it."""
    found: set[str] = set()
    for folder in (out, *versions(out)):
        if (folder / INTERACTIONS).is_file():
            try:
                users = pl.scan_parquet(folder / INTERACTIONS).select(pl.col("user_id").unique()).collect()["user_id"]
            except pl.exceptions.PolarsError:
                continue
            found.update(erased_users.among(users))
    return found


def forget(out: Path, erased_users: ErasedUsers) -> int:
    """Put a version without the rows of erased users in the place of all that are kept. Returns how many there were in the one in use.

    The log's part of quarantine.csv goes as a whole: it does not say whose rows they are. The next ingest lists what is left of it, and
    does not take the sources for read.

    Raises
    ------
    DataError: the tables are damaged, or `out` cannot be written.
    """
    now, count = in_use(out), 0
    try:
        with disk_errors(out):
            if (now / INTERACTIONS).is_file():
                with writing(out) as folder:
                    count = _without(now, folder / "out", erased_users)
                    now = publish(folder / "out", out)
            remove_but(out, {now}, strict=True)
    except pl.exceptions.PolarsError as error:
        raise damaged(out, error) from error
    return count


def _without(now: Path, new: Path, erased_users: ErasedUsers) -> int:
    """Write the tables of a version, less erased users, to a new folder. Returns how many rows were theirs."""
    new.mkdir()
    log = pl.scan_parquet(now / INTERACTIONS)
    theirs = pl.col("user_id").is_in(erased_users.among(log.select(pl.col("user_id").unique()).collect()["user_id"]))
    count = log.select(theirs.sum()).collect().item()
    log.filter(~theirs).sink_parquet(new / INTERACTIONS)
    shutil.copyfile(now / ITEMS, new / ITEMS)
    quarantine = pl.read_csv(now / QUARANTINE, infer_schema=False)
    quarantine.filter(pl.col("table") != Path(INTERACTIONS).stem).write_csv(new / QUARANTINE)
    source = {"source": load_source(now).model_dump(mode="json")}
    (new / SOURCE).write_text(json.dumps(source, indent=1) + "\n", encoding="utf-8")
    return int(count or 0)
