"""Arranges one ranked list by the rules: the objective and factors reorder it, then pins, limits and campaigns fill its places.

Pins and limits always hold: a pinned item stands at its position, and a limit is never exceeded, even where the list gets shorter for it.
A campaign has its places as far as limits let its products in.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from ranking.merchandising.rules import OBJECTIVE
from retrieval.candidates import Candidates

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from ranking.merchandising.facts import ActiveRules

RuleNames = tuple[str | None, ...]  # of each place, the rule that put the item there
Arrangement = tuple[Candidates, list[RuleNames]]  # lists, and the names for each


@dataclass(frozen=True)
class Arranged:
    """A list as the rules leave it.

    Attributes
    ----------
    rows : int64 (n,), catalogue rows, at most k.
    places : int64 (n,), where each stood in the list that was given.
    rules : the rule that placed it; None for an item that stands where the ranking has it.
    """

    rows: np.ndarray
    places: np.ndarray
    rules: RuleNames


def weigh(rows: np.ndarray, scores: np.ndarray, rules: ActiveRules) -> tuple[np.ndarray, dict[int, str]]:
    """Order candidates by objective and factors.

    An item is weighed by the score that belongs to its place: the largest one to the first place, and so on. So a list that is not in the
    order of its scores, such as a diverse one, keeps its order where no rule speaks of its items.

    Returns
    -------
    order : int64 (n,), places of the valid candidates, best first.
    moved : row -> the rule that moved it.
    """
    valid = np.flatnonzero(rows >= 0)
    if not rules.factors and rules.value is None:
        return valid, {}
    items = rows[valid]
    factor, names = _factors(items, rules)
    weight = _place_scores(scores[valid]) * _weighed_values(items, factor, rules)
    order = np.argsort(-np.where(factor > 0, weight, -np.inf), kind="stable")
    shift = order - np.arange(len(order))  # above 0: moved up
    moved: dict[int, str] = {}
    for place, up in zip(order.tolist(), shift.tolist(), strict=True):
        name = names[place]
        if up and name is not None and (up > 0) == (factor[place] > 1):
            moved[int(items[place])] = name
        elif up > 0 and name is None and rules.value is not None:
            moved[int(items[place])] = OBJECTIVE
    return valid[order], moved


def _factors(items: np.ndarray, rules: ActiveRules) -> tuple[np.ndarray, list[str | None]]:
    """Return the product of the factors of each item, and the rule with the strongest of them."""
    factor, strongest = np.ones(len(items)), np.zeros(len(items))
    names: list[str | None] = [None] * len(items)
    for name, mask, one in rules.factors:
        strength = np.inf if one == 0 else abs(np.log(one))
        for place in np.flatnonzero(mask[items]).tolist():
            factor[place] *= one
            if strength > strongest[place]:
                strongest[place], names[place] = strength, name
    return factor, names


def _weighed_values(items: np.ndarray, factor: np.ndarray, rules: ActiveRules) -> np.ndarray:
    """Return what each item is worth times its factor; of a loss it is a divisor, for a boost must lift what loses money too."""
    if rules.value is None:
        return factor
    value = rules.value[items]
    return np.where(value >= 0, value * factor, value / np.where(factor > 0, factor, 1))


def _place_scores(scores: np.ndarray) -> np.ndarray:
    """Return the score that belongs to each place, falling; NDCG's discount where scores are no numbers from 0."""
    falling = -np.sort(-np.where(np.isnan(scores), np.nanmin(scores, initial=np.inf), scores))
    if len(falling) and np.isfinite(falling).all() and falling[-1] >= 0 and falling[0] > 0:
        return falling
    return 1 / np.log2(np.arange(len(scores)) + 2)


@dataclass
class _Window:
    """The first places of a list, for which one limit or campaign holds.

    Attributes
    ----------
    bound : the most items of a code, or the least.
    members : code of each candidate, int (n,); -1 for those that the rule is not about.
    first : the number of places.
    """

    name: str
    bound: int
    members: np.ndarray
    first: int
    counts: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        self.counts = np.zeros(int(self.members.max(initial=0)) + 2, dtype=np.int64)  # the last one counts those without a code

    def add(self, place: int, position: int) -> None:
        """Count a candidate that stands at a position."""
        if position <= self.first:
            self.counts[self.members[place]] += 1

    def allows(self, position: int) -> np.ndarray | bool:
        """Return which candidates a limit lets stand at a position, bool (n,)."""
        return position > self.first or (self.members < 0) | (self.counts[self.members] < self.bound)


def fill(rows: np.ndarray, k: int, rules: ActiveRules, moved: Mapping[int, str]) -> Arranged:
    """Fill k places from candidates, in order: pins first, then the best that limits and campaigns allow.

    Parameters
    ----------
    rows : int64 (n,), without padding.
    moved : row -> the rule that moved it so far.
    """
    n = len(rows)
    at = {row: place for place, row in enumerate(rows.tolist())}
    asked = {position: (at[row], name) for position, (row, name) in rules.pins.items() if row in at and position <= k}
    k = min(k, n)
    pins: dict[int, tuple[int, str]] = {}
    for position in sorted(asked, reverse=True):  # a pin behind the end of a short list moves up to it
        pins[min(position, min(pins, default=k + 1) - 1)] = asked[position]
    limits = [_Window(one.name, one.most, _codes(one.codes[rows]), min(one.first or k, k)) for one in rules.limits]
    campaigns = [_Window(one.name, one.at_least, np.where(one.mask[rows], 0, -1), min(one.first, k)) for one in rules.campaigns]
    free = np.ones(n, dtype=bool)
    free[[place for place, _ in pins.values()]] = False
    for position, (place, _) in pins.items():
        for window in (*limits, *campaigns):
            window.add(place, position)
    places: list[int] = []
    names: list[str | None] = []
    for position in range(1, k + 1):
        if position in pins:
            place, name = pins[position]
        else:
            found = _next(free, position, limits, _forced(campaigns, free, position, pins))
            if found is None:  # no candidate may stand here: the list ends, but for what is pinned behind
                _end(places, names, [pins[later] for later in sorted(pins) if later > position], limits)
                break
            place, campaign = found
            free[place] = False
            name = campaign or moved.get(int(rows[place]))
            for window in (*limits, *campaigns):
                window.add(place, position)
        places.append(place)
        names.append(name)
    chosen = np.array(places, dtype=np.int64)
    return Arranged(rows[chosen], chosen, tuple(names))


def _end(places: list[int], names: list[str | None], pins: Sequence[tuple[int, str]], limits: Sequence[_Window]) -> None:
    """Let the items that are pinned behind the end of a list move up to it, as far as limits allow."""
    for window in limits:
        window.counts[:] = 0
        for position, place in enumerate(places, start=1):
            window.add(place, position)
    for place, name in pins:
        position = len(places) + 1
        if all(np.broadcast_to(window.allows(position), window.members.shape)[place] for window in limits):
            places.append(place)
            names.append(name)
            for window in limits:
                window.add(place, position)


def _codes(codes: np.ndarray) -> np.ndarray:
    """Return small codes for those of a catalogue; -1 stays."""
    found, small = np.unique(codes, return_inverse=True)
    return small - 1 if len(found) and found[0] == -1 else small


def _next(
    free: np.ndarray, position: int, limits: Sequence[_Window], forced: tuple[np.ndarray, Sequence[_Window]] | None
) -> tuple[int, str | None] | None:
    """Return the best candidate that may stand at a position, and the campaign that it stands there for; None if there is none."""
    allowed = free.copy()
    for window in limits:
        allowed &= window.allows(position)
    if not allowed.any():
        return None
    best = int(allowed.argmax())
    if forced is None or not (allowed & forced[0]).any():
        return best, None
    place = int((allowed & forced[0]).argmax())
    return place, None if place == best else next(window.name for window in forced[1] if window.members[place] == 0)


def _forced(
    campaigns: Sequence[_Window], free: np.ndarray, position: int, pins: Mapping[int, object]
) -> tuple[np.ndarray, Sequence[_Window]] | None:
    """Return the candidates of campaigns that need every open place from here on; None while there is room for others."""
    needs = []
    for window in sorted(campaigns, key=lambda one: one.first):
        missing = min(window.bound - int(window.counts[0]), int((free & (window.members == 0)).sum()))
        if missing <= 0 or position > window.first:
            continue
        needs.append((window, missing))
        open_places = sum(one not in pins for one in range(position, window.first + 1))
        if sum(missing for _, missing in needs) >= open_places:
            windows = [window for window, _ in needs]
            return np.any([window.members == 0 for window in windows], axis=0), windows
    return None


def arrange_lists(
    found: Candidates,
    k: int,
    rules: ActiveRules,
    between: Callable[[Candidates], Candidates] | None = None,
    relevance: np.ndarray | None = None,
) -> Arrangement:
    """Arrange the list of each user; also returns the rule that placed each item.

    Parameters
    ----------
    between : reorders the lists after objective and factors, and before pins, limits and campaigns: diversity.
    relevance : float (b, m), what factors multiply; None: the scores.
    """
    scores_of = found.scores if relevance is None else relevance
    weighed = [weigh(rows, scores, rules) for rows, scores in zip(found.rows, scores_of, strict=True)]
    found = found.take(_columns([order for order, _ in weighed], found.rows.shape[1]))
    found = found if between is None else between(found)
    filled = [fill(rows[rows >= 0], k, rules, moved) for rows, (_, moved) in zip(found.rows, weighed, strict=True)]
    return found.take(_columns([one.places for one in filled], min(k, found.rows.shape[1]))), [one.rules for one in filled]


def as_ranked(found: Candidates, k: int) -> Arrangement:
    """Return the first k of each list as they are, without a rule."""
    lists = found.first(k)
    return lists, [(None,) * int(count) for count in lists.valid.sum(axis=1)]


def _columns(orders: Sequence[np.ndarray], width: int) -> np.ndarray:
    """Return orders of different lengths as one array, int64 (b, width), padded with -1."""
    columns = np.full((len(orders), width), -1, dtype=np.int64)
    for user, order in enumerate(orders):
        columns[user, : len(order)] = order
    return columns


def with_rows(found: Candidates, more: Candidates) -> Candidates:
    """Return the candidates of both for the same users, padding last; a feature that one lacks is nan there."""
    names = dict.fromkeys((*found.features, *more.features))

    def column(part: Candidates, name: str) -> np.ndarray:
        return part.features.get(name, np.full(part.rows.shape, np.nan, dtype=np.float32))

    rows = np.concatenate([found.rows, more.rows], axis=1)
    scores = np.concatenate([found.scores, more.scores], axis=1)
    features = {name: np.concatenate([column(found, name), column(more, name)], axis=1) for name in names}
    return Candidates(found.users, rows, scores, features).take(np.argsort(rows < 0, axis=1, kind="stable"))


def beside(found: Candidates, wanted: np.ndarray, allowed: np.ndarray) -> np.ndarray:
    """Return which wanted rows (w,) each list lacks and may hold, int64 (b, w'), padded with -1.

    Parameters
    ----------
    allowed : bool (n_items,) or (b, n_items).
    """
    rows = np.broadcast_to(wanted, (len(found.users), len(wanted)))
    may = np.broadcast_to(allowed, (len(found.users), allowed.shape[-1]))
    new = np.take_along_axis(may, rows, axis=1) & ~(found.rows[:, :, None] == wanted).any(axis=1)
    return np.where(new, rows, -1)


def lowest_scores(found: Candidates, rows: np.ndarray) -> np.ndarray:
    """Return scores for rows (b, w) that join lists: the lowest of each list, -inf for padding."""
    lowest = np.where(found.valid, found.scores, np.inf).min(axis=1, keepdims=True, initial=np.inf)
    return np.where(rows >= 0, np.where(np.isfinite(lowest), lowest, 0), -np.inf).astype(np.float32)
