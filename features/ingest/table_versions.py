"""Versions of the ingested tables: a folder of files each, and the name of the version in use.

    data/CURRENT        the name of the version in use, one line
    data/<version>/     items.parquet, interactions.parquet, quarantine.csv, source.json, profile.json, log_ids.parquet;
                        a file for each optional table that the shop has (`features.ingest.optional_tables`);
                        interactions-000.parquet and so on in place of a large interactions.parquet (`features.ingest.partitions`)

A reader reads CURRENT once and everything else from the folder that it names. It takes no lock and writes nothing. A writer holds
the lock of the workspace (`Workspace.alone`): it writes a new version, syncs it to the disk and replaces CURRENT. The previous version
stays for readers that have begun with it; older ones are removed. A reader whose version was removed meanwhile reads CURRENT again, once.

Without CURRENT the files lie in data/ itself, as they did before versions were introduced. They are read there, count as the previous
version once a writer has written the first one, and are removed with the next.
"""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import tempfile
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import polars as pl

from features.errors import DataError, disk_error, one_line, system_code
from features.ingest.optional_tables import OPTIONAL
from features.storage.atomic import replace_durably, sync

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

ITEMS, INTERACTIONS, QUARANTINE, SOURCE = "items.parquet", "interactions.parquet", "quarantine.csv", "source.json"
PROFILE = "profile.json"
LOG_IDS = "log_ids.parquet"  # what became of the ids that the log names, see `features.ingest.earlier_log`
AS_OF = "items_as_of"  # of SOURCE: when the shop wrote the catalogue
CURRENT = "CURRENT"
_VERSION = re.compile(r"\d{8}T\d{12}Z", re.ASCII)
_TEMPORARY = ".tmp-"

T = TypeVar("T")


def in_use(out: Path) -> Path:
    """Return the folder of the version in use; `out` itself if there is no CURRENT.

    Raises
    ------
    DataError
        If CURRENT is damaged.
    """
    path = out / CURRENT
    try:
        with path.open("rb") as file:
            name = file.read(200).decode("ascii", errors="replace").removesuffix("\n")
    except (FileNotFoundError, NotADirectoryError):
        return out
    except OSError as error:
        raise DataError(disk_error(error, path, "read")) from error
    if not _VERSION.fullmatch(name):
        raise DataError(f"{path} is damaged: it holds {name[:60]!r}, expected the name of a version: run `recsys ingest` again")
    return out / name


def items_as_of(out: Path) -> float:
    """Return when the catalogue in `out` was written by the shop, seconds since the epoch; 0 where an earlier version did not note it."""
    content = read(out, lambda folder: present(folder / SOURCE).read_bytes())
    try:
        return float(json.loads(content)[AS_OF])
    except (ValueError, KeyError, TypeError):
        return 0.0


def table_files(folder: Path, name: str) -> list[Path]:
    """Return the files of a table in the folder of a version: one, or its partitions in their order; none if it is not there."""
    if (whole := folder / name).is_file():
        return [whole]
    stem, _, suffix = name.partition(".")
    return sorted(folder.glob(f"{stem}-[0-9][0-9][0-9]*.{suffix}"), key=lambda path: (len(path.name), path.name))


def partition_name(part: int) -> str:
    """Return the file name of a partition of the log, see `features.ingest.partitions`."""
    stem, _, suffix = INTERACTIONS.partition(".")
    return f"{stem}-{part:03}.{suffix}"


def versions(out: Path) -> list[Path]:
    """Return the folders of all versions, newest first."""
    folders = (path for path in out.iterdir() if _VERSION.fullmatch(path.name)) if out.is_dir() else ()
    return sorted(folders, reverse=True)


def read(out: Path, reading: Callable[[Path], T]) -> T:
    """Read the version in use; if it is removed meanwhile, the one that replaced it.

    Parameters
    ----------
    reading : reads the folder of a version, and raises FileNotFoundError if a file is missing.

    Raises
    ------
    DataError
        If nothing was ingested there, or it cannot be read.
    """
    try:
        folder = in_use(out)
        try:
            return reading(folder)
        except FileNotFoundError:
            if (current := in_use(out)) == folder:
                raise
            return reading(current)
    except FileNotFoundError as error:
        raise DataError(f"{error.filename or out} does not exist: run `recsys ingest` first") from error
    except (OSError, pl.exceptions.PolarsError) as error:
        if system_code(error) is not None:
            raise DataError(disk_error(error, out, "read")) from error
        raise damaged(out, error) from error


@contextmanager
def writing(out: Path) -> Iterator[Path]:
    """Remove leftovers, and yield a temporary folder for a new version. The caller holds the lock."""
    if not out.is_dir():
        out.mkdir(parents=True)
        sync(out.parent)
    remove_leftovers(out)
    try:
        with tempfile.TemporaryDirectory(prefix=_TEMPORARY, dir=out, ignore_cleanup_errors=True) as name:
            yield Path(name)
    finally:
        if not any(out.iterdir()):  # the first ingest failed
            out.rmdir()


def publish(new: Path, out: Path, name: str | None = None) -> Path:
    """Make a complete folder the version in use, and keep the previous one. Returns its new path.

    Until CURRENT is replaced the previous version is in use, whatever happens. From then on the new one is, and it is whole on the disk.

    Parameters
    ----------
    name : that it has on the machine that it comes from; None names it by the time.
    """
    for path in [*new.iterdir(), new]:
        sync(path)
    before = _in_use_or_none(out)
    version = out / (name or f"{datetime.now(UTC):%Y%m%dT%H%M%S%fZ}")
    os.rename(new, version)
    sync(out)
    replace_durably(out / CURRENT, f"{version.name}\n".encode())
    remove_but(out, {version} if before is None else {version, before})
    return version


def remove_leftovers(out: Path) -> None:
    """Remove leftovers of killed writers. The caller holds the lock: another writer's work looks the same."""
    existing, current = versions(out), _in_use_or_none(out)
    if current is None or current not in existing:  # which versions are leftovers is unknown
        remove_but(out, {out, *existing})
    else:
        remove_but(out, {current, *[path for path in existing if path < current][:1]})


def remove_but(out: Path, kept: Collection[Path], *, strict: bool = False) -> None:
    """Remove temporary folders, and all versions but some. `strict` raises OSError if one cannot be removed."""
    stale = [*out.glob(f"{_TEMPORARY}*"), *(path for path in versions(out) if path not in kept)]
    if out.parent.is_dir():
        stale += out.parent.glob(f".{out.name}.*")  # of releases without versions
    if out not in kept:
        stale += [
            path
            for name in (ITEMS, INTERACTIONS, *(one.file for one in OPTIONAL.values()), QUARANTINE, SOURCE, PROFILE, LOG_IDS)
            if (path := out / name).exists()
        ]
    for path in stale:
        try:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        except OSError:
            if strict:
                raise


def _in_use_or_none(out: Path) -> Path | None:
    try:
        return in_use(out)
    except DataError:
        return None


def log_files(folder: Path) -> list[Path]:
    """Return the files of the log. Raises FileNotFoundError like `present`, also for a partition that is not there."""
    files = table_files(folder, INTERACTIONS) or [present(folder / INTERACTIONS)]
    if files == [folder / INTERACTIONS]:
        return files
    parts = 1 << (len(files) - 1).bit_length()  # their number is a power of two
    return [present(folder / partition_name(part)) for part in range(max(parts, 2))]


def present(path: Path) -> Path:
    """Return the path of a file. Raises FileNotFoundError with its name, which polars omits."""
    if not path.is_file():
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))
    return path


def damaged(out: Path, error: Exception) -> DataError:
    """Return the error for tables that cannot be parsed."""
    return DataError(f"{out} is damaged ({one_line(error)[:200]}): run `recsys ingest` again")
