"""User histories: the events of each user of a request before the time of the request.

Known users, anonymous baskets and unknown users have the same form.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from safetensors.numpy import save

from features.data.interactions import DAY, LABEL_EVENTS, Interactions
from features.storage.arrays import arrays_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

T = TypeVar("T")
# A wholesaler's account or a crawler can have a million events; to models, older events than these add nothing.
MAX_EVENTS = 5_000
COLUMNS = ("item", "age", "event", "weight", "price", "days")


@dataclass(frozen=True)
class Histories:
    """The events of b users before `now`, oldest first, in one ragged array.

    Attributes
    ----------
    offsets : int64 (b + 1,)
        User i has the events offsets[i]:offsets[i+1].
    item : int32 (n,)
        Catalogue rows.
    age : float32 (n,)
        Days before `now`, at least 0; steps where the log is in step time.
    event : int8 (n,)
        Index into `features.names.EVENTS`.
    weight : float32 (n,)
        Weight of the event.
    price : float64 (n,)
        Unit price paid, nan where unknown.
    now : int
        Seconds since the epoch.
    days : float32 (n,)
        The age in real days, for what is said of an event; nan where the log has no calendar. By default `age`.
    rows : int64 (b,) or None
        The users' rows in their log, -1 for an unknown user; None if the histories come from no log. Models with
        parameters for each user need them; all other models give equal histories equal scores.
    earlier : Histories or None
        The purchases and ratings before the events above, where `MAX_EVENTS` cut some off. No model reads them: they
        are for what must hold of all purchases, see `purchases`.
    disliked : Histories or None
        The users' dislikes, None without any. No model reads them: they are for what must not be recommended, see
        `permitted`.
    """

    offsets: np.ndarray
    item: np.ndarray
    age: np.ndarray
    event: np.ndarray
    weight: np.ndarray
    price: np.ndarray
    now: int
    rows: np.ndarray | None = None
    days: np.ndarray = None  # pyright: ignore[reportAssignmentType]
    earlier: Histories | None = None
    disliked: Histories | None = None

    def __post_init__(self) -> None:
        if self.days is None:
            object.__setattr__(self, "days", self.age)

    @classmethod
    def of_users(cls, log: Interactions, users: np.ndarray, now: int) -> Histories:
        """Select the last `MAX_EVENTS` events before `now` of user rows (b,); a row of -1 gives an empty history.

        The purchases among the older events become `earlier`, and all dislikes `disliked`.
        """
        begin, ends = cls._bounds(log, users, now)
        newest = np.maximum(begin, ends - MAX_EVENTS)
        made = cls._between(log, users, newest, ends, now)
        if not np.array_equal(newest, begin):
            older = cls._between(log, users, begin, newest, now)
            made = replace(made, earlier=older.where(np.isin(older.event, LABEL_EVENTS)))
        if log.dislikes is None:
            return made
        return replace(made, disliked=cls._between(log.dislikes, users, *cls._bounds(log.dislikes, users, now), now))

    @staticmethod
    def _bounds(log: Interactions, users: np.ndarray, now: int) -> tuple[np.ndarray, np.ndarray]:
        """Return where the events before `now` of user rows (b,) begin and end, int64 (b,) each."""
        known = np.maximum(users, 0)
        begin = log.offsets[known] if log.n_users else np.zeros(len(users), dtype=np.int64)
        stop = log.offsets[known + 1] if log.n_users else begin
        ends = np.array([b + np.searchsorted(log.time[b:e], now) for b, e in zip(begin, stop, strict=True)], dtype=np.int64)
        return begin, np.where(users >= 0, ends.reshape(len(users)), begin)

    @classmethod
    def _between(cls, log: Interactions, users: np.ndarray, begin: np.ndarray, ends: np.ndarray, now: int) -> Histories:
        """Select the events begin[i]:ends[i] of each user i, int64 (b,) each."""
        lengths = ends - begin
        offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        index = np.arange(offsets[-1]) + np.repeat(begin - offsets[:-1], lengths)
        age = ((now - log.time[index]) / DAY).astype(np.float32)
        days = _days(log, index, now) if log.ordinal else age
        return cls(offsets, log.item[index], age, log.event[index], log.weight[index], log.price[index], now, users, days)

    @classmethod
    def of_baskets(cls, baskets: Sequence[Sequence[int]], now: int) -> Histories:
        """Build histories of purchases made at `now` from one list of catalogue rows per user."""
        lengths = [len(basket) for basket in baskets]
        offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        item = np.array([row for basket in baskets for row in basket], dtype=np.int32)
        n = len(item)
        nan = np.full(n, np.nan)
        return cls(offsets, item, np.zeros(n, np.float32), np.zeros(n, np.int8), np.ones(n, np.float32), nan, now)

    @classmethod
    def joined(cls, parts: Sequence[Histories]) -> Histories:
        """Concatenate the users of several requests over one log; `now` is that of the first, ages stay unchanged.

        The result has neither `earlier` nor `disliked`: it is for models.
        """
        columns: dict[str, Any] = {name: np.concatenate([getattr(part, name) for part in parts]) for name in (*COLUMNS, "rows")}
        offsets = np.concatenate([[0], np.cumsum(np.concatenate([part.lengths for part in parts]))]).astype(np.int64)
        return cls(offsets=offsets, now=parts[0].now, **columns)

    def to_files(self) -> dict[str, bytes]:
        """Return what models read, in safetensors: neither `earlier` nor `disliked`."""
        arrays = {name: getattr(self, name) for name in (*COLUMNS, "offsets")} | {"now": np.array([self.now])}
        return {"histories.safetensors": save(arrays if self.rows is None else arrays | {"rows": self.rows})}

    @classmethod
    def from_files(cls, files: Mapping[str, bytes]) -> Histories:
        """Read the files of `to_files`."""
        arrays: dict[str, Any] = dict(arrays_of(files, "histories.safetensors"))
        return cls(now=int(arrays.pop("now")[0]), **arrays)

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @cached_property
    def lengths(self) -> np.ndarray:
        """Number of events of each user, int64 (b,)."""
        return np.diff(self.offsets)

    @cached_property
    def user(self) -> np.ndarray:
        """Index of the user of each event, int64 (n,)."""
        return np.repeat(np.arange(len(self)), self.lengths)

    @property
    def purchases(self) -> Histories:
        """All purchases and ratings, those that `MAX_EVENTS` cut off included."""
        kept = replace(self.where(np.isin(self.event, LABEL_EVENTS)), earlier=None, disliked=None)
        return kept if self.earlier is None else self.earlier.then(kept)

    def permitted(self, allowed: np.ndarray) -> np.ndarray:
        """Return `allowed`, bool (n_items,) or (b, n_items), without the items that each user dislikes."""
        disliked = self.disliked
        if disliked is None or not len(disliked.item):
            return allowed
        each = np.array(np.broadcast_to(allowed, (len(self), allowed.shape[-1])))
        each[disliked.user, disliked.item] = False
        return each

    @cached_property
    def _cache(self) -> dict[tuple[int, str], tuple[object, object]]:
        return {}

    def once(self, owner: object, name: str, compute: Callable[[], T]) -> T:
        """Return `compute()`, cached for `owner` and `name` as long as these histories live.

        Several stages need the same result of the same model.
        """
        key = (id(owner), name)
        if key not in self._cache:
            self._cache[key] = (owner, compute())  # a reference to the owner, so that no other object gets its id
        found: T = self._cache[key][1]  # type: ignore[assignment]
        return found

    def take(self, users: np.ndarray) -> Histories:
        """Select users of the request, int (m,), in the given order."""
        lengths = self.lengths[users]
        offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        index = np.arange(offsets[-1]) + np.repeat(self.offsets[:-1][users] - offsets[:-1], lengths)
        columns = {name: getattr(self, name)[index] for name in COLUMNS}
        rows = None if self.rows is None else self.rows[users]
        earlier, disliked = (None if some is None else some.take(users) for some in (self.earlier, self.disliked))
        return replace(self, offsets=offsets, rows=rows, earlier=earlier, disliked=disliked, **columns)

    def where(self, mask: np.ndarray) -> Histories:
        """Select the events where `mask`, bool (n,), is true; the users, `earlier` and `disliked` stay the same."""
        offsets = np.concatenate([[0], np.cumsum(mask)]).astype(np.int64)[self.offsets]
        columns = {name: getattr(self, name)[mask] for name in COLUMNS}
        return replace(self, offsets=offsets, **columns)

    def then(self, later: Histories) -> Histories:
        """Append the events of `later` to each user's events; both must have the same users and the same `now`."""
        order = np.argsort(np.concatenate([self.user, later.user]), kind="stable")
        columns = {name: np.concatenate([getattr(self, name), getattr(later, name)])[order] for name in COLUMNS}
        earlier, disliked = _joined(self.earlier, later.earlier), _joined(self.disliked, later.disliked)
        return replace(self, offsets=self.offsets + later.offsets, earlier=earlier, disliked=disliked, **columns)

    def with_items(self, code: np.ndarray) -> Histories:
        """Replace each item by its code, int (n_items,), for example the code of its text; for models alone."""
        return replace(self, item=code[self.item].astype(np.int32), earlier=None, disliked=None)

    def last_events(self, most: int) -> RecentItems:
        """Return the last `most` events of each user, repeated items included, each with a count of 1."""
        begin = np.maximum(self.offsets[:-1], self.offsets[1:] - most)
        return self._columns(np.arange(len(self.item)), np.ones(len(self.item), dtype=np.int64), begin, self.offsets[1:])

    def recent_items(self, n_items: int, most: int) -> RecentItems:
        """Return the last `most` distinct items of each user."""
        key = self.user * n_items + self.item
        order = np.argsort(key, kind="stable")  # stable: the oldest event stays first within an item
        starts = np.flatnonzero(np.diff(key[order], prepend=-1))
        ends = np.append(starts[1:], len(key))
        last = order[ends - 1] if len(starts) else np.zeros(0, dtype=np.int64)
        newest = np.lexsort((-self.age[last], self.user[last]))  # by user, oldest first
        last, count = last[newest], (ends - starts)[newest]
        owner = self.user[last]
        stop = np.searchsorted(owner, np.arange(len(self)), side="right")
        begin = np.maximum(np.searchsorted(owner, np.arange(len(self))), stop - most)
        return self._columns(last, count, begin, stop)

    def _columns(self, events: np.ndarray, count: np.ndarray, begin: np.ndarray, stop: np.ndarray) -> RecentItems:
        """Pad the entries begin[i]:stop[i] of `events` of each user i to rows of equal length."""
        width = int((stop - begin).max(initial=1))
        index = begin[:, None] + np.arange(width)[None, :]  # (b, width)
        real = index < stop[:, None]
        at = np.where(real, index, 0)

        def column(values: np.ndarray, fill: float) -> np.ndarray:
            return np.where(real, values[at], fill).astype(values.dtype) if len(values) else np.full(real.shape, fill, values.dtype)

        return RecentItems(
            rows=column(self.item[events].astype(np.int64), -1),
            age=column(self.age[events], 0),
            count=column(count.astype(np.float32), 0),
            event=column(self.event[events], 0),
        )


def _days(log: Interactions, index: np.ndarray, now: int) -> np.ndarray:
    """Return the real age of some events in days, float32 (n,); nan where the log has no calendar."""
    if log.moments is None:
        return np.full(len(index), np.nan, dtype=np.float32)
    return (np.maximum(now - log.moments[index], 0) / DAY).astype(np.float32)


def _joined(first: Histories | None, later: Histories | None) -> Histories | None:
    """Return the events of both for the same users; None stands for no events."""
    if first is None or later is None:
        return later if first is None else first
    return first.then(later)


@dataclass(frozen=True)
class RecentItems:
    """Items of b histories, oldest first, padded at the end.

    Attributes
    ----------
    rows : int64 (b, n)
        Catalogue rows, -1 where padded.
    age : float32 (b, n)
        Days since the last event.
    count : float32 (b, n)
        Number of events.
    event : int8 (b, n)
        Kind of the last event, an index into `features.names.EVENTS`.
    """

    rows: np.ndarray
    age: np.ndarray
    count: np.ndarray
    event: np.ndarray
