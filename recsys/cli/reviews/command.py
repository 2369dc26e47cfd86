"""Defines `recsys reviews`: what customers say of an item, a brand, a category or the shop, and surges of complaints."""

from __future__ import annotations

import json
import logging
from typing import Annotated

import typer

from recsys.cli.options import Json, State, state_of

_log = logging.getLogger(__name__)


def reviews(
    context: typer.Context,
    item: Annotated[str | None, typer.Option(metavar="ID", help="Of this item.")] = None,
    brand: Annotated[str | None, typer.Option(help="Of this brand.")] = None,
    category: Annotated[str | None, typer.Option(help="Of this category.")] = None,
    aspect: Annotated[str | None, typer.Option(help="Only this aspect, such as delivery.")] = None,
    alerts: Annotated[bool, typer.Option("--alerts", help="Surges of complaints that have not ended.")] = False,
    searches: Annotated[
        bool, typer.Option("--searches", help="What customers search for, or ask the assistant, and do not find, by topic.")
    ] = False,
    propose_terms: Annotated[
        bool, typer.Option("--propose-terms", help="Terms that reviews have and the list of aspects lacks, to put into the list by hand.")
    ] = False,
    as_json: Json = False,
) -> None:
    """What customers praise and complain of, and what they search for in vain.

    Without --item, --brand or --category, of the whole shop, with the categories, brands and items that are most complained of.
    """
    from recsys.apps.reviews.request import ReviewsRequest
    from recsys.cli.render import stdout
    from recsys.cli.reviews.render import render_reviews

    views = {"--alerts": (alerts, _alerts), "--searches": (searches, _searches), "--propose-terms": (propose_terms, _proposals)}
    for alone, (asked, view) in views.items():
        if asked:
            others = [name for name in views if name != alone]
            if any(views[name][0] for name in others) or any(option is not None for option in (item, brand, category, aspect)):
                without = f"goes without --item, --brand, --category, --aspect, {' and '.join(others)}"
                raise typer.BadParameter(without, param_hint=alone)
            view(state_of(context), as_json=as_json)
            return
    if sum(option is not None for option in (item, brand, category)) > 1:
        raise typer.BadParameter("give one of --item, --brand and --category", param_hint="--item")
    answer = state_of(context).shop.reviews.answer(ReviewsRequest(item, brand, category, aspect))
    if as_json:
        typer.echo(json.dumps(answer.to_dict(), indent=2, allow_nan=False))
    else:
        render_reviews(answer, stdout())


def _alerts(state: State, *, as_json: bool) -> None:
    """Print the surges of complaints."""
    from recsys.cli.render import stdout
    from recsys.cli.reviews.render import render_alerts

    reader = state.shop.reviews
    found = reader.alerts() if len(reader.scored) else []
    if not reader.watched:
        _log.warning("no refresh has looked for surges of complaints yet: run `recsys refresh`")
    if as_json:
        typer.echo(json.dumps([alert.to_dict() for alert in found], indent=2, allow_nan=False))
    elif found or reader.watched:
        render_alerts(found, stdout())


def _searches(state: State, *, as_json: bool) -> None:
    """Print the failed searches, and the messages without an answer, by topic."""
    from features.ingest.table_store import load_optional
    from recsys.apps.search.topics import NO_SEARCHES, message_topics, search_topics
    from recsys.cli.render import stdout
    from recsys.cli.reviews.render import render_topics

    shop = state.shop
    searcher, aspects = shop.searcher, shop.settings.reviews.read_aspects()
    messages = message_topics(searcher, aspects, shop.workspace.conversations)
    log = load_optional(shop.workspace.data, "queries")
    found = NO_SEARCHES if log is None and messages.failed else search_topics(searcher, aspects, log)
    if as_json:
        typer.echo(json.dumps(found.to_dict() | {"messages": messages.to_dict()}, indent=2, allow_nan=False))
    else:
        render_topics(found, messages, stdout())


def _proposals(state: State, *, as_json: bool) -> None:
    """Print terms for the list of aspects."""
    from recsys.apps.reviews.proposals import propose
    from recsys.cli.render import stdout
    from recsys.cli.reviews.render import render_proposals

    found = propose(state.workspace, state.settings)
    if as_json:
        typer.echo(json.dumps(found.to_dict(), indent=2, allow_nan=False))
    else:
        render_proposals(found, stdout())
