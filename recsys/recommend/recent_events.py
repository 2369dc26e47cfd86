"""What a user did after the snapshot: events that the service stored and the snapshot's log does not hold."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from features.data.histories import Histories
from features.data.interactions import DAY, EVENTS
from features.data.prices import unit_price
from features.names import DISLIKE, QUANTITY, VALUE
from recsys.workspace.event_rules import covered, days
from recsys.workspace.events import KEPT_OF_USER

if TYPE_CHECKING:
    from collections.abc import Sequence

    from recsys.settings.events import EventWeights
    from recsys.snapshot.snapshot import Snapshot
    from recsys.workspace.events import Event


def recent_histories(snapshot: Snapshot, user_id: str, events: Sequence[Event], config: EventWeights) -> Histories | None:
    """Return the events of a user that the snapshot's log lacks, oldest first; None without any.

    Events that the log was built with are left out, and so are later ones that its rows cover by the rule of the build
    (`recsys.workspace.event_rules`). Events of items outside the catalogue are left out. An event after the snapshot's
    `now` has age 0. Of more than `KEPT_OF_USER` events, the older purchases become `Histories.earlier`; dislikes
    become `Histories.disliked`.

    Parameters
    ----------
    events : of the user, as `EventStore.of_user` returns them.
    config : weights of events, and the rule for the service's events.
    """
    rows = snapshot.catalog.rows([event.item_id for event in events])
    kinds = np.array([EVENTS.index(event.event) for event in events], dtype=np.int64)
    new = (rows >= 0) & (np.array([event.number or snapshot.events_read + 1 for event in events]) > snapshot.events_read)
    new &= ~_held(snapshot, user_id, (rows, kinds), events, config) if new.any() else False
    if not new.any():
        return None
    whole = _history(snapshot, [event for event, kept in zip(events, new.tolist(), strict=True) if kept], config)
    disliked = whole.event == EVENTS.index(DISLIKE)
    liked = whole.where(~disliked)
    latest = np.arange(len(liked.item)) >= len(liked.item) - KEPT_OF_USER
    return replace(
        liked.where(latest),
        earlier=None if latest.all() else liked.where(~latest).purchases,
        disliked=whole.where(disliked) if disliked.any() else None,
    )


def _history(snapshot: Snapshot, events: Sequence[Event], config: EventWeights) -> Histories:
    """Return events of items of the catalogue as the history of one user."""
    rows, weights = snapshot.catalog.rows([event.item_id for event in events]), config.weights
    value, quantity = (np.array([getattr(event, name) for event in events], dtype=np.float64) for name in (VALUE, QUANTITY))
    age = np.array([max(0, snapshot.now - event.time) / DAY for event in events], dtype=np.float32)
    return replace(
        Histories.of_baskets([rows.tolist()], snapshot.now),
        age=age,
        days=age,
        event=np.array([EVENTS.index(event.event) for event in events], dtype=np.int8),
        weight=np.array([weights[event.event] for event in events], dtype=np.float32),
        price=unit_price(value, quantity),
    )


def _held(
    snapshot: Snapshot, user_id: str, about: tuple[np.ndarray, np.ndarray], events: Sequence[Event], config: EventWeights
) -> np.ndarray:
    """Return which events the log's rows cover, bool (n,). `about` holds the events' items and kinds.

    The log holds neither ids nor quantities, so each row covers one event.
    """
    log, (item, kind) = snapshot.log, about
    user = int(log.user_rows([user_id])[0])
    mine = slice(log.offsets[user], log.offsets[user + 1]) if user >= 0 else slice(0, 0)
    time = np.array([event.time for event in events], dtype=np.int64)
    ours, theirs = (log.time if log.moments is None else log.moments)[mine], time
    if config.same_day != "both":
        ours, theirs = (days(some, config.time_zone, whole_days=whole) for some, whole in ((ours, True), (theirs, False)))
    if log.moments is None:  # its times are steps, not those that events come with
        ours, theirs = np.zeros_like(ours), np.zeros_like(theirs)
    keys = np.stack([np.concatenate(pair) for pair in ((log.item[mine], item), (log.event[mine], kind), (ours, theirs))])
    _, code = np.unique(keys, axis=1, return_inverse=True)
    code = code.reshape(-1)
    count = len(ours)
    if log.moments is None:
        return np.isin(code[count:], code[:count])
    seen = set(zip(log.item[mine].tolist(), log.event[mine].tolist(), log.moments[mine].tolist(), strict=True))
    exact = np.array([key in seen for key in zip(item.tolist(), kind.tolist(), time.tolist(), strict=True)], dtype=bool)
    return covered((code[:count], np.ones(count)), (code[count:], np.ones(len(events))), time, exact)
