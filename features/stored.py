"""The folder that `ingest` fills: four files that are replaced together, read again, and cleared of those who are to be forgotten."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl
from pydantic import BaseModel, ConfigDict

from features.datasets import complete_journey_files
from features.durable import sync
from features.errors import DataError
from features.source import Source

if TYPE_CHECKING:
    from features.tombstones import Tombstones

ITEMS, INTERACTIONS, QUARANTINE, SOURCE = "items.parquet", "interactions.parquet", "quarantine.csv", "source.json"
SETTLED = 2_000_000_000  # nanoseconds: a file written twice within one tick of a file system's clock bears one time


def load_source(out: Path) -> Source:
    """What the tables in `out` were read from.

    Raises
    ------
    DataError: nothing has been ingested there, or it is damaged.
    """
    path = _ingested(out, SOURCE)
    try:
        return Source.model_validate(json.loads(path.read_bytes())["source"])
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path} is damaged: run `recsys ingest` with the files named again") from error


def load_tables(out: Path) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The canonical items and interactions in `out`.

    Raises
    ------
    DataError: nothing has been ingested there, or it is damaged.
    """
    paths = _ingested(out, ITEMS), _ingested(out, INTERACTIONS)
    try:
        return pl.read_parquet(paths[0]), pl.read_parquet(paths[1])
    except pl.exceptions.PolarsError as error:
        raise DataError(f"{out} is damaged ({' '.join(str(error).split())[:200]}): run `recsys ingest` again") from error


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
    try:
        raw = json.loads(_ingested(out, SOURCE).read_bytes()).get("files")
        before = {path: Stamp.model_validate(stamp) for path, stamp in raw.items()}
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


def forget(out: Path, tombstones: Tombstones) -> int:
    """Remove the rows of erased users from the folder `out`, all at once. Returns how many there were.

    The log's part of quarantine.csv goes as a whole: it does not say whose rows they are. The next ingest lists what is left of it, and
    does not take the sources for read.

    Raises
    ------
    DataError: the tables are damaged, or `out` cannot be written.
    """
    recover(out)
    remove_leftovers(out)
    if not (out / INTERACTIONS).is_file():
        return 0
    try:
        log = pl.scan_parquet(out / INTERACTIONS)
        gone = tombstones.among(log.select(pl.col("user_id").unique()).collect()["user_id"])
        with tempfile.TemporaryDirectory(prefix=f".{out.name}.", dir=out.parent, ignore_cleanup_errors=True) as name:
            new = Path(name) / "out"
            new.mkdir()
            theirs = pl.col("user_id").is_in(gone)
            count = log.select(theirs.sum()).collect().item()
            log.filter(~theirs).sink_parquet(new / INTERACTIONS)
            shutil.copyfile(out / ITEMS, new / ITEMS)
            quarantine = pl.read_csv(out / QUARANTINE, infer_schema=False)
            quarantine.filter(pl.col("table") != Path(INTERACTIONS).stem).write_csv(new / QUARANTINE)
            source = {"source": load_source(out).model_dump(mode="json")}
            (new / SOURCE).write_text(json.dumps(source, indent=1) + "\n", encoding="utf-8")
            replace_folder(new, out)
    except pl.exceptions.PolarsError as error:
        raise DataError(f"{out} is damaged ({' '.join(str(error).split())[:200]}): run `recsys ingest` again") from error
    except OSError as error:
        raise DataError(f"{out} cannot be written ({error.strerror or error}): check free space and rights") from error
    return int(count or 0)


def own(out: Path) -> None:
    """Refuse a folder that holds anything else: replacing it would lose that."""
    foreign = sorted({path.name for path in out.iterdir()} - {ITEMS, INTERACTIONS, QUARANTINE, SOURCE}) if out.exists() else []
    if foreign:
        raise DataError(f"{out} also holds {foreign[0]!r}, which would be lost: give ingest a folder of its own")


def replace_folder(new: Path, out: Path) -> None:
    """Put a complete folder in the place of `out`.

    A folder cannot be replaced in one step on every system; between the two renames the old one stands beside, and `recover` puts it back.
    """
    for path in [*new.iterdir(), new]:
        sync(path)
    before = _before(out)
    if before.exists():
        shutil.rmtree(before)
    if out.exists():
        out.rename(before)
    try:
        new.rename(out)
    except OSError:
        recover(out)
        raise
    sync(out.parent)
    shutil.rmtree(before, ignore_errors=True)


def recover(out: Path) -> None:
    """After a crash between the two renames of `replace_folder`: bring back what was there."""
    if not out.exists() and _before(out).exists():
        _before(out).rename(out)


def remove_leftovers(out: Path) -> None:
    """What writers that were killed left beside `out`. For somebody who is alone in the workspace: another writer's work looks the same."""
    if not out.parent.is_dir():
        return
    for path in out.parent.glob(f".{out.name}.*"):
        if out.exists() or path != _before(out):
            shutil.rmtree(path, ignore_errors=True)


def _ingested(out: Path, name: str) -> Path:
    recover(out.absolute())
    path = out / name
    if not path.is_file():
        raise DataError(f"{path} is not there: run `recsys ingest` first")
    return path


def _before(out: Path) -> Path:
    return out.with_name(f".{out.name}.before")
