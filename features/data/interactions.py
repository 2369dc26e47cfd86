"""The interaction log over integer rows of users and items."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from safetensors.numpy import save

from features.data.ids import spellings
from features.data.log.rows import LogRows
from features.data.prices import exact
from features.data.times.clock import LogClock
from features.errors import DataError
from features.names import CART, DISLIKE, EVENTS, PURCHASE, RATING, VIEW
from features.storage.arrays import arrays_of
from features.storage.mapped import selected
from features.storage.sorted_unique import sorted_unique

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import polars as pl

    from features.data.catalog import Catalog

# Views and carts show interest; the label is the purchase, or the rating in a shop that logs only ratings.
LABEL_EVENTS = (EVENTS.index(PURCHASE), EVENTS.index(RATING))
EVENT_WEIGHTS: dict[str, float] = {PURCHASE: 1.0, CART: 0.3, VIEW: 0.1, RATING: 1.0, DISLIKE: 0.0}
DAY = 86_400  # seconds
CAP = 0.05  # share of all events that models learn from one user at most
CAPPED_FROM = 100  # users; with fewer, one may well have more
COLUMNS = ("user", "item", "time", "event", "weight", "price")
_PREFIX = "dislikes."  # of the columns of dislikes in a stored log


@dataclass(frozen=True)
class Interactions:
    """The log, sorted by user and time; users and items are rows, not ids.

    Dislikes stand apart from the events, so that nothing that reads the events takes them for interest.

    Attributes
    ----------
    user_ids : object (n_users,)
        External id of each user row, sorted.
    user, item : int32 (n,)
        Rows.
    time : int64 (n,)
        Seconds since the epoch.
    event : int8 (n,)
        Index into `features.names.EVENTS`.
    weight : float32 (n,)
        Weight of the event.
    price : float64 (n,)
        Unit price paid, see `features.data.prices.unit_price`; nan where unknown.
    n_items : int
        Items in the catalogue.
    ordinal : bool
        Whether `time` is step time; see `features.data.times.step_time`.
    calendar : int64 (n,) or None
        Seconds since the epoch where `time` is step time and the source's times are real; else None.
    clock : LogClock or None
        What the source's times are taken for; None if nobody asked.
    dislikes : Interactions or None
        The dislikes of the same users, None without any: items that are never recommended to the user again.
    value : float64 (n,) or None
        What was paid for the whole quantity; nan where unknown. Recommendations do not read it, so `to_files` leaves it out: None then.
    """

    user_ids: np.ndarray
    user: np.ndarray
    item: np.ndarray
    time: np.ndarray
    event: np.ndarray
    weight: np.ndarray
    price: np.ndarray
    n_items: int
    ordinal: bool = False
    calendar: np.ndarray | None = None
    clock: LogClock | None = None
    dislikes: Interactions | None = None
    value: np.ndarray | None = None

    @classmethod
    def from_frame(cls, frame: pl.DataFrame, catalog: Catalog, weights: Mapping[str, float] = EVENT_WEIGHTS) -> Interactions:
        """Convert canonical rows with external ids; drop rows of items outside the catalogue.

        Raises
        ------
        DataError
            If a required column is missing.
        """
        return cls.from_parts([frame], catalog, weights)

    @classmethod
    def from_parts(cls, parts: Iterable[pl.DataFrame], catalog: Catalog, weights: Mapping[str, float] = EVENT_WEIGHTS) -> Interactions:
        """Convert the partitions of a log, one after another, to the log that `from_frame` makes of all their rows.

        The columns of several partitions lie in temporary files, and so do those of what is selected from them.

        Raises
        ------
        DataError
            If a required column is missing, or a user is in two partitions.
        """
        rows = LogRows.of_parts(parts, catalog.frame["item_id"], weights)
        columns: dict[str, Any] = dict(rows.columns)
        whole = cls(user_ids=rows.user_ids.to_numpy(), **columns, n_items=len(catalog))
        disliked = whole.event == EVENTS.index(DISLIKE)
        return replace(whole.where(~disliked), dislikes=whole.where(disliked)) if disliked.any() else whole

    def __len__(self) -> int:
        return len(self.user)

    @property
    def n_users(self) -> int:
        """Number of user rows."""
        return len(self.user_ids)

    @cached_property
    def offsets(self) -> np.ndarray:
        """Index of each user's first event, and the number of events, int64 (n_users + 1,)."""
        return np.searchsorted(self.user, np.arange(self.n_users + 1))

    @property
    def start(self) -> int:
        """Time of the first event. Raises DataError if the log is empty."""
        return min(int(times.min()) for times in self._times)

    @property
    def end(self) -> int:
        """One second after the last event. Raises DataError if the log is empty."""
        return max(int(times.max()) for times in self._times) + 1

    def end_before(self, until: int | None) -> int:
        """Return one second after the last event before a time, in seconds since the epoch; None: of all. See `end`."""
        if until is None:
            return self.end
        found = [times[times < until] for times in self._times]
        if not len(found[0]):
            return replace(self, **{name: column[:0] for name, column in self._columns.items()}).end
        return max(int(times.max()) for times in found if len(times)) + 1

    @property
    def _times(self) -> list[np.ndarray]:
        if not len(self):
            found = "no events" if self.dislikes is None else "no events but dislikes"
            raise DataError(f"the log has {found}, expected at least one: run `recsys ingest` with a log that has events")
        return [self.time] if self.dislikes is None or not len(self.dislikes) else [self.time, self.dislikes.time]

    @property
    def _columns(self) -> dict[str, np.ndarray]:
        columns = {name: getattr(self, name) for name in COLUMNS}
        return columns if self.calendar is None else columns | {"calendar": self.calendar}

    @property
    def moments(self) -> np.ndarray | None:
        """Real times of the events, int64 (n,), seconds since the epoch; None where the source has only their order."""
        return self.calendar if self.ordinal else self.time

    def where(self, mask: np.ndarray) -> Interactions:
        """Select the events where `mask`, bool (n,), is true; user rows, item rows and dislikes stay the same."""
        if mask.all():
            return self
        value = None if self.value is None else selected(self.value, mask)
        return replace(self, **{name: selected(column, mask) for name, column in self._columns.items()}, value=value)

    def between(self, start: int | None, end: int | None) -> Interactions:
        """Select the events and dislikes with start <= time < end, in seconds since the epoch; None means no bound."""
        mask = np.ones(len(self), dtype=bool)
        if start is not None:
            mask &= self.time >= start
        if end is not None:
            mask &= self.time < end
        return replace(self.where(mask), dislikes=None if self.dislikes is None else self.dislikes.between(start, end))

    def without_users(self, users: np.ndarray) -> Interactions:
        """Drop the events and dislikes of user rows, int (m,), and users without either."""
        dislikes = None if self.dislikes is None else self.dislikes.where(~np.isin(self.dislikes.user, users))
        return replace(self.where(~np.isin(self.user, users)), dislikes=dislikes).with_known_users()

    def capped(self) -> Interactions:
        """Return the log for what learns from it: of a user with more than `CAP` of all events only the newest so many.

        A bot, a reseller or the account of all guests would otherwise be what the models know. Logs of fewer than `CAPPED_FROM` users stay
        as they are.
        """
        counts = np.diff(self.offsets)
        most = int(CAP * len(self))
        if np.count_nonzero(counts) < CAPPED_FROM or counts.max() <= most:
            return self
        # Sorted by user and time: the end of a user's events is the newest.
        return self.where(self.offsets[1:][self.user] - np.arange(len(self)) <= most)

    def with_known_users(self) -> Interactions:
        """Drop users without events and dislikes. A log cut in time still lists the users that appear after the cut."""
        both = self.user if self.dislikes is None else np.concatenate([self.user, self.dislikes.user])
        return self._with_users(sorted_unique(both))

    def _with_users(self, known: np.ndarray) -> Interactions:
        """Keep the user rows `known`, sorted, of which the others have no events."""
        user = np.searchsorted(known, self.user).astype(np.int32)
        dislikes = None if self.dislikes is None else self.dislikes._with_users(known)
        return replace(self, user_ids=self.user_ids[known], user=user, dislikes=dislikes)

    def user_rows(self, user_ids: list[str]) -> np.ndarray:
        """Return the row of each external user id, int64 (n,), whatever its spelling; -1 where the log has no such user."""
        rows = self._exact_rows(user_ids)
        for place in np.flatnonzero(rows < 0).tolist():
            if others := spellings(user_ids[place])[1:]:
                rows[place] = self._exact_rows(others).max()
        return rows

    def spelt(self, user_id: str) -> str:
        """Return a user id as the log has it; as it is where the log lacks it."""
        row = int(self.user_rows([user_id])[0])
        return user_id if row < 0 else str(self.user_ids[row])

    def _exact_rows(self, user_ids: Sequence[str]) -> np.ndarray:
        if not self.n_users:
            return np.full(len(user_ids), -1, dtype=np.int64)
        ids = np.array(user_ids, dtype=object)
        rows = np.minimum(np.searchsorted(self.user_ids, ids), self.n_users - 1)
        return np.where(self.user_ids[rows] == ids, rows, -1)

    def columns(self) -> dict[str, np.ndarray]:
        """Return the columns of the events, and those of the dislikes with a prefix; the latter only if there are any."""
        columns = self._columns
        if self.dislikes is None:
            return columns
        return columns | {_PREFIX + name: column for name, column in self.dislikes.columns().items()}

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the events and dislikes by user and item rows; neither the ids nor `value` is part of it."""
        events = hashlib.sha256(f"{self.n_items}|{self.ordinal}".encode())
        for column in self.columns().values():
            events.update(np.ascontiguousarray(column).tobytes())
        return events.hexdigest()

    def to_files(self) -> dict[str, bytes]:
        """Return the columns as safetensors and the user ids as JSON."""
        about = {
            "n_items": self.n_items,
            "ordered": self.ordinal,
            "clock": None if self.clock is None else self.clock.kind,
            "user_ids": self.user_ids.tolist(),
        }
        columns = {name: np.ascontiguousarray(column) for name, column in self.columns().items()}
        return {"log.safetensors": save(columns), "users.json": json.dumps(about).encode()}

    @classmethod
    def from_files(cls, files: Mapping[str, bytes]) -> Interactions:
        """Read the files of `to_files`. Earlier versions stored prices as float32."""
        about = json.loads(files["users.json"])
        columns: dict[str, Any] = dict(arrays_of(files, "log.safetensors"))
        if columns["price"].dtype == np.float32:
            columns["price"] = exact(columns["price"])
        dislikes = {name.removeprefix(_PREFIX): columns.pop(name) for name in list(columns) if name.startswith(_PREFIX)}
        kind = about.get("clock")  # older files have none
        clock = None if kind is None else LogClock(kind, "as found when the log was stored", about["ordered"])
        ids = np.array(about["user_ids"], dtype=object)
        log = cls(ids, **columns, n_items=about["n_items"], ordinal=about["ordered"], clock=clock)
        return replace(log, dislikes=replace(log, **{"calendar": None, **dislikes})) if dislikes else log
