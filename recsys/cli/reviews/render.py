"""Prints what reviews say, alerts, failed searches by topic, and proposed terms."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from eval.metrics.search_topics import TOPIC
from eval.metrics.searches import NO_RESULTS, REFORMULATED
from features.text.plain import counted, plain

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rich.console import Console

    from eval.metrics.search_topics import FailedSearches
    from recsys.apps.reviews.answers import Quote, ReviewAlert, ReviewFigures, ReviewsAnswer
    from recsys.apps.reviews.proposals import ProposedTerms

SHOWN = 20  # topics of a kind
_TRENDS = {"rising": "better", "falling": "worse", "steady": "steady", None: ""}


def render_reviews(answer: ReviewsAnswer, console: Console) -> None:
    """Print the figures, a table of aspects, and the parts that stand out."""
    figures = answer.figures
    name = "the shop" if figures.level == "shop" else f"{figures.level} {plain(figures.name)}"
    title = f", {plain(figures.title)}" if figures.level == "item" else ""
    console.print(Text(f"Reviews of {name}{title}, from bundle {answer.bundle_id}"))
    console.print(Text(_line(figures)))
    for reason, count in figures.left_out.items():
        console.print(Text(f"left out: {count:,}, {reason}"))
    if figures.unread:
        console.print(Text(f"without sentiment: {figures.unread:,}, no words or a language that is not read"))
    _aspects(figures, console)
    _parts(answer, console)


def render_alerts(alerts: Sequence[ReviewAlert], console: Console) -> None:
    """Print the alerts, a sentence each with its quotes."""
    if not alerts:
        console.print("No surge of complaints.")
    for alert in alerts:
        console.print(Text(plain(alert.sentence)))
        for quote in alert.quotes:
            console.print(Text(f"  {_quoted(quote)}"))


def render_topics(found: FailedSearches, messages: FailedSearches, console: Console) -> None:
    """Print a table for each kind of topic, of searches and of messages to the assistant; what it leaves out is said."""
    if found.searches:
        why = "without results, without a click, or put in other words soon"
        console.print(Text(f"{found.failed:,} of {found.searches:,} searches failed: {why}"))
        counts = {"failed": "Failed", NO_RESULTS: "No results", REFORMULATED: "Other words", "users": "Customers"}
        _topics(found, ("failed searches", "queries"), counts, console)
    else:
        console.print("There is no search log.")
    if messages.searches:
        console.print(Text(f"{messages.failed:,} of {messages.searches:,} messages to the assistant have no answer"))
    if messages.failed:
        _topics(messages, ("messages", "questions"), {"failed": "Messages", "users": "Conversations"}, console)


def _topics(found: FailedSearches, nouns: tuple[str, str], columns: Mapping[str, str], console: Console) -> None:
    of, queries = nouns
    if found.sorted_in < found.failed:
        console.print(Text(f"by topic: {found.sorted_in:,} {of}, those of the {found.queries:,} {queries} that failed most often"))
    for kind, topics in found.topics.items():
        if topics.is_empty():
            console.print(Text(f"{kind}: none of these {queries} names one"))
            continue
        table = Table(kind.capitalize(), *columns.values(), "Such as", box=None, pad_edge=False)
        for row in topics.head(SHOWN).iter_rows(named=True):
            counts = [f"{row[name]:,}" if row[name] is not None else "" for name in columns]
            table.add_row(plain(row[TOPIC]), *counts, Text(plain(", ".join(row["examples"]))))
        console.print(table)
        if topics.height > SHOWN:
            console.print(Text(f"and {topics.height - SHOWN:,} more: --json has all"))


def render_proposals(found: ProposedTerms, console: Console) -> None:
    """Print a table of the terms, and the lines of TOML that accept them."""
    console.print(Text(f"{counted(found.sentences, 'sentence')} of {counted(found.reviews, 'review')}"))
    if found.left_out:
        console.print(Text(f"left out: {found.left_out:,}, which count in no figure, such as copies"))
    if found.unread:
        console.print(Text(f"left out: {found.unread:,}, no words or a language that is not read"))
    if not found.terms:
        console.print(Text(found.why_none))
        return
    table = Table("Aspect", "Term", "Reviews", "Such as", box=None, pad_edge=False, header_style="bold")
    for term in found.terms:
        table.add_row(Text(plain(term.aspect)), term.term, f"{term.reviews:,}", Text(f"“{plain(term.example)}”"))
    console.print(table)
    where = found.file or "a file that reviews.aspects in recsys.toml names"
    console.print(Text(f"The list is unchanged. Put into {where} what is right, then run `recsys build-index`:\n"), soft_wrap=True)
    console.print(Text(found.toml), soft_wrap=True)


def _line(figures: ReviewFigures) -> str:
    parts = [f"{figures.reviews:,} reviews"]
    if figures.rating is not None:
        parts.append(f"mean rating {figures.rating:.1f} of 5")
    if figures.positive is not None and figures.negative is not None:
        parts.append(f"{figures.positive:.0%} positive, {figures.negative:.0%} negative")
    return "; ".join(parts)


def _aspects(figures: ReviewFigures, console: Console) -> None:
    if not figures.aspects:
        console.print("No review mentions an aspect of the list.")
        return
    table = Table("Aspect", "Mentions", "Positive", "Trend", "Quotes", box=None, pad_edge=False, header_style="bold")
    for one in figures.aspects:
        quotes = "\n".join(_quoted(quote) for quote in one.quotes)
        table.add_row(plain(one.aspect), f"{one.mentions:,}", f"{one.positive:.0%}", _TRENDS[one.trend], Text(quotes))
    console.print(table)


def _parts(answer: ReviewsAnswer, console: Console) -> None:
    if not answer.parts:
        return
    if answer.aspect is not None:
        table = Table(
            f"Most complained of for {plain(answer.aspect)}", "", "Mentions", "Negative", box=None, pad_edge=False, header_style="bold"
        )
        for part in answer.parts:
            (one,) = part.aspects
            table.add_row(part.level, plain(part.title), f"{one.mentions:,}", f"{one.negative:.0%}")
        console.print(table)
        return
    table = Table("Most complained of", "", "Reviews", "Negative", "About", box=None, pad_edge=False, header_style="bold")
    for part in answer.parts:
        worst = sorted(part.aspects, key=lambda one: -one.negative * one.mentions)[:3]
        about = ", ".join(plain(one.aspect) for one in worst if one.negative)
        table.add_row(part.level, plain(part.title), f"{part.reviews:,}", f"{part.negative or 0:.0%}", about)
    console.print(table)


def _quoted(quote: Quote) -> str:
    sign = {"positive": "+", "negative": "-"}.get(quote.sentiment, "·")
    return f"{sign} “{plain(quote.text)}” ({', '.join(filter(None, [quote.date, f'row {quote.row}']))})"
