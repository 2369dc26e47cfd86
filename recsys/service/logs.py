"""One JSON line for each request, on stderr: no ids of users, no keys, nothing of a body. A user is a salted hash."""

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
from features.storage.atomic import exclusive, replace_durably

if TYPE_CHECKING:
    from pathlib import Path

LOGGER = logging.getLogger("recsys.service")


class Lines(logging.Formatter):
    """A record as JSON: `fields` of the record beside its message. Of an exception its kind and place; its words may quote a request."""

    def format(self, record: logging.LogRecord) -> str:
        """One line."""
        line = {"time": f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(record.created))}.{int(record.msecs):03}Z"}
        line |= {"level": record.levelname.lower(), "message": record.getMessage()} | getattr(record, "fields", {})
        if record.exc_info and record.exc_info[0]:
            line |= described(record.exc_info[1])
        return json.dumps(line)


def described(error: BaseException | None) -> dict[str, str]:
    """Kind and place of an exception."""
    frames = traceback.extract_tb(error.__traceback__)[-4:] if error else []
    return {"error": type(error).__name__, "at": " < ".join(f"{frame.filename}:{frame.lineno}" for frame in reversed(frames))}


def set_up_logs(level: int = logging.INFO) -> None:
    """Everything that this process says, as JSON on stderr."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(Lines())
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    for name in ("recsys", "uvicorn"):
        logging.getLogger(name).setLevel(level)
        logging.getLogger(name).handlers.clear()
        logging.getLogger(name).propagate = True


def salt_of(path: Path) -> bytes:
    """The salt of a workspace's logs, drawn once.

    Raises
    ------
    ConfigError: it cannot be read or written.
    """
    try:
        if not path.is_file():
            with exclusive(path):
                if not path.is_file():  # another process may have drawn it meanwhile
                    replace_durably(path, secrets.token_bytes(32))
                    path.chmod(0o600)
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path} cannot be read or written ({error.strerror or error}): check free space and rights") from error


def pseudonym(user_id: str, salt: bytes) -> str:
    """A salted hash, 16 hex digits."""
    return hashlib.blake2b(user_id.encode("utf-8", "surrogatepass"), digest_size=8, key=salt[:64]).hexdigest()
