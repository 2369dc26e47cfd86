"""An SQLite file that any number of threads and processes use at once, and from which rows of a person can be removed for good."""

from __future__ import annotations

import sqlite3
import threading
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

from features.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

BUSY_SECONDS = 5.0  # to wait for another worker's write
# `secure_delete`: a removed row is overwritten.
_PRAGMAS = ("journal_mode=WAL", "secure_delete=ON", "foreign_keys=ON")


class SqliteFile:
    """A file with one connection a thread, made when it is first used and readable by its owner only.

    Parameters
    ----------
    content : what it holds, for errors: "events".
    make : creates the tables that are missing.
    durable : whether a commit waits for the disk, so that what it wrote survives a power cut. Without it a power cut may lose the last
        commits; the file stays sound, and the end of a process loses nothing.

    Raises
    ------
    DataError
        From any method, if the file cannot be read or written.
    """

    def __init__(self, path: Path, content: str, make: Callable[[sqlite3.Connection], None], *, durable: bool = True) -> None:
        self.path = path
        self._pragmas = (*_PRAGMAS, f"synchronous={'FULL' if durable else 'NORMAL'}")
        self._content, self._make = content, make
        self._writing = threading.Lock()
        self._local = threading.local()

    @property
    def exists(self) -> bool:
        """Whether anything was ever stored; reading need not make the file."""
        return self.path.is_file()

    @contextmanager
    def connected(self) -> Iterator[sqlite3.Connection]:
        """Yield this thread's connection."""
        try:
            if not hasattr(self._local, "connection"):
                self._local.connection = self._opened()
            yield self._local.connection
        except (sqlite3.Error, OSError) as error:
            raise DataError(
                f"the {self._content} in {self.path} cannot be read or written ({error}): check free space and permissions"
            ) from error

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """Yield this thread's connection in a transaction, which is committed at the end. The threads of a process take turns."""
        with self.connected() as connection, self._writing, connection:
            yield connection

    def erase(self, statement: str, people: Sequence[str]) -> int:
        """Run a DELETE for each of some people; the rows leave the file, its free pages and its write-ahead log. Returns how many."""
        if not self.exists:
            return 0
        with self.connected() as connection, self._writing:
            with connection:
                removed = max(0, connection.executemany(statement, [(person,) for person in people]).rowcount)
            # The write-ahead log still holds the old pages, and can be emptied only while nobody reads it.
            # Also without rows to remove: an earlier erasure may have removed them, and met a reader.
            (busy, _, _) = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            if busy:
                raise DataError(f"{self.path} is being read, and its write-ahead log could not be emptied: erase again")
        return removed

    def _opened(self) -> sqlite3.Connection:
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        connection = sqlite3.connect(self.path, timeout=BUSY_SECONDS, check_same_thread=False)
        for pragma in self._pragmas:
            with closing(connection.execute(f"PRAGMA {pragma}")) as done:
                done.fetchall()
        self._make(connection)
        self.path.chmod(0o600)
        return connection
