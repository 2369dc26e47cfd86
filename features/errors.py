"""Errors a user can act on.

RecsysError
+-- DataError      a table, file or id is not what it should be
+-- ConfigError    recsys.toml, an option or an environment variable
+-- ModelError     a model is missing, or does not fit the data
+-- BundleError    a bundle is missing, damaged or incompatible

Every message is one line: what was found, what was expected, what to do next. The command line prints it and exits with 1.
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
NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS}  # only who writes meets these
_TOO_MANY_OPEN = {errno.EMFILE, errno.ENFILE}
_OF_RUST = re.compile(r"\(os error (\d+)\)(?:: (\S.*))?")
_ADVICE = {
    "read": "check the file and its rights",
    "written": "check free space and rights",
    "read or written": "check the disk, its free space and rights",
}


class RecsysError(Exception):
    """Base of all errors that are the user's to mend."""


class DataError(RecsysError):
    """A table, a file or an id is not what it should be."""


class ConfigError(RecsysError):
    """The configuration asks for something that cannot be."""


class ModelError(RecsysError):
    """A model is missing or does not fit the data it is used with."""


class BundleError(RecsysError):
    """A bundle is missing, damaged or was made by an incompatible version."""


def system_code(error: BaseException) -> int | None:
    """The errno behind an error; polars, which reads and writes in Rust, has it in its message alone. None where there is none."""
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno
    found = _OF_RUST.search(str(error))
    return int(found[1]) if found else None


def disk_error(error: BaseException, place: Path, doing: Doing = "read or written") -> str:
    """Say in one line which file could not be read or written, and why.

    Parameters
    ----------
    error : of the system, or of polars with an errno in its message.
    place : named where the error names no file.
    doing : what was being done, where the error itself does not say.
    """
    code = system_code(error)
    path = _path_of(error) or place
    why = " ".join(str(error).split())[:200] if code is None else os.strerror(code)
    if code in _TOO_MANY_OPEN:
        return f"{path} cannot be opened ({why}): check `ulimit -n`"
    doing = _what_was_done(error, code, path) or doing
    return f"{path} cannot be {doing} ({why}): {_ADVICE[doing]}"


@contextmanager
def disk_errors(place: Path, doing: Doing = "read or written", kind: type[RecsysError] = DataError, more: str = "") -> Iterator[None]:
    """Turn what the system refuses into an error of `kind`: see `disk_error`. more: ends the line. Other errors pass."""
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
    found = _OF_RUST.search(str(error))
    return Path(found[2]) if found and found[2] else None


def _what_was_done(error: BaseException, code: int | None, path: Path) -> Doing | None:
    """Whether a file was read or written, where that can be known."""
    if code in NO_ROOM or getattr(error, "filename2", None) is not None:  # two names: a renaming
        return "written"
    if code == errno.ENOENT and path.parent.is_dir() and not path.exists():  # writing would have made it
        return "read"
    if code in (errno.EACCES, errno.EPERM):
        if path.exists() and not os.access(path, os.R_OK):
            return "read"
        if path.parent.is_dir() and not path.exists() and not os.access(path.parent, os.W_OK):
            return "written"
    return None
