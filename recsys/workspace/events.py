"""What customers did since the sources were last read: an embedded store beside them, written before it is acknowledged.

SQLite with a write-ahead log, `synchronous=FULL`: a row that was committed is there after a power cut. The next answer reads it, the next
build counts it as a row of the log. An event counts once by its id: the client's, or one derived from user, item, kind and second.
Which rows of the sources are the same event: `recsys.workspace.event_rules`.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
import threading
from contextlib import closing, contextmanager
from dataclasses import astuple, dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import polars as pl

from features.data.interactions import INTERACTION_COLUMNS
from features.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from features.ingest.erased_users import ErasedUsers

KEPT_OF_USER = 1_000  # latest events that an answer reads
BUSY_SECONDS = 5.0  # to wait for another worker's write
DERIVED = "derived:"  # begins an id that no client gave
_VERSION = 1  # of the table: 0 had no ids
_COLUMNS = "user_id, item_id, event, time, quantity, value, event_id"
_TABLE = """
CREATE TABLE events (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    user_id TEXT NOT NULL, item_id TEXT NOT NULL, event TEXT NOT NULL, time INTEGER NOT NULL, quantity REAL, value REAL,
    event_id TEXT NOT NULL UNIQUE
)
"""
_BY_USER = "CREATE INDEX events_of_user ON events (user_id, time)"


@dataclass(frozen=True)
class Event:
    """One row. time: seconds since the epoch. event: one of `features.data.interactions.EVENTS`. value: paid for the whole quantity.

    event_id: the client's own; "" derives one from user, item, kind and second. number: its place in the store, 0 before it is stored.
    """

    user_id: str
    item_id: str
    event: str
    time: int
    quantity: float | None = None
    value: float | None = None
    event_id: str = ""
    number: int = field(default=0, compare=False)

    def __post_init__(self) -> None:
        if not self.event_id:
            key = json.dumps([self.user_id, self.item_id, self.event, self.time]).encode()
            object.__setattr__(self, "event_id", DERIVED + hashlib.sha256(key).hexdigest()[:32])


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
                # An insert that is ignored would take a number, and look like something new.
                f"INSERT INTO events ({_COLUMNS}) SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7"
                " WHERE NOT EXISTS (SELECT 1 FROM events WHERE event_id = ?7)",
                [astuple(event)[:-1] for event in events],
            )
            return connection.total_changes - before

    def of_user(self, user_id: str) -> list[Event]:
        """The latest events of a user, oldest first."""
        if not self._path.is_file():
            return []
        with self._connected() as connection:
            rows = connection.execute(
                f"SELECT {_COLUMNS}, number FROM events WHERE user_id = ? ORDER BY time DESC, number DESC LIMIT ?",
                (user_id, KEPT_OF_USER),
            ).fetchall()
        return [Event(*row) for row in reversed(rows)]

    def frame(self) -> pl.DataFrame:
        """All of them, in the log's canonical columns and their `number`, oldest first."""
        rows: list[tuple[object, ...]] = []
        if self._path.is_file():
            with self._connected() as connection:
                found = connection.execute(f"SELECT {_COLUMNS}, number FROM events ORDER BY time, number")
                rows = [
                    (user, item, datetime.fromtimestamp(time, UTC).replace(tzinfo=None), event, *rest)
                    for user, item, event, time, *rest in found
                ]
        return pl.DataFrame(rows, schema=INTERACTION_COLUMNS | {"number": pl.Int64()}, orient="row")

    def last(self) -> int:
        """The number of the last one that ever came, 0 where none has; it never falls, whatever is removed."""
        if not self._path.is_file():
            return 0
        with self._connected() as connection:
            return connection.execute("SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'events'").fetchone()[0]

    def remove(self, numbers: Sequence[int]) -> int:
        """Remove events that are no longer needed. Returns how many were there."""
        if not len(numbers):
            return 0
        with self._connected() as connection, self._writing, connection:
            before = connection.total_changes
            connection.executemany("DELETE FROM events WHERE number = ?", [(number,) for number in numbers])
            return connection.total_changes - before

    def erase(self, user_id: str) -> int:
        """Remove a user's events from the file and from its write-ahead log; nothing of them is left in free pages. Returns how many."""
        return self._erase([user_id])

    def forget(self, erased_users: ErasedUsers) -> int:
        """`erase` for all who were erased."""
        return self._erase(self.among(erased_users))

    def among(self, erased_users: ErasedUsers) -> list[str]:
        """Erased users of whom there are events."""
        if not self._path.is_file():
            return []
        with self._connected() as connection:
            return erased_users.among(user for (user,) in connection.execute("SELECT DISTINCT user_id FROM events"))

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
        _make(connection)
        self._path.chmod(0o600)
        return connection


def _make(connection: sqlite3.Connection) -> None:
    """Make the table; one without ids is copied into it, numbers and all."""
    if connection.execute("PRAGMA user_version").fetchone()[0] == _VERSION:
        return
    with connection:
        connection.execute("BEGIN IMMEDIATE")
        if connection.execute("PRAGMA user_version").fetchone()[0] == _VERSION:  # another process was first
            return
        old: list[tuple[object, ...]] = []
        if connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'events'").fetchone():
            found = connection.execute("SELECT user_id, item_id, event, time, quantity, value, number FROM events ORDER BY number")
            old = [astuple(Event(*values, number=number)) for *values, number in found]
            connection.execute("DROP TABLE events")
        connection.execute(_TABLE)
        connection.execute(_BY_USER)
        connection.executemany(f"INSERT INTO events ({_COLUMNS}, number) VALUES (?, ?, ?, ?, ?, ?, ?, ?)", old)
        connection.execute(f"PRAGMA user_version = {_VERSION}")
