"""Errors of the operating system become one line: which file, whether it was read or written, and why."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import polars as pl
import pytest

from features.errors import DataError, disk_errors
from features.ingest.readers.raw_table import Spool, TableSpec

PLACE = Path("/shop")


def _missing(folder: Path) -> None:
    (folder / "gone.csv").read_bytes()


def _missing_for_polars(folder: Path) -> None:
    pl.read_parquet(folder / "gone.csv")


def _full(_: Path) -> None:
    with Path("/dev/full").open("wb", 0) as file:
        file.write(b"x")


def _full_for_polars(_: Path) -> None:
    pl.DataFrame({"a": range(1000)}).write_parquet("/dev/full")


def _unreadable(folder: Path) -> None:
    (folder / "stored.csv").touch()
    raise PermissionError(errno.EACCES, "Permission denied", str(folder / "stored.csv"))


def _moved(folder: Path) -> None:
    (folder / "stored.csv").touch()
    (folder / "stored.csv").rename(folder / "nowhere" / "stored.csv")


def _too_many(_: Path) -> None:
    raise OSError(errno.EMFILE, "Too many open files", "/shop/a")


FAILURES = [
    (_missing, r"gone\.csv cannot be read \(No such file or directory\): check the file"),
    (_missing_for_polars, r"gone\.csv cannot be read \(No such file or directory\): check the file"),
    (_full, r"^/shop cannot be written \(No space left on device\): check free space"),
    (_full_for_polars, r"^/shop cannot be written \(No space left on device\): check free space"),
    (_unreadable, r"stored\.csv cannot be read \(Permission denied\): check the file"),
    (_moved, r"stored\.csv cannot be written \(No such file or directory\)"),
    (_too_many, r"^/shop/a cannot be opened \(Too many open files\): check `ulimit -n`"),
]


@pytest.mark.parametrize(("operation", "message"), FAILURES)
def test_reading_is_distinguished_from_writing(operation, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # root has access to everything
    with pytest.raises(DataError, match=message), disk_errors(PLACE):
        operation(tmp_path)


def test_an_unknown_operation_is_not_guessed() -> None:
    with pytest.raises(DataError, match=r"^/shop cannot be read or written \(Input/output error\)"), disk_errors(PLACE):
        raise OSError(errno.EIO, "Input/output error")
    with pytest.raises(DataError, match=r"^/shop cannot be read \(Input/output error\)"), disk_errors(PLACE, "read"):
        raise OSError(errno.EIO, "Input/output error")


@pytest.mark.parametrize("error", [ValueError("odd"), DataError("no rows"), pl.exceptions.ComputeError("damaged"), KeyboardInterrupt()])
def test_other_errors_pass(error: BaseException) -> None:
    with pytest.raises(type(error)) as raised, disk_errors(PLACE):
        raise error
    assert raised.value is error


def test_a_full_disk_under_the_spool_is_a_write_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = pl.DataFrame.write_parquet
    monkeypatch.setattr(pl.DataFrame, "write_parquet", lambda frame, _, **options: write(frame, "/dev/full", **options))
    spec = TableSpec("log", tmp_path / "log.csv", {}, ())
    with pytest.raises(DataError, match=r"spool cannot be written"):
        Spool(spec, tmp_path / "spool").add(pl.DataFrame({"a": [1]}))
