"""The folder that `ingest` fills: versions of four files that belong together, and the name of the version in use.

    data/CURRENT        the name of the version in use, one line
    data/<version>/     items.parquet, interactions.parquet, quarantine.csv, source.json

A reader reads CURRENT once and everything else from the folder that it names. It takes no lock and writes nothing. A writer is alone in the
workspace (`Workspace.alone`): it writes a new version, makes sure of it on the disk and replaces CURRENT. The version before is kept for
whoever is reading it; older ones go. A reader whose version went meanwhile reads CURRENT again, once.

Without CURRENT the four files lie in data/ itself, as they did before there were versions. They are read there, count as the version before
once a writer has written the first one, and go with the next.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
import tempfile
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import polars as pl

from features.errors import DataError, disk_error, system_code
from features.storage.atomic import replace_durably, sync

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

ITEMS, INTERACTIONS, QUARANTINE, SOURCE = "items.parquet", "interactions.parquet", "quarantine.csv", "source.json"
CURRENT = "CURRENT"
_VERSION = re.compile(r"\d{8}T\d{12}Z", re.ASCII)
_TEMPORARY = ".tmp-"

T = TypeVar("T")


def in_use(out: Path) -> Path:
    """The folder of the version in use; `out` itself where there is no CURRENT.

    Raises
    ------
    DataError: CURRENT is damaged.
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
        raise DataError(f"{path} is damaged: it holds {name[:60]!r} and not the name of a version: run `recsys ingest` again")
    return out / name


def versions(out: Path) -> list[Path]:
    """Folders of all versions there are, newest first."""
    found = (path for path in out.iterdir() if _VERSION.fullmatch(path.name)) if out.is_dir() else ()
    return sorted(found, reverse=True)


def read(out: Path, reading: Callable[[Path], T]) -> T:
    """What is read of the version in use; of the one that took its place, where it went while it was read.

    Raises
    ------
    DataError: nothing has been ingested there, or it cannot be read.
    """
    try:
        folder = in_use(out)
        try:
            return reading(folder)
        except FileNotFoundError:
            if (now := in_use(out)) == folder:
                raise
            return reading(now)
    except FileNotFoundError as error:
        raise DataError(f"{error.filename or out} is not there: run `recsys ingest` first") from error
    except (OSError, pl.exceptions.PolarsError) as error:
        if system_code(error) is not None:
            raise DataError(disk_error(error, out, "read")) from error
        raise damaged(out, error) from error


@contextmanager
def writing(out: Path) -> Iterator[Path]:
    """A folder to write a new version in, for who is alone in the workspace; what writers that were killed left goes first."""
    if not out.is_dir():
        out.mkdir(parents=True)
        sync(out.parent)
    remove_leftovers(out)
    try:
        with tempfile.TemporaryDirectory(prefix=_TEMPORARY, dir=out, ignore_cleanup_errors=True) as name:
            yield Path(name)
    finally:
        if not any(out.iterdir()):  # a first one that failed
            out.rmdir()


def publish(new: Path, out: Path) -> Path:
    """Make a complete folder the version in use, and keep the one before it. Returns where it lies now.

    Until CURRENT is replaced the version before is in use, whatever happens; from then on the new one is, and it is whole on the disk.
    """
    for path in [*new.iterdir(), new]:
        sync(path)
    before = _in_use_or_none(out)
    version = out / f"{datetime.now(UTC):%Y%m%dT%H%M%S%fZ}"
    os.rename(new, version)
    sync(out)
    replace_durably(out / CURRENT, f"{version.name}\n".encode())
    remove_but(out, {version} if before is None else {version, before})
    return version


def remove_leftovers(out: Path) -> None:
    """Remove what writers that were killed left. For who is alone in the workspace: another writer's work looks the same."""
    there, now = versions(out), _in_use_or_none(out)
    known = now in there  # otherwise nobody can say which of them are left over
    remove_but(out, {now, *[path for path in there if path < now][:1]} if now and known else {out, *there})


def remove_but(out: Path, kept: Collection[Path], *, strict: bool = False) -> None:
    """Remove temporary folders and all versions but some. strict: raises OSError where one of them stays."""
    stale = [*out.glob(f"{_TEMPORARY}*"), *(path for path in versions(out) if path not in kept)]
    if out.parent.is_dir():
        stale += out.parent.glob(f".{out.name}.*")  # of writers before there were versions
    if out not in kept:
        stale += [path for name in (ITEMS, INTERACTIONS, QUARANTINE, SOURCE) if (path := out / name).exists()]
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


def present(path: Path) -> Path:
    """The same path. Raises FileNotFoundError with its name, which polars leaves out."""
    if not path.is_file():
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))
    return path


def damaged(out: Path, error: Exception) -> DataError:
    return DataError(f"{out} is damaged ({' '.join(str(error).split())[:200]}): run `recsys ingest` again")
