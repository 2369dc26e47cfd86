"""From a request to its lists, in steps that can be taken one by one: retrieve, rank, tell.

A service has to stop between them: when ranking takes too long, the order of retrieval is told.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Literal

import numpy as np

from features.data.histories import Histories
from features.data.interactions import DAY, EVENTS
from ranking.diversity import diversify
from ranking.ranker import with_features
from recsys.workspace.event_rules import covered, days

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from recsys.recommend.answers import Answer
    from recsys.recommend.engine import Engine
    from recsys.recommend.request import RecommendOptions
    from recsys.settings.events import EventWeights
    from recsys.snapshot.snapshot import Snapshot
    from recsys.workspace.events import Event
    from retrieval.candidates import Candidates

DIVERSE_AMONG = 50  # how many of the best a varied list is chosen from
Way = Literal["personal", "basket", "popular", "unsold"]


@dataclass(frozen=True)
class RequestGroup:
    """Users who are answered in the same way. mask: what may be shown, bool (n_items,) or (b, n_items)."""

    recommender: Engine
    options: RecommendOptions
    users: Sequence[str | None]
    histories: Histories
    mask: np.ndarray
    way: Way

    @classmethod
    def groups(
        cls, recommender: Engine, options: RecommendOptions, users: Sequence[str | None], recent: Histories | None = None
    ) -> Iterator[tuple[np.ndarray, RequestGroup]]:
        """Which of the users (places, int64) are answered together, and how. recent: what they did that the log does not know.

        Raises
        ------
        DataError: an id or a category of the options is unknown.
        """
        snapshot = recommender.snapshot
        basket = snapshot.catalog.rows_or_raise(list(options.history)).tolist()
        histories = Histories.of_users(snapshot.log, snapshot.log.user_rows([user or "" for user in users]), snapshot.now)
        known = histories.lengths > 0
        for later in (recent, Histories.of_baskets([basket] * len(users), snapshot.now) if basket else None):
            histories = histories if later is None else histories.then(later)
        allowed = recommender.rules(options).allowed(snapshot.catalog, snapshot.prices, histories) & recommender.may_show
        visitor = ~known & (histories.lengths > 0)
        ways: dict[Way, np.ndarray] = {"personal": known, "basket": visitor, "popular": ~known & ~visitor}
        groups = [*ways.items()]
        if options.unsold:  # those of whom nothing is known are answered apart: theirs is no personal list
            groups = [("unsold", histories.lengths > 0), ("unsold", histories.lengths == 0)]
        for way, group in groups:
            at = np.flatnonzero(group)
            if len(at):
                some = histories.take(at)
                mask = allowed if allowed.ndim == 1 else allowed[at]
                if way == "basket":  # what lies in the basket already is no answer
                    mask = np.broadcast_to(mask, (len(at), len(snapshot.catalog))).copy()
                    mask[some.user, some.item] = False
                yield at, cls(recommender, options, [users[i] for i in at.tolist()], some, mask, way)

    @cached_property
    def k(self) -> int:
        """How many items are told."""
        return min(self.options.k, len(self.recommender.snapshot.catalog))

    @cached_property
    def width(self) -> int:
        """More than k only where a choice is made among them: the places kept for new arrivals are a list's last."""
        return max(self.k, DIVERSE_AMONG) if self.options.diversity else self.k

    @property
    def personal(self) -> bool:
        """Whether the list rests on what the users did."""
        return self.way != "popular" and bool(self.histories.lengths.any())

    @property
    def ranks(self) -> bool:
        """Whether there is anything to rank by."""
        return self.way in ("personal", "basket") and self.recommender.ranker is not None

    def retrieve(self) -> Candidates:
        """What the ranking starts from; the list itself where nothing is ranked."""
        if self.way == "popular":
            return self.recommender.popular(self.histories, self.width, self.mask)
        if self.way == "unsold":
            return self.recommender.unsold_items(self.histories, self.width, self.mask)
        return self.recommender.candidates(self.histories, max(self.width, self.recommender.model.retrieval.candidates), self.mask)

    def rank(self, found: Candidates) -> Candidates:
        """Best first by chance of purchase, or by what the basket makes likelier; scores are probabilities."""
        if not self.ranks:
            return self.unranked(found)
        return self.recommender.best(found, self.width) if self.way == "personal" else self.recommender.best_beside(found, self.width)

    def unranked(self, found: Candidates) -> Candidates:
        """The order of retrieval, with the features that reasons are told from."""
        if self.way in ("popular", "unsold"):
            return found
        plain = with_features(found, self.recommender.snapshot.stats)
        return self.recommender.shown(plain, self.width) if self.way == "personal" else plain.first(self.width)

    def tell(self, best: Candidates, *, degraded: bool = False) -> list[Answer]:
        """The lists, one a user. degraded: `best` is `unranked`, though there is a ranker."""
        best = diversify(best, self.recommender.snapshot.vectors_of, self.options.diversity, self.k)
        return list(self.recommender.told(self.options, self.users, best, personal=self.personal, ranked=self.ranks and not degraded))


def recent_histories(snapshot: Snapshot, user_id: str, events: Sequence[Event], config: EventWeights) -> Histories | None:
    """What a user did that the snapshot's log does not hold, oldest first; None where there is nothing. config: what an event counts.

    events: as `EventStore.of_user` gives them. Those that the log was made with are in it, or are left out for rows of the sources; so are
    those that came later and happened before, by the very rule of the build. Events of items that the catalogue does not have are left
    out. What happened after the snapshot's `now` happened just now.
    """
    rows = snapshot.catalog.rows([event.item_id for event in events])
    kinds = np.array([EVENTS.index(event.event) for event in events], dtype=np.int64)
    new = (rows >= 0) & (np.array([event.number or snapshot.events_read + 1 for event in events]) > snapshot.events_read)
    new &= ~_held(snapshot, user_id, (rows, kinds), events, config) if new.any() else False
    if not new.any():
        return None
    fresh = [event for event, kept in zip(events, new.tolist(), strict=True) if kept]
    made = Histories.of_baskets([rows[new].tolist()], snapshot.now)
    prices = [event.value / event.quantity if event.value and event.quantity else np.nan for event in fresh]
    weights = config.weights
    return replace(
        made,
        age=np.array([max(0, snapshot.now - event.time) / DAY for event in fresh], dtype=np.float32),
        event=kinds[new].astype(np.int8),
        weight=np.array([weights[event.event] for event in fresh], dtype=np.float32),
        price=np.array(prices, dtype=np.float32),
    )


def _held(
    snapshot: Snapshot, user_id: str, about: tuple[np.ndarray, np.ndarray], events: Sequence[Event], config: EventWeights
) -> np.ndarray:
    """Which events rows of the log stand for, bool (n,). about: the events' items and kinds. The log knows neither ids nor quantities."""
    log, (item, kind) = snapshot.log, about
    user = int(log.user_rows([user_id])[0])
    mine = slice(log.offsets[user], log.offsets[user + 1]) if user >= 0 else slice(0, 0)
    time = np.array([event.time for event in events], dtype=np.int64)
    ours, theirs = log.time[mine], time
    if config.same_day != "both":
        ours, theirs = (days(some, config.time_zone, whole_days=whole) for some, whole in ((ours, True), (theirs, False)))
    if log.ordinal:  # its times are steps, not those that events come with
        ours, theirs = np.zeros_like(ours), np.zeros_like(theirs)
    keys = np.stack([np.concatenate(pair) for pair in ((log.item[mine], item), (log.event[mine], kind), (ours, theirs))])
    _, code = np.unique(keys, axis=1, return_inverse=True)
    code = code.reshape(-1)
    count = len(ours)
    if log.ordinal:
        return np.isin(code[count:], code[:count])
    seen = set(zip(log.item[mine].tolist(), log.event[mine].tolist(), log.time[mine].tolist(), strict=True))
    exact = np.array([key in seen for key in zip(item.tolist(), kind.tolist(), time.tolist(), strict=True)], dtype=bool)
    return covered((code[:count], np.ones(count)), (code[count:], np.ones(len(events))), time, exact)
