"""The store of events that the service receives: written to disk before they are acknowledged.

SQLite with a write-ahead log and `synchronous=FULL`: a committed row survives a power cut. The next answer reads it, and the next build
counts it as a row of the log. An event counts once by its id: the client's, or one derived from user, item, kind and second.
`recsys.workspace.event_rules` decides which rows of the sources are the same event.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import astuple, dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import polars as pl

from features.data.interactions import EVENTS, LABEL_EVENTS
from features.data.log.rows import INTERACTION_COLUMNS
from features.names import DISLIKE
from features.storage.sqlite_file import SqliteFile

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence
    from pathlib import Path

    from features.ingest.erased_users import ErasedUsers

KEPT_OF_USER = 1_000  # latest events of a user that models read; purchases before them still count as bought
DERIVED = "derived:"  # prefix of ids that no client gave
_VERSION = 1  # of the table; version 0 had no ids
_COLUMNS = "user_id, item_id, event, time, quantity, value, event_id"
_NEVER_CUT = (*(EVENTS[kind] for kind in LABEL_EVENTS), DISLIKE)  # however many events came later
_MARKS = ", ".join("?" for _ in _NEVER_CUT)
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
    """One event.

    Attributes
    ----------
    event : one of `features.data.interactions.EVENTS`.
    time : seconds since the epoch.
    value : price of the whole quantity.
    event_id : id that the client gave; "" derives one from user, item, kind and second.
    number : number of the row in the store, 0 before it is stored.
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
    """The events of one workspace. Any number of threads and processes may use it at once.

    Raises
    ------
    DataError
        From any method, if the file cannot be read or written. Events that were not acknowledged are not stored.
    """

    def __init__(self, path: Path) -> None:
        self._file = SqliteFile(path, "events", _make)

    def add(self, events: Sequence[Event]) -> int:
        """Store all events durably, or none. Returns how many were new."""
        with self._file.writing() as connection:
            before = connection.total_changes
            connection.executemany(
                # INSERT OR IGNORE would use up a number, and look like a new event.
                f"INSERT INTO events ({_COLUMNS}) SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7"
                " WHERE NOT EXISTS (SELECT 1 FROM events WHERE event_id = ?7)",
                [astuple(event)[:-1] for event in events],
            )
            return connection.total_changes - before

    def of_user(self, user_id: str) -> list[Event]:
        """Return the latest events of a user and all purchases, ratings and dislikes, oldest first."""
        if not self._file.exists:
            return []
        of_user = "FROM events WHERE user_id = ?"
        latest = f"SELECT number {of_user} ORDER BY time DESC, number DESC LIMIT ?"
        with self._file.connected() as connection:
            rows = connection.execute(
                f"SELECT {_COLUMNS}, number {of_user} AND (event IN ({_MARKS}) OR number IN ({latest})) ORDER BY time, number",
                (user_id, *_NEVER_CUT, user_id, KEPT_OF_USER),
            ).fetchall()
        return [Event(*row) for row in rows]

    def frame(self) -> pl.DataFrame:
        """Return all events, oldest first, in the log's canonical columns and with their `number`."""
        rows: list[tuple[object, ...]] = []
        if self._file.exists:
            with self._file.connected() as connection:
                found = connection.execute(f"SELECT {_COLUMNS}, number FROM events ORDER BY time, number")
                rows = [
                    (user, item, datetime.fromtimestamp(time, UTC).replace(tzinfo=None), event, *rest)
                    for user, item, event, time, *rest in found
                ]
        return pl.DataFrame(rows, schema=INTERACTION_COLUMNS | {"number": pl.Int64()}, orient="row")

    def last(self) -> int:
        """Return the number of the last event ever stored, 0 without one. Removals do not lower it."""
        if not self._file.exists:
            return 0
        with self._file.connected() as connection:
            return connection.execute("SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'events'").fetchone()[0]

    def remove(self, numbers: Sequence[int]) -> int:
        """Remove events by number. Returns how many were removed."""
        if not len(numbers):
            return 0
        with self._file.writing() as connection:
            before = connection.total_changes
            connection.executemany("DELETE FROM events WHERE number = ?", [(number,) for number in numbers])
            return connection.total_changes - before

    def erase(self, user_id: str) -> int:
        """Remove a user's events from the file, its free pages and its write-ahead log. Returns how many."""
        return self._erase([user_id])

    def forget(self, erased_users: ErasedUsers) -> int:
        """Remove the events of all erased users, like `erase`. Returns how many."""
        return self._erase(self.among(erased_users))

    def among(self, erased_users: ErasedUsers) -> list[str]:
        """Return erased users that have events."""
        if not self._file.exists:
            return []
        with self._file.connected() as connection:
            return erased_users.among(user for (user,) in connection.execute("SELECT DISTINCT user_id FROM events"))

    def _erase(self, users: Sequence[str]) -> int:
        return self._file.erase("DELETE FROM events WHERE user_id = ?", users)


def _make(connection: sqlite3.Connection) -> None:
    """Create the table; rows of a table without ids are copied into it with their numbers."""
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
