"""The store of impressions: what each page showed, at what propensity, in which arm, and what was done with it.

SQLite, as in `recsys.workspace.events`. A commit does not wait for the disk: a power cut may lose the pages of the last seconds, and the
actions on them; the end of a process loses nothing that was committed. Pages are removed after `impressions.keep_days`, with their
actions.
"""

from __future__ import annotations

import json
from contextlib import closing
from typing import TYPE_CHECKING, Any

import polars as pl

from features import names as n
from features.errors import DataError
from features.storage.sqlite_file import SqliteFile
from recsys.workspace import impression_columns as columns
from recsys.workspace.action_rules import Served, judge
from recsys.workspace.served_pages import StoredActions

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from features.ingest.erased_users import ErasedUsers
    from recsys.workspace.served_pages import Action, Impression, ServedPage

AT_ONCE = 50_000  # rows that are read as Python objects
EXPIRED_AT_ONCE = 1_000  # pages of one transaction
_TABLES = """
CREATE TABLE IF NOT EXISTS pages (
    page_id TEXT PRIMARY KEY, page TEXT NOT NULL, time INTEGER NOT NULL, user_id TEXT, session_id TEXT, bundle_id TEXT NOT NULL,
    context TEXT NOT NULL, milliseconds REAL NOT NULL, outcome TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS pages_of_user ON pages (user_id);
CREATE INDEX IF NOT EXISTS pages_of_session ON pages (session_id);
CREATE INDEX IF NOT EXISTS pages_by_time ON pages (time);
CREATE TABLE IF NOT EXISTS exposures (
    experiment TEXT NOT NULL, page_id TEXT NOT NULL REFERENCES pages (page_id) ON DELETE CASCADE, arm TEXT NOT NULL, unit TEXT NOT NULL,
    PRIMARY KEY (experiment, page_id)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS exposures_of_page ON exposures (page_id);
CREATE TABLE IF NOT EXISTS impressions (
    impression_id TEXT PRIMARY KEY, page_id TEXT NOT NULL REFERENCES pages (page_id) ON DELETE CASCADE, row TEXT NOT NULL,
    first INTEGER NOT NULL, items TEXT NOT NULL, propensities TEXT NOT NULL, rules TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS impressions_of_page ON impressions (page_id);
CREATE TABLE IF NOT EXISTS actions (
    impression_id TEXT NOT NULL REFERENCES impressions (impression_id) ON DELETE CASCADE, action_id TEXT NOT NULL,
    item_id TEXT NOT NULL, position INTEGER NOT NULL, action_name TEXT NOT NULL, time INTEGER NOT NULL, value REAL,
    PRIMARY KEY (impression_id, action_id)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS designs (experiment TEXT PRIMARY KEY, design TEXT NOT NULL, since INTEGER NOT NULL);
"""
_PLACES: dict[str, Any] = {
    **dict.fromkeys((columns.IMPRESSION_ID, columns.PAGE, columns.PAGE_ROW, n.USER_ID, columns.SESSION_ID), pl.String),
    columns.TIME: pl.Int64,
    **dict.fromkeys((columns.BUNDLE_ID, columns.CONTEXT), pl.String),
    columns.POSITION: pl.Int64,
    **dict.fromkeys((n.ITEM_ID, columns.PROPENSITY, columns.RULE), pl.String),
}
_LISTS = {n.ITEM_ID: pl.String, columns.PROPENSITY: pl.Float64, columns.RULE: pl.String}
_ACTIONS = {columns.IMPRESSION_ID: pl.String, n.ITEM_ID: pl.String, columns.POSITION: pl.Int64, columns.ACTION_NAME: pl.String}
_ACTIONS = _ACTIONS | {columns.TIME: pl.Int64, n.VALUE: pl.Float64}
_EXPOSED: dict[str, Any] = {
    **dict.fromkeys((columns.UNIT, columns.ARM, "page_id"), pl.String),
    columns.TIME: pl.Int64,
    "milliseconds": pl.Float64,
    "outcome": pl.String,
}
_DONE = {columns.UNIT: pl.String, columns.ACTION_NAME: pl.String, columns.TIME: pl.Int64, n.VALUE: pl.Float64}
_STORED = "impression_id, action_id, item_id, position, action_name, time, value"  # of an action, also in a file of an older version
_TURNED = "EXISTS (SELECT 1 FROM impressions i WHERE i.page_id = p.page_id AND i.first > 1)"
_UNIT = "CASE e.unit WHEN 'user' THEN p.user_id ELSE p.session_id END"


class ImpressionStore:
    """The impressions of one workspace. Any number of threads and processes may use it at once.

    Raises
    ------
    DataError
        From any method, if the file cannot be read or written.
    """

    def __init__(self, path: Path) -> None:
        self._file = SqliteFile(path, "impressions", _make, durable=False)

    def add_served(self, pages: Sequence[ServedPage]) -> int:
        """Store pages in one transaction, or none. Returns how many were new; a page id counts once.

        Raises
        ------
        DataError
            A propensity is not above 0 and up to 1, or an item stands in a row twice.
        """
        for page in pages:
            check_page(page)
        with self._file.writing() as connection:
            new = 0
            for page in pages:
                values = (page.page_id, page.page, page.time, page.user_id, page.session_id, page.bundle_id, page.context)
                added = connection.execute(
                    "INSERT OR IGNORE INTO pages VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", (*values, page.milliseconds, page.outcome)
                )
                if not added.rowcount:
                    continue
                new += 1
                exposed = [(one.experiment, page.page_id, one.arm, one.unit) for one in page.exposures]
                connection.executemany("INSERT OR IGNORE INTO exposures VALUES (?, ?, ?, ?)", exposed)
                rows = [(row.impression_id, page.page_id, row.row, row.first, *_lists(row)) for row in page.rows]
                connection.executemany("INSERT OR IGNORE INTO impressions VALUES (?, ?, ?, ?, ?, ?, ?)", rows)
            return new

    def add_actions(self, actions: Sequence[Action], now: int) -> StoredActions:
        """Store the actions whose item was shown in their impression; the others are counted.

        Parameters
        ----------
        now : the server's time, in seconds since the epoch. It stands for a client's time before the impression or after now.
        """
        if not self._file.exists:
            return StoredActions(
                len(actions), unknown=len(actions), examples={"unknown": repr(actions[0].impression_id)} if actions else {}
            )
        with self._file.writing() as connection:
            connection.execute("BEGIN IMMEDIATE")
            return _store(connection, actions, now)

    def register(self, experiment: str, design: str, now: int) -> tuple[str, int]:
        """Keep the design under which an experiment first ran, and return it with that moment; later designs do not replace it."""
        with self._file.writing() as connection:
            connection.execute("INSERT OR IGNORE INTO designs VALUES (?, ?, ?)", (experiment, design, now))
            return connection.execute("SELECT design, since FROM designs WHERE experiment = ?", (experiment,)).fetchone()

    def registered(self) -> dict[str, tuple[str, int]]:
        """Return the design and first moment of each experiment that has run."""
        return {name: (design, since) for name, design, since in self._rows("SELECT experiment, design, since FROM designs")}

    def frame(self, since: int = 0, arm: tuple[str, str] | None = None) -> pl.DataFrame:
        """Return all places from a moment on, oldest page first: impression, page, row, user, session, time, bundle, context, place, item,
        propensity, rule; of an experiment and its arm, only those of its pages.
        """
        exposed = "" if arm is None else " AND p.page_id IN (SELECT page_id FROM exposures WHERE experiment = ? AND arm = ?)"
        frame = self._frame(
            _PLACES,
            "SELECT i.impression_id, p.page, i.row, p.user_id, p.session_id, p.time, p.bundle_id, p.context,"
            f" i.first, i.items, i.propensities, i.rules FROM impressions i JOIN pages p USING (page_id) WHERE p.time >= ?{exposed}"
            " ORDER BY p.time, p.page_id, i.impression_id",
            (since, *(arm or ())),
        )
        frame = frame.with_columns(pl.col(name).str.json_decode(pl.List(kind)) for name, kind in _LISTS.items())
        end = pl.col(columns.POSITION) + pl.col(n.ITEM_ID).list.len()
        numbered = frame.with_columns(pl.int_ranges(pl.col(columns.POSITION), end).alias(columns.POSITION))
        return numbered.explode(*_LISTS, columns.POSITION)

    def time_of_latest(self, pages: int) -> int | None:
        """Return when the first of so many latest pages was shown; None where there is no page."""
        (found,) = self._rows("SELECT min(time) FROM (SELECT time FROM pages ORDER BY time DESC LIMIT ?)", (pages,)) or [(None,)]
        return found[0]

    def actions(self, since: int = 0) -> pl.DataFrame:
        """Return what was done with items of pages from a moment on: impression, item, place, action, time, value."""
        return self._frame(
            _ACTIONS,
            "SELECT a.impression_id, a.item_id, a.position, a.action_name, a.time, a.value FROM actions a"
            " JOIN impressions USING (impression_id) JOIN pages p USING (page_id) WHERE p.time >= ? ORDER BY a.time",
            (since,),
        )

    def exposures(self, experiment: str, until: int) -> pl.DataFrame:
        """Return the pages before a moment that a unit saw in an arm, oldest first: unit, arm, page, time, milliseconds, outcome.

        A row that was turned over is not a page: it shows the rest of one that may be from before the experiment.
        """
        return self._frame(
            _EXPOSED,
            f"SELECT {_UNIT}, e.arm, p.page_id, p.time, p.milliseconds, p.outcome FROM exposures e JOIN pages p USING (page_id)"
            f" WHERE e.experiment = ? AND p.time < ? AND NOT {_TURNED} ORDER BY p.time, p.page_id",
            (experiment, until),
        )

    def done(self, experiment: str, until: int) -> pl.DataFrame:
        """Return what units of an experiment did before a moment: unit, action, time, value."""
        return self._frame(
            _DONE,
            f"SELECT {_UNIT}, a.action_name, a.time, a.value FROM exposures e JOIN pages p USING (page_id)"
            " JOIN impressions USING (page_id) JOIN actions a USING (impression_id) WHERE e.experiment = ? AND a.time < ?",
            (experiment, until),
        )

    def arms(self, since: int = 0) -> list[tuple[str, str]]:
        """Return the experiments and arms that pages from a moment on were in."""
        query = "SELECT DISTINCT e.experiment, e.arm FROM exposures e JOIN pages p USING (page_id) WHERE p.time >= ? ORDER BY 1, 2"
        return self._rows(query, (since,))

    def latest(self) -> int | None:
        """Return when the latest page was served; None without one."""
        ((found,),) = self._rows("SELECT max(time) FROM pages") or [(None,)]
        return found

    def unexposed(self, experiment: str, since: int, until: int) -> tuple[int, int]:
        """Return how many pages between two moments were outside an experiment, and how many there were."""
        (found,) = self._rows(
            "SELECT count(*) FILTER (WHERE page_id NOT IN (SELECT page_id FROM exposures WHERE experiment = ?)), count(*)"
            " FROM pages WHERE time >= ? AND time < ?",
            (experiment, since, until),
        ) or [(0, 0)]
        return found

    def erase(self, user_id: str) -> int:
        """Remove a user's pages, impressions and actions, also those of a session before they signed in. Returns how many pages."""
        return self._erase([user_id])

    def forget(self, erased_users: ErasedUsers) -> int:
        """Remove the pages of all erased users, like `erase`. Returns how many."""
        return self._erase(self.among(erased_users))

    def among(self, erased_users: ErasedUsers) -> list[str]:
        """Return erased users that have pages."""
        return erased_users.among(user for (user,) in self._rows("SELECT DISTINCT user_id FROM pages WHERE user_id IS NOT NULL"))

    def expire(self, before: int) -> int:
        """Remove pages from before a moment with their impressions and actions. Returns how many."""
        if not self._file.exists:
            return 0
        removed, some = 0, "SELECT page_id FROM pages WHERE time < ? ORDER BY time LIMIT ?"
        while True:  # in parts: other workers write in between
            with self._file.writing() as connection:
                count = connection.execute(f"DELETE FROM pages WHERE page_id IN ({some})", (before, EXPIRED_AT_ONCE)).rowcount
            removed += count
            if count < EXPIRED_AT_ONCE:
                return removed

    def _erase(self, users: Sequence[str]) -> int:
        of_session = "SELECT session_id FROM pages WHERE user_id = ?1"
        return self._file.erase(f"DELETE FROM pages WHERE user_id = ?1 OR (user_id IS NULL AND session_id IN ({of_session}))", users)

    def _frame(self, schema: dict[str, Any], query: str, values: tuple[object, ...]) -> pl.DataFrame:
        """Return rows as a frame, made in parts, so that they are not all Python objects at once."""
        parts = [pl.DataFrame([], schema, orient="row")]
        if self._file.exists:
            with self._file.connected() as connection:
                found = connection.execute(query, values)
                while rows := found.fetchmany(AT_ONCE):
                    parts.append(pl.DataFrame(rows, schema, orient="row"))
        return pl.concat(parts)

    def _rows(self, query: str, values: tuple[object, ...] = ()) -> list[Any]:
        if not self._file.exists:
            return []
        with self._file.connected() as connection:
            return connection.execute(query, values).fetchall()


def check_page(page: ServedPage) -> None:
    """Raise DataError where a page cannot be stored, see `ImpressionStore.add_served`."""
    for row in page.rows:
        _check(row)


def _check(row: Impression) -> None:
    ids = [shown.item_id for shown in row.items]
    if not ids or len(set(ids)) < len(ids):
        raise DataError(f"the row {row.row!r} shows {len(set(ids))} different items at {len(ids)} places, expected each item once")
    wrong = next((shown for shown in row.items if not 0 < shown.propensity <= 1), None)
    if wrong is not None:
        raise DataError(f"the propensity of {wrong.item_id!r} in row {row.row!r} is {wrong.propensity}, expected above 0 and up to 1")


def _lists(row: Impression) -> Iterable[str]:
    return (json.dumps([getattr(shown, name) for shown in row.items]) for name in ("item_id", "propensity", "rule"))


def _store(connection: sqlite3.Connection, actions: Sequence[Action], now: int) -> StoredActions:
    ids = sorted({action.impression_id for action in actions})
    of = f"WHERE impression_id IN ({', '.join('?' * len(ids))})"
    served = {
        impression: Served(tuple(json.loads(items)), time, first)
        for impression, first, items, time in connection.execute(
            f"SELECT impression_id, first, items, time FROM impressions JOIN pages USING (page_id) {of}", ids
        )
    }
    for impression, action_id in connection.execute(f"SELECT impression_id, action_id FROM actions {of}", ids):
        served[impression].action_ids.add(action_id)
    rows, stored = judge(actions, served, now)
    connection.executemany(f"INSERT INTO actions ({_STORED}) VALUES (?, ?, ?, ?, ?, ?, ?)", rows)
    return stored


def _make(connection: sqlite3.Connection) -> None:
    with closing(connection.cursor()) as cursor:
        cursor.executescript(_TABLES)
