"""Defines the query parameters and answers about customers; docs/json.md describes the keys."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from recsys.service.schemas import Answered, K, Name


class CustomersQuery(BaseModel):
    """Asks for the segments of the shop, or for the customers of one."""

    model_config = ConfigDict(extra="forbid")

    segment: Name | None = Field(default=None, description="a name of a segment, such as drifting-away; without it, the segments")
    k: K = 10


class CustomerSegment(BaseModel):
    """A segment of the shop."""

    segment: str = Field(examples=["drifting away"])
    rule: str = Field(examples=["no purchase for more than 2.68 usual gaps"])
    customers: int = Field(examples=[219])
    share: float = Field(examples=[0.0887])
    spend: float = Field(examples=[372220.26], description="paid by them in the last 364 days")
    chance_28: float | None = Field(examples=[0.55], description="mean chance of buying within 28 days")
    spend_90: float | None = Field(examples=[21000.5], description="expected within 90 days, of all together")


class Segments(Answered):
    """The segments of the shop on the last day of its log."""

    day: str = Field(examples=["2026-11-22"])
    customers: int = Field(examples=[2469])
    segments: list[CustomerSegment]
    notes: list[str]


class CustomerSummary(BaseModel):
    """What is known and expected of a customer."""

    user_id: str = Field(examples=["123"])
    segment: str = Field(examples=["drifting away"])
    recency: int = Field(examples=[41], description="days since the last purchase")
    usual_gap: float = Field(examples=[12.5], description="days between purchase days")
    purchase_days: int = Field(examples=[28])
    spend: float = Field(examples=[1204.5])
    spend_28: float = Field(examples=[0.0])
    spend_28_before: float = Field(examples=[48.2])
    chance_28: float | None = Field(examples=[0.55], description="chance of buying within 28 days")
    next_purchase: str | None = Field(examples=["2026-12-09"], description="null: none is expected within 90 days")
    spend_90: float | None = Field(examples=[96.4], description="expected within 90 days")
    spend_90_low: float | None = Field(examples=[0.0], description="end of the 80% interval")
    spend_90_high: float | None = Field(examples=[210.0], description="end of the 80% interval")


class SegmentCustomers(Answered):
    """The customers of a segment, the largest expected spend first."""

    day: str = Field(examples=["2026-11-22"])
    segment: str = Field(examples=["drifting away"])
    rule: str
    share: float = Field(examples=[0.0887])
    spend: float = Field(examples=[372220.26])
    chance_28: float | None = Field(examples=[0.55])
    spend_90: float | None = Field(examples=[21000.5])
    found: int = Field(examples=[219], description="customers of the segment")
    customers: list[CustomerSummary]
    notes: list[str]


class TasteRow(BaseModel):
    """A category that the customer buys more than others do."""

    category: str = Field(examples=["tea"])
    share: float = Field(examples=[0.4])
    times_average: float = Field(examples=[3.2])


class ExampleRow(BaseModel):
    """An item that the customer buys."""

    item_id: str = Field(examples=["sku-07"])
    title: str | None = Field(examples=["Green tea"])
    times: int = Field(examples=[6])


class Customer(Answered, CustomerSummary):
    """One customer."""

    rule: str
    first_purchase: str = Field(examples=["2025-11-30"])
    last_purchase: str = Field(examples=["2026-10-12"])
    categories: list[TasteRow]
    examples: list[ExampleRow]
    new_categories: list[str] = Field(description="bought in the last 28 days and never before")
    abandoned_categories: list[str] = Field(description="bought regularly, and not lately")
    notes: list[str]


class CohortMonthRow(BaseModel):
    """A month of a cohort; 0 is that of the first purchase."""

    months_since: int = Field(examples=[1])
    bought: float = Field(examples=[0.62], description="share of the cohort")
    spend: float = Field(examples=[410.2], description="of all of them together")


class CohortRow(BaseModel):
    """The customers whose first purchase was in a month."""

    cohort: str = Field(examples=["2026-11"])
    customers: int = Field(examples=[6])
    months: list[CohortMonthRow]


class Cohorts(Answered):
    """Cohorts by month, the oldest first."""

    day: str = Field(examples=["2026-11-22"], description="last day of the log: its month is not over")
    earlier: int = Field(examples=[0], description="cohorts before those that are listed")
    cohorts: list[CohortRow]


class MovementRow(BaseModel):
    """Customers who moved from one segment to another."""

    model_config = ConfigDict(populate_by_name=True)

    source: str = Field(alias="from", examples=["loyal"])
    to: str = Field(examples=["drifting away"])
    customers: int = Field(examples=[46])
    share: float = Field(examples=[0.0762], description="of those who were in `from`")
    spend: float = Field(examples=[110206.58], description="paid by them in the last 364 days")


class Movements(Answered):
    """Movements between segments by the rules of the later day, those with the most customers first."""

    since: str = Field(examples=["2026-10-25"])
    day: str = Field(examples=["2026-11-22"])
    stayed: int = Field(examples=[2105], description="customers who are in the segment that they were in")
    movements: list[MovementRow]
    alerts: list[str]
    notes: list[str]
