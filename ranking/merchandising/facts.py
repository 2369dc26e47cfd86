"""The rules over one catalogue: which items each is about, by row, so that a list is arranged without a look at the catalogue."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from features.names import BRAND, CATEGORY, GROUP_ID, MARGIN
from ranking.merchandising.rules import ATTRIBUTE
from ranking.merchandising.selection import attribute_values

if TYPE_CHECKING:
    from datetime import datetime

    from features.data.catalog import Catalog
    from ranking.merchandising.place import Place
    from ranking.merchandising.rules import Campaign, Limit, MerchandisingRules

SALES_DAYS = 28  # of the sales against which stock is counted
WANTED = 50  # products of a campaign, the best sellers, that are candidates of every list


@dataclass(frozen=True)
class ActiveLimit:
    """At most `most` items of one code among the first `first` of a list; `codes`: int (n_items,), -1 for items without limit."""

    name: str
    codes: np.ndarray
    most: int
    first: int | None = None


@dataclass(frozen=True)
class ActiveCampaign:
    """At least `at_least` of the items of `mask`, bool (n_items,), among the first `first` of a list; `rows`: those to look for."""

    name: str
    mask: np.ndarray
    at_least: int
    first: int
    rows: np.ndarray


@dataclass(frozen=True)
class ActiveRules:
    """The rules that hold at one place and moment.

    Attributes
    ----------
    pins : position from 1 -> catalogue row and name of the rule.
    factors : name of a boost or bury, the items, bool (n_items,), and its factor.
    value : what the objective multiplies the probability of each item with, float (n_items,); None: with nothing.
    """

    pins: dict[int, tuple[int, str]] = field(default_factory=dict)
    factors: tuple[tuple[str, np.ndarray, float], ...] = ()
    limits: tuple[ActiveLimit, ...] = ()
    campaigns: tuple[ActiveCampaign, ...] = ()
    value: np.ndarray | None = None

    def __bool__(self) -> bool:
        """Whether any rule holds."""
        return bool(self.pins or self.factors or self.limits or self.campaigns or self.value is not None)

    def among(self, rows: np.ndarray) -> ActiveRules:
        """Return the rules with pins and campaigns for some catalogue rows alone."""
        pins = {position: pin for position, pin in self.pins.items() if pin[0] in rows}
        campaigns = []
        for one in self.campaigns:
            mask = np.zeros_like(one.mask)
            mask[rows] = one.mask[rows]
            campaigns.append(replace(one, mask=mask))
        return replace(self, pins=pins, campaigns=tuple(campaigns))

    @cached_property
    def wanted(self) -> np.ndarray:
        """Rows that the rules want to show, whether or not retrieval finds them: those pinned, and campaigns', int64 (n,)."""
        pinned = np.array([row for row, _ in self.pins.values()], dtype=np.int64)
        return np.unique(np.concatenate([pinned, *(one.rows for one in self.campaigns)]))


@dataclass(frozen=True)
class Merchandising:
    """The rules over the items of a catalogue.

    Attributes
    ----------
    prices, stock : current prices and pieces, float (n_items,), nan where unknown.
    buyers : buyers of each item in the last `SALES_DAYS` days, float (n_items,).
    """

    rules: MerchandisingRules
    catalog: Catalog
    prices: np.ndarray
    buyers: np.ndarray
    stock: np.ndarray

    @cached_property
    def by_numbers(self) -> bool:
        """Whether any rule reads prices, margins or stock, which change while a bundle is in use."""
        return not self.rules.objective.plain or any(one.by_numbers for one in (*self.rules.boost, *self.rules.bury, *self.rules.campaign))

    @cached_property
    def known_margins(self) -> np.ndarray:
        """Margin of one piece as the catalogue or the share of the objective says, float (n_items,); nan where neither does."""
        margins = self.catalog.frame[MARGIN].to_numpy().astype(float)
        share = self.rules.objective.margin
        return margins if share is None else np.where(np.isnan(margins), share * self.prices, margins)

    @cached_property
    def value(self) -> np.ndarray | None:
        """What the objective multiplies the probability of each item with, float (n_items,); None: with nothing."""
        objective = self.rules.objective
        if objective.plain:
            return None
        value = np.ones(len(self.catalog))
        if objective.by == "expected_profit":
            margins = self.known_margins
            usual = float(np.nanmedian(margins)) if not np.isnan(margins).all() else 1.0
            value = np.where(np.isnan(margins), usual, margins)
        if objective.stock_pressure:
            cover = self.stock * SALES_DAYS / np.maximum(self.buyers, 1)
            excess = np.clip(np.nan_to_num(cover) / objective.cover_days - 1, 0, 1)
            pressure = 1 + objective.stock_pressure * excess
            value = np.where(value >= 0, value * pressure, value / pressure)
        return value

    @cached_property
    def pinned(self) -> dict[str, int]:
        """Name of a pin -> row of its item, -1 where the catalogue lacks it."""
        ids = [self.catalog.spelt(pin.item) for pin in self.rules.pin]
        return dict(zip((pin.name for pin in self.rules.pin), self.catalog.rows(ids).tolist(), strict=True))

    @cached_property
    def masks(self) -> dict[str, np.ndarray]:
        """Name of a boost, bury or campaign -> its items, bool (n_items,)."""
        rules = (*self.rules.boost, *self.rules.bury, *self.rules.campaign)
        return {rule.name: rule.mask(self.catalog, self.known_margins) for rule in rules}

    @cached_property
    def codes(self) -> dict[str, np.ndarray]:
        """Name of a limit -> code of each item's kind, int64 (n_items,); -1 for items that it does not limit."""
        return {limit.name: self._codes(limit) for limit in self.rules.limit}

    def _codes(self, limit: Limit) -> np.ndarray:
        column = {"brand": BRAND, "category": CATEGORY, "group": GROUP_ID}.get(limit.by)
        frame = self.catalog.frame
        values = attribute_values(frame, limit.by.removeprefix(ATTRIBUTE)) if column is None else frame[column]
        if limit.by != "group":
            values = values.str.strip_chars().str.to_lowercase()
        if limit.value is None:
            return (values.rank("dense").cast(pl.Int64) - 1).fill_null(-1).to_numpy()
        wanted = limit.value if limit.by == "group" else limit.value.strip().lower()
        held = values == wanted
        if limit.by == "category":  # and what lies below it, or has it as one of its names
            names = values.str.split("|").list.eval(pl.element().str.strip_chars())
            held = held | values.str.starts_with(f"{wanted}|") | names.list.contains(wanted)
        return np.where(held.fill_null(value=False).to_numpy(), 0, -1)

    def _campaign(self, rule: Campaign) -> ActiveCampaign:
        rows = np.flatnonzero(self.masks[rule.name])
        best = rows[np.argsort(-self.buyers[rows], kind="stable")[:WANTED]]
        return ActiveCampaign(rule.name, self.masks[rule.name], rule.at_least, rule.first, best)

    def asked_for(self, place: Place, moment: datetime) -> np.ndarray:
        """Return the rows that rules for the searched text itself want to show, int64 (n,); other rules show what a search finds."""
        bound = self.rules.model_copy(
            update={kind: tuple(one for one in getattr(self.rules, kind) if one.where.queries) for kind in ("pin", "campaign")}
        )
        return replace(self, rules=bound).at(place, moment).wanted if bound.pin or bound.campaign else np.zeros(0, dtype=np.int64)

    def at(self, place: Place, moment: datetime) -> ActiveRules:
        """Return the rules that hold at a place and a moment, which has a zone."""
        rules, zone = self.rules, self.rules.time_zone
        active = {rule.name for _, rule in rules.named() if rule.where.holds(place) and rule.holds(moment, zone)}
        pins = {pin.position: (self.pinned[pin.name], pin.name) for pin in rules.pin if pin.name in active and self.pinned[pin.name] >= 0}
        return ActiveRules(
            pins=pins,
            factors=tuple((one.name, self.masks[one.name], one.factor) for one in (*rules.boost, *rules.bury) if one.name in active),
            limits=tuple(ActiveLimit(one.name, self.codes[one.name], one.most, one.first) for one in rules.limit if one.name in active),
            campaigns=tuple(self._campaign(one) for one in rules.campaign if one.name in active),
            value=self.value if rules.objective.where.holds(place) else None,
        )
