"""Errors that a user can act on.

RecsysError
+-- DataError      a table, file or id is not what it should be
+-- ConfigError    recsys.toml, an option or an environment variable
+-- ModelError     a model is missing, or does not fit the data
+-- BundleError    a bundle is missing, damaged or incompatible
+-- ClusterError   a cluster cannot be reached, or lost its workers
+-- StorageError   the store that machines share cannot be used, or another publisher was first

Every message is one line: what was found, what was expected, what to do next. The command line prints it and exits with
1.
"""

from __future__ import annotations

import errno
import os
import re
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterator

Doing = Literal["read", "written", "read or written"]
NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS}  # only writing can fail with these
_TOO_MANY_OPEN = {errno.EMFILE, errno.ENFILE}
_RUST_ERROR = re.compile(r"\(os error (\d+)\)(?:: (\S.*))?")
_ADVICE = {
    "read": "check the file and its rights",
    "written": "check free space and rights",
    "read or written": "check the disk, its free space and rights",
}


class RecsysError(Exception):
    """Base class of all errors that the user can fix."""


class DataError(RecsysError):
    """A table, a file or an id is invalid."""


class ConfigError(RecsysError):
    """The configuration is invalid or cannot be met."""


class ModelError(RecsysError):
    """A model is missing or does not fit the data it is used with."""


class BundleError(RecsysError):
    """A bundle is missing, damaged or of an incompatible version."""


class ClusterError(RecsysError):
    """A cluster cannot be reached, does not fit this program, or lost its workers."""


class StorageError(RecsysError):
    """The store that machines share cannot be used, holds something damaged, or another publisher was first."""


def system_code(error: BaseException) -> int | None:
    """Return the errno of an error, or None if it has none.

    Polars reads and writes in Rust, so its errors carry the errno only in their message.
    """
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno
    match = _RUST_ERROR.search(str(error))
    return int(match[1]) if match else None


def one_line(error: BaseException) -> str:
    """Return the message of an error in one line."""
    return " ".join(str(error).split())


def disk_error(error: BaseException, place: Path, doing: Doing = "read or written") -> str:
    """Describe in one line which file could not be read or written, and why.

    Parameters
    ----------
    error : BaseException
        An error of the operating system, or one of polars with an errno in its message.
    place : Path
        The path to report if the error names no file.
    doing : {"read", "written", "read or written"}
        The operation to report if the error does not show it.
    """
    code = system_code(error)
    path = _path_of(error) or place
    why = one_line(error)[:200] if code is None else os.strerror(code)
    if code in _TOO_MANY_OPEN:
        return f"{path} cannot be opened ({why}): check `ulimit -n`"
    doing = _what_was_done(error, code, path) or doing
    return f"{path} cannot be {doing} ({why}): {_ADVICE[doing]}"


@contextmanager
def disk_errors(place: Path, doing: Doing = "read or written", kind: type[RecsysError] = DataError, more: str = "") -> Iterator[None]:
    """Convert errors of the operating system into `RecsysError`s; let other errors pass.

    Parameters
    ----------
    place, doing
        See `disk_error`.
    kind : type of RecsysError
        The class of the new error.
    more : str
        Text to append to the message.
    """
    try:
        yield
    except RecsysError:
        raise
    except Exception as error:
        if not isinstance(error, OSError) and system_code(error) is None:
            raise
        raise kind(disk_error(error, place, doing) + more) from error


def _path_of(error: BaseException) -> Path | None:
    if isinstance(error, OSError) and isinstance(error.filename, str | bytes):
        return Path(os.fsdecode(error.filename))
    match = _RUST_ERROR.search(str(error))
    return Path(match[2]) if match and match[2] else None


def _what_was_done(error: BaseException, code: int | None, path: Path) -> Doing | None:
    """Infer whether a file was read or written; None if it cannot be known."""
    if code in NO_ROOM or getattr(error, "filename2", None) is not None:  # two file names mean a rename
        return "written"
    if code == errno.ENOENT and path.parent.is_dir() and not path.exists():  # writing would have created it
        return "read"
    if code in (errno.EACCES, errno.EPERM):
        if path.exists() and not os.access(path, os.R_OK):
            return "read"
        if path.parent.is_dir() and not path.exists() and not os.access(path.parent, os.W_OK):
            return "written"
    return None
