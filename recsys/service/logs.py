"""Writes the service's log: one JSON line per request on stderr.

The log holds no user ids, keys or bodies; a user is a salted hash.
"""

from __future__ import annotations

import hashlib
import json
import logging
import secrets
import sys
import time
import traceback
from typing import TYPE_CHECKING

from features.errors import ConfigError
from features.storage.atomic import alone_with, replace_durably

if TYPE_CHECKING:
    from pathlib import Path

LOGGER = logging.getLogger("recsys.service")


class JsonFormatter(logging.Formatter):
    """Formats a record as JSON: its message and its `fields`.

    An exception is logged by type and place, without its message, which may quote a request.
    """

    def format(self, record: logging.LogRecord) -> str:
        """Return one line of JSON."""
        line = {"time": f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(record.created))}.{int(record.msecs):03}Z"}
        line |= {"level": record.levelname.lower(), "message": record.getMessage()} | getattr(record, "fields", {})
        if record.exc_info and record.exc_info[0]:
            line |= exception_fields(record.exc_info[1])
        return json.dumps(line)


def exception_fields(error: BaseException | None) -> dict[str, str]:
    """Return the type of an exception and the last four places of its traceback."""
    frames = traceback.extract_tb(error.__traceback__)[-4:] if error else []
    return {"error": type(error).__name__, "at": " < ".join(f"{frame.filename}:{frame.lineno}" for frame in reversed(frames))}


def set_up_logs(level: int = logging.INFO) -> None:
    """Send this process's log to stderr as JSON."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter())
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    for name in ("recsys", "uvicorn"):
        logging.getLogger(name).setLevel(level)
        logging.getLogger(name).handlers.clear()
        logging.getLogger(name).propagate = True


def salt_of(path: Path) -> bytes:
    """Return the salt of a workspace's log; the first call draws it.

    Raises
    ------
    ConfigError
        The file cannot be read or written.
    """
    try:
        if not path.is_file():
            with alone_with(path):
                if not path.is_file():  # another process may have drawn it in the meantime
                    replace_durably(path, secrets.token_bytes(32))
                    path.chmod(0o600)
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path} cannot be read or written ({error.strerror or error}): check free space and permissions") from error


def pseudonym(user_id: str, salt: bytes) -> str:
    """Return the salted hash of a user id, 16 hex digits."""
    return hashlib.blake2b(user_id.encode("utf-8", "surrogatepass"), digest_size=8, key=salt[:64]).hexdigest()
