"""What the system refuses is said in one line: which file, whether it was read or written, and why."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import polars as pl
import pytest

from features.errors import DataError, disk_errors
from features.ingest.raw_table import Spool, TableSpec

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
    (folder / "kept.csv").touch()
    raise PermissionError(errno.EACCES, "Permission denied", str(folder / "kept.csv"))


def _moved(folder: Path) -> None:
    (folder / "kept.csv").touch()
    (folder / "kept.csv").rename(folder / "nowhere" / "kept.csv")


def _too_many(_: Path) -> None:
    raise OSError(errno.EMFILE, "Too many open files", "/shop/a")


REFUSED = [
    (_missing, r"gone\.csv cannot be read \(No such file or directory\): check the file"),
    (_missing_for_polars, r"gone\.csv cannot be read \(No such file or directory\): check the file"),
    (_full, r"^/shop cannot be written \(No space left on device\): check free space"),
    (_full_for_polars, r"^/shop cannot be written \(No space left on device\): check free space"),
    (_unreadable, r"kept\.csv cannot be read \(Permission denied\): check the file"),
    (_moved, r"kept\.csv cannot be written \(No such file or directory\)"),
    (_too_many, r"^/shop/a cannot be opened \(Too many open files\): check `ulimit -n`"),
]


@pytest.mark.parametrize(("refused", "said"), REFUSED)
def test_reading_is_told_from_writing(refused, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # root may do everything
    with pytest.raises(DataError, match=said), disk_errors(PLACE):
        refused(tmp_path)


def test_what_nobody_can_know_is_not_claimed() -> None:
    with pytest.raises(DataError, match=r"^/shop cannot be read or written \(Input/output error\)"), disk_errors(PLACE):
        raise OSError(errno.EIO, "Input/output error")
    with pytest.raises(DataError, match=r"^/shop cannot be read \(Input/output error\)"), disk_errors(PLACE, "read"):
        raise OSError(errno.EIO, "Input/output error")


@pytest.mark.parametrize("error", [ValueError("odd"), DataError("no rows"), pl.exceptions.ComputeError("damaged"), KeyboardInterrupt()])
def test_other_errors_pass(error: BaseException) -> None:
    with pytest.raises(type(error)) as raised, disk_errors(PLACE):
        raise error
    assert raised.value is error


def test_the_spool_is_written_whatever_is_read_around_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = pl.DataFrame.write_parquet
    monkeypatch.setattr(pl.DataFrame, "write_parquet", lambda frame, _, **options: write(frame, "/dev/full", **options))
    spec = TableSpec("log", tmp_path / "log.csv", {}, ())
    with pytest.raises(DataError, match=r"spool cannot be written"):
        Spool(spec, tmp_path / "spool").add(pl.DataFrame({"a": [1]}))
