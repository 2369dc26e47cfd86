"""Rules that contradict each other, and rules that do nothing."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from features.errors import ConfigError
from features.text.plain import counted
from ranking.merchandising.rules import DOCS, FILE

LIST = 10  # places of a list, where a limit is about all of them

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from ranking.blocklist import Blocklist
    from ranking.merchandising.facts import Merchandising
    from ranking.merchandising.rules import Limit, MerchandisingRule, Pin


def check(merchandising: Merchandising, blocklist: Blocklist) -> None:
    """Refuse rules that contradict each other.

    Raises
    ------
    ConfigError
        The first contradiction, in one line that names both rules, and how many more there are.
    """
    found = list(_conflicts(merchandising, blocklist))
    if found:
        more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
        raise ConfigError(f"{FILE}: {found[0]}{more}; {DOCS}")


def _conflicts(merchandising: Merchandising, blocklist: Blocklist) -> Iterator[str]:
    """Yield each contradiction."""
    rules = merchandising.rules
    for one, other in combinations(rules.pin, 2):
        if _together(merchandising, one, other):
            yield from _two_pins(merchandising, one, other)
    if rules.pin or rules.campaign:
        # What is not available today may be so tomorrow, so `unavailable` contradicts nothing.
        allowed = blocklist.model_copy(update={"unavailable": False}).allowed(merchandising.catalog)
        for pin in rules.pin:
            row = merchandising.pinned[pin.name]
            if row >= 0 and not allowed[row]:
                yield f"pin {pin.name!r} shows {pin.item!r}, which {_barring(blocklist, merchandising, row)} bars: remove one of them"
        for campaign in rules.campaign:
            items = merchandising.masks[campaign.name]
            if items.any() and not allowed[items].any():
                row = int(np.flatnonzero(items)[0])
                barring = _barring(blocklist, merchandising, row)
                yield f"campaign {campaign.name!r} has no item that may be shown, {barring} bars them: remove one of them"
    for limit in rules.limit:
        yield from _pins_over(merchandising, limit)
        yield from _campaigns_over(merchandising, limit)
    for boost in rules.boost:
        for bury in rules.bury:
            same = np.array_equal(merchandising.masks[boost.name], merchandising.masks[bury.name])
            if same and merchandising.masks[boost.name].any() and _together(merchandising, boost, bury):
                count = counted(int(merchandising.masks[boost.name].sum()), "item")
                yield f"boost {boost.name!r} and bury {bury.name!r} are about the same {count} at overlapping times: remove one of them"


def _together(merchandising: Merchandising, one: MerchandisingRule, other: MerchandisingRule) -> bool:
    """Return whether there may be a place and a moment at which both rules hold."""
    return one.where.meets(other.where) and one.meets(other, merchandising.rules.time_zone)


def _two_pins(merchandising: Merchandising, one: Pin, other: Pin) -> Iterator[str]:
    if one.position == other.position:
        what = f"position {one.position} of {one.where if str(one.where) == str(other.where) else f'{one.where} and {other.where}'}"
        yield f"pins {one.name!r} and {other.name!r} both take {what} at overlapping times: move one of them"
    elif one.item == other.item or merchandising.pinned[one.name] == merchandising.pinned[other.name] >= 0:
        positions = f"positions {one.position} and {other.position}"
        yield f"pins {one.name!r} and {other.name!r} put {one.item!r} at {positions} at overlapping times: remove one of them"


def _barring(blocklist: Blocklist, merchandising: Merchandising, row: int) -> str:
    """Return the rule of the blocklist that bars an item."""
    for key in ("items", "brands", "categories"):
        for value in getattr(blocklist, key):
            if not blocklist.model_validate({key: (value,)}).allowed(merchandising.catalog)[row]:
                return f"rules.toml ({key}: {value!r})"
    return "rules.toml"


def _pins_over(merchandising: Merchandising, limit: Limit) -> Iterator[str]:
    """Yield the pins that a limit forbids, counted at one moment: that of each pin with those that overlap it."""
    codes = merchandising.codes[limit.name]
    rows = merchandising.pinned
    inside = [
        pin
        for pin in merchandising.rules.pin
        if rows[pin.name] >= 0
        and codes[rows[pin.name]] >= 0
        and (limit.first is None or pin.position <= limit.first)
        and _together(merchandising, pin, limit)
    ]
    for place, pin in enumerate(inside):
        alike = [pin]
        for other in inside[place + 1 :]:
            same = codes[rows[other.name]] == codes[rows[pin.name]]
            if same and all(_together(merchandising, other, one) for one in alike):
                alike.append(other)
        if len(alike) > limit.most:
            names = " and ".join(repr(one.name) for one in alike[: limit.most + 1])
            noun, put = ("pin", "puts") if len(alike) == 1 else ("pins", "put")
            yield f"{noun} {names} {put} {len(alike)} of one {limit.by} where limit {limit.name!r} allows {limit.most}: remove one of them"
            return


def _campaigns_over(merchandising: Merchandising, limit: Limit) -> Iterator[str]:
    """Yield the campaigns that a limit leaves less than they ask for."""
    codes = merchandising.codes[limit.name]
    for campaign in merchandising.rules.campaign:
        items = merchandising.masks[campaign.name]
        whole = limit.first is None or limit.first >= campaign.first
        if not items.any() or not whole or not _together(merchandising, campaign, limit):
            continue
        held = codes[items]
        most = int((held < 0).sum()) + sum(min(limit.most, int(count)) for count in np.unique(held[held >= 0], return_counts=True)[1])
        wanted = min(campaign.at_least, int(items.sum()))
        if most < wanted:
            asked = f"campaign {campaign.name!r} asks for {campaign.at_least} places"
            yield f"{asked} where limit {limit.name!r} allows {most} of its items: lower the one or raise the other"


def notes(merchandising: Merchandising, moment: datetime) -> list[str]:
    """Return what rules do not do at present: those about no item, those that are over, limits that leave less than they are about."""
    rules, zone, said = merchandising.rules, merchandising.rules.time_zone, []
    size = len(merchandising.catalog)
    for kind, rule in rules.named():
        if rule.is_over(moment, zone):
            said.append(f"note: {kind} {rule.name!r} ended on {rule.between(zone)[1]:%Y-%m-%d %H:%M}: it changes nothing any more")
    for pin in rules.pin:
        if merchandising.pinned[pin.name] < 0:
            said.append(f"note: pin {pin.name!r} changes nothing: item {pin.item!r} is not in the catalogue of {counted(size, 'item')}")
    for name, mask in merchandising.masks.items():
        if not mask.any():
            said.append(f"note: {name!r} changes nothing: no item of the catalogue meets its conditions")
    return [*said, *(note for limit in rules.limit for note in _limit_notes(merchandising, limit)), *_margin_notes(merchandising)]


def _limit_notes(merchandising: Merchandising, limit: Limit) -> Iterator[str]:
    codes, size = merchandising.codes[limit.name], len(merchandising.catalog)
    if not (codes >= 0).any():
        value = limit.by if limit.value is None else f"{limit.by} {limit.value!r}"
        yield f"note: limit {limit.name!r} changes nothing: no item of the catalogue has the {value}"
        return
    left = int((codes < 0).sum()) + int(np.minimum(np.unique(codes[codes >= 0], return_counts=True)[1], limit.most).sum())
    wanted = min(limit.first or LIST, size)
    if left < wanted:
        yield f"note: limit {limit.name!r} leaves {counted(left, 'item')} for the first {wanted} places: lists end there"


def _margin_notes(merchandising: Merchandising) -> Iterator[str]:
    if merchandising.rules.objective.by != "expected_profit":
        return
    unknown, size = int(np.isnan(merchandising.known_margins).sum()), len(merchandising.catalog)
    if unknown == size:
        yield "note: no margin is known, so that probability alone orders the lists: ingest items.margin or set objective.margin"
    elif unknown:
        advice = "counts as the median of the others: set objective.margin for a share of the price"
        yield f"note: the margin of {unknown:,} of {counted(size, 'item')} is unknown, and {advice}"
