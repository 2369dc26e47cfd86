"""Prints segments, customers, cohorts and movements."""

from __future__ import annotations

from functools import singledispatch

from rich.console import Console
from rich.table import Table
from rich.text import Text

from features.text.plain import plain
from recsys.apps.customers.answers import CohortsAnswer, CustomerAnswer, CustomersAnswer, MovementsAnswer, SegmentsAnswer

COHORT_MONTHS = 12


@singledispatch
def render(answer: object, console: Console, k: int) -> None:
    """Print an answer about customers; `k` is the most movements that are shown."""
    raise TypeError(f"{type(answer).__name__} is no answer about customers")


@render.register
def _(answer: SegmentsAnswer, console: Console, k: int) -> None:
    console.print(Text(f"{answer.customers:,} customers with purchases up to {answer.day}, from bundle {answer.bundle_id}"))
    table = _table("Segment", "Customers", "Share", "Paid in 364 days", "Buy in 28 days", "Spend in 90 days", "Rule")
    for one in answer.segments:
        figures = (f"{one.customers:,}", f"{one.share:.1%}", f"{one.spend:,.2f}", _share(one.chance_28), _money(one.spend_90))
        table.add_row(one.segment, *figures, one.rule)
    console.print(table)
    _notes(answer.notes, console)


@render.register
def _(answer: CustomersAnswer, console: Console, k: int) -> None:
    figures = answer.figures
    console.print(Text(f"{figures.segment}: {answer.found:,} customers on {answer.day}; {figures.rule}"))
    table = _table("Customer", "Last purchase", "Usual gap", "Days bought", "Paid", "Buy in 28 days", "Next purchase", "Spend in 90 days")
    for row in answer.customers:
        past = (f"{row.recency:,} days ago", f"{row.usual_gap:,.1f} days", f"{row.purchase_days:,}", f"{row.spend:,.2f}")
        table.add_row(Text(plain(row.user_id)), *past, _share(row.chance_28), row.next_purchase or "–", _money(row.spend_90))
    console.print(table)
    if answer.found > len(answer.customers):
        console.print(Text(f"and {answer.found - len(answer.customers):,} more: -k N shows more, --out FILE writes all"))
    _notes(answer.notes, console)


@render.register
def _(answer: CustomerAnswer, console: Console, k: int) -> None:
    row = answer.customer
    lines = [
        f"Customer {plain(row.user_id)}: {row.segment} ({answer.rule}), from bundle {answer.bundle_id}",
        f"bought on {row.purchase_days:,} days from {answer.first_purchase} to {answer.last_purchase}, usual gap {row.usual_gap:,.1f} days",
        f"paid {row.spend:,.2f}; in the last 28 days {row.spend_28:,.2f}, in the 28 before {row.spend_28_before:,.2f}",
    ]
    if row.chance_28 is not None:
        lines.append(f"buys within 28 days: {row.chance_28:.1%}")
    if row.spend_90 is not None and row.spend_90_low is not None and row.spend_90_high is not None:
        lines.append(f"expected spend in 90 days: {row.spend_90:,.2f}, 80% between {row.spend_90_low:,.2f} and {row.spend_90_high:,.2f}")
    if row.chance_28 is not None or row.next_purchase is not None:
        lines.append(f"expected next purchase: {row.next_purchase or 'none within 90 days'}")
    if answer.categories:
        shares = (f"{plain(one.category)} ({one.share:.0%}, {one.times_average:g} times the average)" for one in answer.categories)
        lines.append(f"buys more than others: {'; '.join(shares)}")
    if answer.examples:
        named = (f"{plain(one.title or one.item_id)} ({one.times:,} times)" for one in answer.examples)
        lines.append(f"such as: {'; '.join(named)}")
    if answer.new_categories:
        lines.append(f"new in the last 28 days: {'; '.join(map(plain, answer.new_categories))}")
    if answer.abandoned_categories:
        lines.append(f"no longer bought: {'; '.join(map(plain, answer.abandoned_categories))}")
    for line in lines:
        console.print(Text(line), soft_wrap=True)
    _notes(answer.notes, console)


@render.register
def _(answer: CohortsAnswer, console: Console, k: int) -> None:
    months = min(COHORT_MONTHS + 1, max((len(one.months) for one in answer.cohorts), default=0))
    console.print(Text(f"Customers by month of first purchase: the share that bought so many months later; the log ends on {answer.day}"))
    table = _table("First", "Customers", *(f"+{month}" for month in range(months)))
    for one in answer.cohorts:
        table.add_row(one.cohort, f"{one.customers:,}", *(f"{month.bought:.0%}" for month in one.months[:months]))
    console.print(table)
    if answer.earlier:
        console.print(Text(f"{answer.earlier:,} earlier cohorts are left out"))
    console.print(Text("--json has the spend as well"))


@render.register
def _(answer: MovementsAnswer, console: Console, k: int) -> None:
    for alert in answer.alerts:
        console.print(Text(alert))
    moved = sum(one.customers for one in answer.movements)
    console.print(Text(f"From {answer.since} to {answer.day}, {moved:,} customers moved and {answer.stayed:,} stayed where they were"))
    table = _table("From", "To", "Customers", "Of the former", "Paid in 364 days")
    for one in answer.movements[:k]:
        table.add_row(one.source, one.target, f"{one.customers:,}", f"{one.share:.1%}", f"{one.spend:,.2f}")
    console.print(table)
    if len(answer.movements) > k:
        console.print(Text(f"and {len(answer.movements) - k:,} more: -k N shows more"))
    _notes(answer.notes, console)


def _table(*headings: str) -> Table:
    table = Table(*headings, box=None, pad_edge=False, header_style="bold")
    for column in table.columns[1:]:
        if column.header not in ("To", "Rule", "Next purchase"):
            column.justify = "right"
    return table


def _notes(notes: tuple[str, ...], console: Console) -> None:
    for note in notes:
        console.print(Text(f"note: {note}"))


def _share(value: float | None) -> str:
    return "–" if value is None else f"{value:.1%}"


def _money(value: float | None) -> str:
    return "–" if value is None else f"{value:,.2f}"
