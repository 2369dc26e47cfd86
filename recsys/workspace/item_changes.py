"""The store of prices and availability that the shop changed since its catalogue was read: written to disk before they are acknowledged.

SQLite as in `recsys.workspace.events`, one row an item. A change counts from the moment when it happened: one that is older than what the
store has of the same fact is left out, so that webhooks may arrive in any order. `recsys.recommend.live_items` puts them into answers.
"""

from __future__ import annotations

from dataclasses import astuple, dataclass, field
from typing import TYPE_CHECKING

from features.storage.sqlite_file import SqliteFile

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence
    from pathlib import Path

_TABLES = """
BEGIN IMMEDIATE;
CREATE TABLE IF NOT EXISTS changes (
    item_id TEXT PRIMARY KEY, price REAL, price_time REAL NOT NULL, available INTEGER, stock REAL, stock_time REAL NOT NULL,
    number INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS changes_by_number ON changes (number);
CREATE TABLE IF NOT EXISTS state (name TEXT PRIMARY KEY, value INTEGER NOT NULL);
INSERT OR IGNORE INTO state VALUES ('number', 0), ('removals', 0);
COMMIT;
"""
_KNOWN = "SELECT price, price_time, available, stock, stock_time FROM changes WHERE item_id = ?"
_SET = "INSERT OR REPLACE INTO changes VALUES (?, ?, ?, ?, ?, ?, ?)"
_NEVER = 0.0


@dataclass(frozen=True)
class ItemChange:
    """What is known of one item beside the catalogue.

    Attributes
    ----------
    price : None for the catalogue's.
    available, stock : whether it may be sold, and how many pieces there are; None for the catalogue's, or for unknown.
    price_time, stock_time : when it changed, seconds since the epoch; `stock_time` is of both `available` and `stock`.
    """

    item_id: str
    price: float | None = None
    price_time: float = _NEVER
    available: bool | None = None
    stock: float | None = None
    stock_time: float = _NEVER

    @classmethod
    def at(
        cls, item_id: str, time: float, price: float | None = None, available: bool | None = None, stock: float | None = None
    ) -> ItemChange:
        """Return a change of one moment; without `available`, an item is available while there is stock."""
        if available is None and stock is not None:
            available = stock > 0
        return cls(item_id, price, _NEVER if price is None else time, available, stock, _NEVER if available is None else time)

    def then(self, later: ItemChange) -> ItemChange:
        """Return this change and another one of the same item: of each fact the later one, the other one at equal times."""
        price, stock = later.price_time >= self.price_time, later.stock_time >= self.stock_time
        return ItemChange(
            self.item_id,
            *((later.price, later.price_time) if price else (self.price, self.price_time)),
            *((later.available, later.stock, later.stock_time) if stock else (self.available, self.stock, self.stock_time)),
        )

    def after(self, moment: float) -> ItemChange:
        """Return what of it changed after a moment."""
        price, stock = self.price_time > moment, self.stock_time > moment
        return ItemChange(
            self.item_id,
            *((self.price, self.price_time) if price else (None, _NEVER)),
            *((self.available, self.stock, self.stock_time) if stock else (None, None, _NEVER)),
        )


@dataclass(frozen=True)
class Known:
    """How much of the store a reader has seen: the last number, and how often changes were removed."""

    number: int = 0
    removals: int = 0


@dataclass(frozen=True)
class NewChanges:
    """Changes that a reader lacks.

    Attributes
    ----------
    whole : they are all there are, because some were removed; the reader begins again with the catalogue.
    """

    known: Known
    changes: list[ItemChange] = field(default_factory=list)
    whole: bool = False


class ItemChanges:
    """The changes of one workspace. Any number of threads and processes may use it at once.

    Raises
    ------
    DataError
        From any method, if the file cannot be read or written. Changes that were not acknowledged are not stored.
    """

    def __init__(self, path: Path) -> None:
        self._file = SqliteFile(path, "changes of items", _make)

    def add(self, changes: Sequence[ItemChange]) -> int:
        """Store all changes durably, or none. Returns how many say something new: not of facts of which the store has later ones."""
        new = 0
        with self._file.writing() as connection:
            connection.execute("BEGIN IMMEDIATE")  # what is read below must not change before it is written
            number = _value(connection, "number")
            for change in changes:
                row = connection.execute(_KNOWN, (change.item_id,)).fetchone()
                before = ItemChange(change.item_id) if row is None else _change(change.item_id, *row)
                after = before.then(change)
                if after == before:
                    continue
                new, number = new + 1, number + 1
                connection.execute(_SET, (*astuple(after), number))
            connection.execute("UPDATE state SET value = ? WHERE name = 'number'", (number,))
        return new

    def since(self, known: Known) -> NewChanges:
        """Return what a reader lacks that has seen so much."""
        if not self._file.exists:
            return NewChanges(Known(), whole=known != Known())
        with self._file.connected() as connection, connection:
            connection.execute("BEGIN")  # one state of the file
            now = Known(_value(connection, "number"), _value(connection, "removals"))
            if now == known:
                return NewChanges(known)
            whole = now.removals != known.removals or now.number < known.number
            rows = connection.execute(
                "SELECT item_id, price, price_time, available, stock, stock_time FROM changes WHERE number > ? ORDER BY number",
                (0 if whole else known.number,),
            ).fetchall()
        return NewChanges(now, [_change(*row) for row in rows], whole)

    def all(self) -> list[ItemChange]:
        """Return all changes, in the order in which they came."""
        return self.since(Known(0, -1)).changes

    def remove(self, moment: float) -> int:
        """Remove what changed at a moment or before: a catalogue of that moment has it. Returns of how many items."""
        if not self._file.exists:
            return 0
        with self._file.writing() as connection:
            forget_price = "UPDATE changes SET price = NULL, price_time = 0 WHERE price_time > 0 AND price_time <= ?"
            forget_stock = "UPDATE changes SET available = NULL, stock = NULL, stock_time = 0 WHERE stock_time > 0 AND stock_time <= ?"
            held = "SELECT count(*) FROM changes WHERE (price_time > 0 AND price_time <= ?1) OR (stock_time > 0 AND stock_time <= ?1)"
            count = connection.execute(held, (moment,)).fetchone()[0]
            if count:
                connection.execute(forget_price, (moment,))
                connection.execute(forget_stock, (moment,))
                connection.execute("DELETE FROM changes WHERE price_time = 0 AND stock_time = 0")
                connection.execute("UPDATE state SET value = value + 1 WHERE name = 'removals'")
        return count

    def between(self, start: float, end: float) -> int:
        """Return of how many items something changed after one moment, and not after another."""
        if not self._file.exists:
            return 0
        inside = "(price_time > ?1 AND price_time <= ?2) OR (stock_time > ?1 AND stock_time <= ?2)"
        with self._file.connected() as connection:
            return connection.execute(f"SELECT count(*) FROM changes WHERE {inside}", (start, end)).fetchone()[0]


def _make(connection: sqlite3.Connection) -> None:
    if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'state'").fetchone():
        connection.executescript(_TABLES)


def _value(connection: sqlite3.Connection, name: str) -> int:
    return connection.execute("SELECT value FROM state WHERE name = ?", (name,)).fetchone()[0]


def _change(
    item_id: str, price: float | None, price_time: float, available: int | None, stock: float | None, stock_time: float
) -> ItemChange:
    return ItemChange(item_id, price, price_time, None if available is None else bool(available), stock, stock_time)
