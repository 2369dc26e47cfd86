"""Renders answers for a terminal. Text of the shop is escaped: control characters and markup have no effect."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from features.data.prices import price_text
from features.text.plain import plain

if TYPE_CHECKING:
    from collections.abc import Iterable

    from recsys.apps.search.answers import Hit, SearchAnswer
    from recsys.cli.doctor import Check
    from recsys.recommend.answers import Answer, Matches, Recommendation

# Rich would cut lists in a pipe or a file to 80 columns.
_PIPE_WIDTH = 200
_FACET_VALUES = 5  # of a facet


def stdout(width: int = _PIPE_WIDTH) -> Console:
    """Return the console of answers; outside a terminal it is `width` columns wide."""
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=width)


def render_answer(answer: Answer, console: Console) -> None:
    """Print a table of recommendations below a line with the user and the bundle."""
    user = f"user {plain(answer.user_id)}" if answer.user_id is not None else "an unknown visitor"
    console.print(Text(f"For {user}, from bundle {answer.bundle_id}"))
    if answer.fallback:
        console.print(Text(f"Not personal: {plain(answer.fallback)}"))
    if not answer.items:
        console.print("Nothing to recommend: no item passes the rules.")
        return
    console.print(recommendations_table(answer.items))
    _print_contributions(answer.items, console)


def render_found(answer: SearchAnswer, console: Console) -> None:
    """Print how a query was read, a table of what it found, and how to narrow the list."""
    user = f", for user {plain(answer.user_id)}" if answer.user_id is not None else ""
    console.print(Text(f"Search for {plain(answer.query)}{user}, from bundle {answer.bundle_id}"))
    if answer.read_as and answer.read_as.casefold().split() != answer.query.casefold().split():
        console.print(Text(f"shown for: {plain(answer.read_as)}; typed: {plain(answer.query)}"))
    for one in answer.filters:
        state = "dropped, nothing that fits meets it" if one.relaxed else f"remove it with --ignore {shlex.quote(plain(one.key))}"
        console.print(Text(f"filter: {plain(one.label)}, read from {plain(one.words)!r}; {state}"))
    if answer.did_you_mean:
        console.print(Text(f"did you mean: {plain(answer.did_you_mean)}"))
    if answer.fallback:
        console.print(Text(f"Not what was asked for: {plain(answer.fallback)}"))
    for note in answer.notes:
        console.print(Text(f"note: {plain(note)}"))
    if not answer.items:
        console.print("Nothing found.")
        return
    table = _table()
    table.add_column("Why", overflow="fold", ratio=4)
    for item in answer.items:
        table.add_row(*_cells(item.rank, item.item_id, item.title, item.price), Text(_why(item)))
    console.print(table)
    _print_contributions(answer.items, console)
    facets = (
        f"{facet.label}: {', '.join(f'{plain(value)} ({count:,})' for value, count in facet.values[:_FACET_VALUES])}"
        for facet in answer.facets
        if facet.values
    )
    if narrow := "; ".join(facets):
        console.print(Text(f"narrow by {narrow}"))


def _print_contributions(items: Iterable[Recommendation | Hit], console: Console) -> None:
    """Print a line for each item whose contributions were asked for."""
    for item in items:
        if item.contributions:
            parts = ", ".join(f"{plain(name)} {value:+.2f}" for name, value in item.contributions)
            console.print(Text(f"{item.rank}. {parts}"))


def recommendations_table(items: Iterable[Recommendation]) -> Table:
    """Return a table of rank, item, title, price, probability and reason."""
    table = _table()
    table.add_column("Chance", justify="right", no_wrap=True)
    table.add_column("Why", overflow="fold", ratio=4)
    for item in items:
        table.add_row(
            *_cells(item.rank, item.item_id, item.title, item.price),
            "" if item.probability is None else f"{item.probability:.1%}",
            Text(_why(item)),
        )
    return table


def _why(item: Recommendation | Hit) -> str:
    return plain(item.reason if item.rule is None else f"{item.reason}; placed by the rule {item.rule!r}")


def render_matches(matches: Matches, console: Console) -> None:
    """Print a table of the items nearest to an item or a text."""
    console.print(Text(f"Nearest to {plain(matches.query)}, from bundle {matches.bundle_id}"))
    table = _table()
    table.add_column("Similarity", justify="right", no_wrap=True)
    for item in matches.items:
        table.add_row(*_cells(item.rank, item.item_id, item.title, item.price), f"{item.score:.3f}")
    console.print(table)


def render_checks(checks: Iterable[Check], console: Console) -> None:
    """Print a line per check of `recsys doctor`, with advice below those that are not ok."""
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    styles = {"ok": "green", "warn": "yellow", "fail": "bold red"}
    for check in checks:
        advice = f"\n-> {plain(check.advice)}" if check.advice else ""
        table.add_row(Text(check.status, styles[check.status]), check.name, Text(plain(check.found) + advice))
    console.print(table)


def _table() -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("#", justify="right", no_wrap=True)
    table.add_column("Item", overflow="fold")
    table.add_column("Title", overflow="fold", ratio=3)
    table.add_column("Price", justify="right", no_wrap=True)
    return table


def _cells(rank: int, item_id: str, title: str, price: float | None) -> tuple[str, Text, Text, str]:
    return str(rank), Text(plain(item_id)), Text(plain(title)), "" if price is None else price_text(price)
