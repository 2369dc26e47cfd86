"""What the recommender knows of each user of a request: the events before now. Known users, baskets and strangers look alike."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from features.data.interactions import DAY, Interactions

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

T = TypeVar("T")
# A wholesaler's account or a crawler can have a million events; what lies further back than this says nothing new.
MAX_EVENTS = 5_000


@dataclass(frozen=True)
class Histories:
    """The events of b users before `now`, oldest first, in one ragged array.

    Attributes
    ----------
    offsets: user i owns events offsets[i]:offsets[i+1], int64 (b + 1,).
    item: catalogue rows, int32 (n,). age: days before now, float32 (n,), >= 0.
    event: index into EVENTS, int8 (n,). weight, price: float32 (n,). now: seconds since the epoch.
    rows: the users' rows in the log they come from, int64 (b,), -1 for a stranger; None where they come from no log. For models that
    learned something of each user, and to tell users apart; histories that look alike are answered alike by all others.
    """

    offsets: np.ndarray
    item: np.ndarray
    age: np.ndarray
    event: np.ndarray
    weight: np.ndarray
    price: np.ndarray
    now: int
    rows: np.ndarray | None = None

    @classmethod
    def of_users(cls, log: Interactions, users: np.ndarray, now: int) -> Histories:
        """Events of user rows (b,) before `now`; a row of -1 is somebody without history. At most `MAX_EVENTS` a user."""
        known = np.maximum(users, 0)
        begin = log.offsets[known] if log.n_users else np.zeros(len(users), dtype=np.int64)
        stop = log.offsets[known + 1] if log.n_users else begin
        ends = np.array([b + np.searchsorted(log.time[b:e], now) for b, e in zip(begin, stop, strict=True)], dtype=np.int64)
        ends = np.where(users >= 0, ends.reshape(len(users)), begin)
        begin = np.maximum(begin, ends - MAX_EVENTS)
        lengths = ends - begin
        offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        index = np.arange(offsets[-1]) + np.repeat(begin - offsets[:-1], lengths)
        age = ((now - log.time[index]) / DAY).astype(np.float32)
        return cls(offsets, log.item[index], age, log.event[index], log.weight[index], log.price[index], now, users)

    @classmethod
    def of_baskets(cls, baskets: Sequence[Sequence[int]], now: int) -> Histories:
        """Histories of purchases made just now: one list of catalogue rows a user."""
        lengths = [len(basket) for basket in baskets]
        offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        item = np.array([row for basket in baskets for row in basket], dtype=np.int32)
        n = len(item)
        nan = np.full(n, np.nan, dtype=np.float32)
        return cls(offsets, item, np.zeros(n, np.float32), np.zeros(n, np.int8), np.ones(n, np.float32), nan, now)

    @classmethod
    def joined(cls, parts: Sequence[Histories]) -> Histories:
        """The users of several requests to one log, one after another; `now` is the first one's, ages are as they were."""
        columns = {
            name: np.concatenate([getattr(part, name) for part in parts]) for name in ("item", "age", "event", "weight", "price", "rows")
        }
        offsets = np.concatenate([[0], np.cumsum(np.concatenate([part.lengths for part in parts]))]).astype(np.int64)
        return cls(offsets=offsets, now=parts[0].now, **columns)

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @cached_property
    def lengths(self) -> np.ndarray:
        """Events of each user, int64 (b,)."""
        return np.diff(self.offsets)

    @cached_property
    def user(self) -> np.ndarray:
        """Which user of the request each event belongs to, int64 (n,)."""
        return np.repeat(np.arange(len(self)), self.lengths)

    @cached_property
    def _found(self) -> dict[tuple[int, str], tuple[object, object]]:
        return {}

    def once(self, owner: object, name: str, compute: Callable[[], T]) -> T:
        """What `compute` says of these users to `owner`, worked out once: several stages ask the same model for the same.

        It is kept as long as these histories are.
        """
        key = (id(owner), name)
        if key not in self._found:
            self._found[key] = (owner, compute())  # the owner too: while it lives, nobody else has its id
        found: T = self._found[key][1]  # type: ignore[assignment]
        return found

    def take(self, users: np.ndarray) -> Histories:
        """The histories of some users of the request, in the order given."""
        lengths = self.lengths[users]
        offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        index = np.arange(offsets[-1]) + np.repeat(self.offsets[:-1][users] - offsets[:-1], lengths)
        columns = {name: getattr(self, name)[index] for name in ("item", "age", "event", "weight", "price")}
        return replace(self, offsets=offsets, rows=None if self.rows is None else self.rows[users], **columns)

    def where(self, mask: np.ndarray) -> Histories:
        """The events where `mask` (n,) is true, of the same users."""
        offsets = np.concatenate([[0], np.cumsum(mask)]).astype(np.int64)[self.offsets]
        columns = {name: getattr(self, name)[mask] for name in ("item", "age", "event", "weight", "price")}
        return replace(self, offsets=offsets, **columns)

    def then(self, later: Histories) -> Histories:
        """These users' events, followed by those of `later`, user by user; both stand at the same `now`."""
        order = np.argsort(np.concatenate([self.user, later.user]), kind="stable")
        columns = {
            name: np.concatenate([getattr(self, name), getattr(later, name)])[order] for name in ("item", "age", "event", "weight", "price")
        }
        return replace(self, offsets=self.offsets + later.offsets, **columns)

    def with_items(self, code: np.ndarray) -> Histories:
        """The same events with each item's code (n_items,) in place of its row: of texts, say."""
        return replace(self, item=code[self.item].astype(np.int32))

    def last_events(self, most: int) -> RecentItems:
        """The last `most` events of each user, repeats included, each counted once."""
        begin = np.maximum(self.offsets[:-1], self.offsets[1:] - most)
        return self._columns(np.arange(len(self.item)), np.ones(len(self.item), dtype=np.int64), begin, self.offsets[1:])

    def recent_items(self, n_items: int, most: int) -> RecentItems:
        """The last `most` distinct items of each user: see `RecentItems`."""
        key = self.user * n_items + self.item
        order = np.argsort(key, kind="stable")  # keeps the oldest first within an item
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
        """Of user i the events begin[i]:stop[i] of `events`, each standing for `count` of them."""
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


@dataclass(frozen=True)
class RecentItems:
    """Items of b histories, oldest first, padded behind: rows int64 (b, n), -1 where padded; age of the last event in days,
    number of events, kind of the last event (index into EVENTS), each (b, n)."""

    rows: np.ndarray
    age: np.ndarray
    count: np.ndarray
    event: np.ndarray
