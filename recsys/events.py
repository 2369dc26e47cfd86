"""What customers did since the sources were last read: an embedded store beside them, written before it is acknowledged.

SQLite with a write-ahead log, `synchronous=FULL`: a row that was committed is there after a power cut. The next answer reads it, the next
build counts it as a row of the log. The same user, item, kind and second count once, whether the sources bring it too or not.
"""

from __future__ import annotations

import sqlite3
import threading
from contextlib import closing, contextmanager
from dataclasses import astuple, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import polars as pl

from features.errors import DataError
from features.interactions import INTERACTION_COLUMNS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from features.tombstones import Tombstones

KEPT_OF_USER = 1_000  # latest events that an answer reads
BUSY_SECONDS = 5.0  # to wait for another worker's write
_SCHEMA = """
CREATE TABLE IF NOT EXISTS events (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    user_id TEXT NOT NULL, item_id TEXT NOT NULL, event TEXT NOT NULL, time INTEGER NOT NULL, quantity REAL, value REAL,
    UNIQUE (user_id, item_id, event, time)
)
"""


@dataclass(frozen=True)
class Event:
    """One row. time: seconds since the epoch. event: one of `features.interactions.EVENTS`. value: paid for the whole quantity."""

    user_id: str
    item_id: str
    event: str
    time: int
    quantity: float | None = None
    value: float | None = None


class EventStore:
    """The events of one workspace; any number of threads and processes may use it at once.

    Raises
    ------
    DataError: from any method, the file cannot be read or written; what was not acknowledged is not there.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._writing = threading.Lock()
        self._local = threading.local()

    def add(self, events: Sequence[Event]) -> int:
        """Store all of them, durably, or none. Returns how many were not there yet."""
        with self._connected() as connection, self._writing, connection:
            before = connection.total_changes
            connection.executemany(
                "INSERT OR IGNORE INTO events (user_id, item_id, event, time, quantity, value) VALUES (?, ?, ?, ?, ?, ?)",
                [astuple(event) for event in events],
            )
            return connection.total_changes - before

    def of_user(self, user_id: str) -> list[Event]:
        """The latest events of a user, oldest first."""
        if not self._path.is_file():
            return []
        with self._connected() as connection:
            rows = connection.execute(
                "SELECT user_id, item_id, event, time, quantity, value FROM events"
                " WHERE user_id = ? ORDER BY time DESC, number DESC LIMIT ?",
                (user_id, KEPT_OF_USER),
            ).fetchall()
        return [Event(*row) for row in reversed(rows)]

    def frame(self) -> pl.DataFrame:
        """All of them, in the log's canonical columns, oldest first."""
        rows: list[tuple[object, ...]] = []
        if self._path.is_file():
            with self._connected() as connection:
                found = connection.execute("SELECT user_id, item_id, time, event, quantity, value FROM events ORDER BY time, number")
                rows = [(user, item, datetime.fromtimestamp(time, UTC).replace(tzinfo=None), *rest) for user, item, time, *rest in found]
        return pl.DataFrame(rows, schema=INTERACTION_COLUMNS, orient="row")

    def state(self) -> tuple[int, int]:
        """How many there are, and the number of the last one: other events, other state."""
        if not self._path.is_file():
            return 0, 0
        with self._connected() as connection:
            return connection.execute("SELECT count(*), coalesce(max(number), 0) FROM events").fetchone()

    def erase(self, user_id: str) -> int:
        """Remove a user's events from the file and from its write-ahead log; nothing of them is left in free pages. Returns how many."""
        return self._erase([user_id])

    def forget(self, tombstones: Tombstones) -> int:
        """`erase` for all who were erased."""
        return self._erase(self.among(tombstones))

    def among(self, tombstones: Tombstones) -> list[str]:
        """Erased users of whom there are events."""
        if not self._path.is_file():
            return []
        with self._connected() as connection:
            return tombstones.among(user for (user,) in connection.execute("SELECT DISTINCT user_id FROM events"))

    def _erase(self, users: Sequence[str]) -> int:
        if not self._path.is_file():
            return 0
        with self._connected() as connection, self._writing:
            with connection:
                before = connection.total_changes
                connection.executemany("DELETE FROM events WHERE user_id = ?", [(user,) for user in users])
                removed = connection.total_changes - before
            # The log still holds the pages as they were: it must go, and can while no reader stands in it. With nobody to remove too:
            # an erasure that found a reader there has removed the rows, and left the log to the next.
            (busy, _, _) = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            if busy:
                raise DataError(f"{self._path} is being read, and its write-ahead log could not be emptied: erase again")
        return removed

    @contextmanager
    def _connected(self) -> Iterator[sqlite3.Connection]:
        """This thread's connection."""
        try:
            if not hasattr(self._local, "connection"):
                self._local.connection = self._opened()
            yield self._local.connection
        except (sqlite3.Error, OSError) as error:
            raise DataError(f"the events in {self._path} cannot be read or written ({error}): check free space and rights") from error

    def _opened(self) -> sqlite3.Connection:
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        connection = sqlite3.connect(self._path, timeout=BUSY_SECONDS, check_same_thread=False)
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "secure_delete=ON"):
            with closing(connection.execute(f"PRAGMA {pragma}")) as done:
                done.fetchall()
        connection.execute(_SCHEMA)
        connection.commit()
        self._path.chmod(0o600)
        return connection
