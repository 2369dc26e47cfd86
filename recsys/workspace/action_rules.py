"""Decides which actions on impressions are stored, and at what time and place."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from recsys.workspace.served_pages import StoredActions

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from recsys.workspace.served_pages import Action

MOST_ACTIONS = 100  # of one impression: what is sent from browsers must not fill the disk
CLOCK_SECONDS = 300  # that an action may seem to come before its impression, or after now
Refusal = Literal["unknown", "not_shown", "repeated", "too_many"]


@dataclass(frozen=True)
class Served:
    """What is known of an impression: its items from the place `first` on, when it was served, and the actions that are stored of it."""

    items: tuple[str, ...]
    time: int
    first: int = 1
    action_ids: set[str] = field(default_factory=set)


def judge(actions: Sequence[Action], served: Mapping[str, Served], now: int) -> tuple[list[tuple[object, ...]], StoredActions]:
    """Return the rows to store, and what became of each action. Ids of stored actions are added to `served`.

    Parameters
    ----------
    served : the impressions that the actions name, by id, as far as they are known.
    now : the server's time, in seconds since the epoch.
    """
    rows: list[tuple[object, ...]] = []
    counts: Counter[str] = Counter()
    examples: dict[str, str] = {}
    for action in actions:
        impression = served.get(action.impression_id)
        refusal = _refusal(action, impression)
        if impression is None or refusal is not None:
            counts[refusal or "unknown"] += 1
            if refusal != "repeated":
                examples.setdefault(refusal or "unknown", repr(action.item_id if refusal == "not_shown" else action.impression_id))
            continue
        impression.action_ids.add(action.action_id)
        place = impression.items.index(action.item_id) + impression.first
        time = _time(action.sent, impression.time, now)
        counts["new"] += 1
        counts["moved"] += action.position not in (None, place)
        counts["clocks_off"] += time is None and action.sent is not None
        placed = (action.impression_id, action.action_id, action.item_id, place, action.action_name)
        rows.append((*placed, now if time is None else time, action.value))
    return rows, StoredActions(len(actions), **counts, examples=examples)


def _refusal(action: Action, impression: Served | None) -> Refusal | None:
    """Return why an action is not stored; None if it is."""
    if impression is None:
        return "unknown"
    if action.item_id not in impression.items:
        return "not_shown"
    if action.action_id in impression.action_ids:
        return "repeated"
    return "too_many" if len(impression.action_ids) >= MOST_ACTIONS else None


def _time(sent: float | None, shown_at: int, now: int) -> int | None:
    """Return an action's time; None where the client's cannot be, also where it is nan."""
    if sent is None or not shown_at - CLOCK_SECONDS <= sent <= now + CLOCK_SECONDS:
        return None
    # Never before the page: a clock that is a minute slow would have customers act on what they have not seen.
    return min(max(int(sent), shown_at), max(now, shown_at))
