"""What is answered about customers."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class SegmentFigures:
    """A segment of the shop.

    Attributes
    ----------
    segment, rule : its name, and the rule as a sentence.
    customers, share : how many it has.
    spend : paid by them in the last 364 days.
    chance_28 : their mean chance of buying within 28 days; None where it is not predicted, as in an empty segment.
    spend_90 : their expected spend within 90 days, of all together; None where it is not predicted.
    """

    segment: str
    rule: str
    customers: int
    share: float
    spend: float
    chance_28: float | None
    spend_90: float | None


@dataclass(frozen=True)
class CustomerRow:
    """A customer in a list.

    Attributes
    ----------
    recency, usual_gap : days since the last purchase, and the customer's usual gap between purchase days.
    purchase_days, spend : ever.
    spend_28, spend_28_before : paid in the last 28 days and in the 28 days before.
    chance_28 : of buying within 28 days.
    next_purchase : expected day, YYYY-MM-DD; None if none is expected within 90 days, or nothing is predicted.
    spend_90, spend_90_low, spend_90_high : expected within 90 days, and the ends of the 80% interval.
    """

    user_id: str
    segment: str
    recency: int
    usual_gap: float
    purchase_days: int
    spend: float
    spend_28: float
    spend_28_before: float
    chance_28: float | None
    next_purchase: str | None
    spend_90: float | None
    spend_90_low: float | None
    spend_90_high: float | None


@dataclass(frozen=True)
class TasteCategory:
    """A category of a customer's taste: its share of the purchases, and how many times the shop's average that is."""

    category: str
    share: float
    times_average: float


@dataclass(frozen=True)
class Example:
    """An item that a customer buys, and how many times."""

    item_id: str
    title: str | None
    times: int


@dataclass(frozen=True)
class CustomerAnswer:
    """One customer.

    Attributes
    ----------
    rule : of the segment, as a sentence.
    first_purchase, last_purchase : days, YYYY-MM-DD.
    categories, examples : the taste.
    new_categories : bought in the last 28 days and never before.
    abandoned_categories : bought regularly, and not lately.
    notes : what is not predicted and why.
    """

    bundle_id: str
    customer: CustomerRow
    rule: str
    first_purchase: str
    last_purchase: str
    categories: tuple[TasteCategory, ...]
    examples: tuple[Example, ...]
    new_categories: tuple[str, ...]
    abandoned_categories: tuple[str, ...]
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """The stable form of `--json`."""
        content = asdict(self)
        return {"bundle_id": content.pop("bundle_id"), **content.pop("customer"), **content}


@dataclass(frozen=True)
class SegmentsAnswer:
    """The segments of the shop on a day, YYYY-MM-DD, the last one of its log."""

    bundle_id: str
    day: str
    customers: int
    segments: tuple[SegmentFigures, ...]
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """The stable form of `--json`."""
        return asdict(self)


@dataclass(frozen=True)
class CustomersAnswer:
    """Customers of a segment, those with the largest expected spend first; `found` counts all of them."""

    bundle_id: str
    day: str
    figures: SegmentFigures
    found: int
    customers: tuple[CustomerRow, ...]
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """The stable form of `--json`."""
        content = asdict(self)
        return {"bundle_id": content.pop("bundle_id"), "day": content.pop("day"), **_named(content.pop("figures")), **content}


@dataclass(frozen=True)
class CohortMonth:
    """A month of a cohort: how many months after the first purchase, the share that bought, and their spend."""

    months_since: int
    bought: float
    spend: float


@dataclass(frozen=True)
class Cohort:
    """Customers whose first purchase was in a month, YYYY-MM."""

    cohort: str
    customers: int
    months: tuple[CohortMonth, ...]


@dataclass(frozen=True)
class CohortsAnswer:
    """Cohorts by month, the oldest first.

    Attributes
    ----------
    day : last day of the log: its month is not over.
    earlier : cohorts before those that are listed.
    """

    bundle_id: str
    day: str
    earlier: int
    cohorts: tuple[Cohort, ...]

    def to_dict(self) -> dict[str, Any]:
        """The stable form of `--json`."""
        return asdict(self)


@dataclass(frozen=True)
class Movement:
    """Customers who moved from one segment to another: how many, their share of the former, what they paid in the last 364 days."""

    source: str
    target: str
    customers: int
    share: float
    spend: float


@dataclass(frozen=True)
class MovementsAnswer:
    """Movements between two days by the rules of the later one.

    Attributes
    ----------
    since : the day of the refresh before; 28 days ago where there was none.
    stayed : customers who are in the segment that they were in.
    movements : those with the most customers first.
    alerts : news of those who drift away that have not ended, a sentence each.
    """

    bundle_id: str
    since: str
    day: str
    stayed: int
    movements: tuple[Movement, ...]
    alerts: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """The stable form of `--json`."""
        content = asdict(self)
        moved = [{"from": one.pop("source"), "to": one.pop("target"), **one} for one in content["movements"]]
        return content | {"movements": moved}


Answer = SegmentsAnswer | CustomersAnswer | CustomerAnswer | CohortsAnswer | MovementsAnswer


def _named(figures: dict[str, Any]) -> dict[str, Any]:
    """Return the figures of a segment beside a list of its customers."""
    figures.pop("customers")
    return figures
