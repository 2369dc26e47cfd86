"""Defines `recsys reviews`: what customers say of an item, a brand, a category or the shop, and surges of complaints."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from recsys.cli.options import Json, State, state_of


def reviews(
    context: typer.Context,
    item: Annotated[str | None, typer.Option(metavar="ID", help="Of this item.")] = None,
    brand: Annotated[str | None, typer.Option(help="Of this brand.")] = None,
    category: Annotated[str | None, typer.Option(help="Of this category.")] = None,
    aspect: Annotated[str | None, typer.Option(help="Only this aspect, such as delivery.")] = None,
    alerts: Annotated[bool, typer.Option("--alerts", help="Surges of complaints that have not ended.")] = False,
    searches: Annotated[bool, typer.Option("--searches", help="What customers search for and do not find, by topic.")] = False,
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
    from recsys.cli.reviews.render import render_alerts, render_reviews

    if searches or propose_terms:
        alone, others = ("--searches", "--propose-terms") if searches else ("--propose-terms", "--searches")
        if alerts or searches == propose_terms or any(option is not None for option in (item, brand, category, aspect)):
            raise typer.BadParameter(f"goes without --item, --brand, --category, --aspect, --alerts and {others}", param_hint=alone)
        (_searches if searches else _proposals)(state_of(context), as_json=as_json)
        return
    if sum(option is not None for option in (item, brand, category)) > 1:
        raise typer.BadParameter("give one of --item, --brand and --category", param_hint="--item")
    shop = state_of(context).shop
    if alerts:
        found = shop.reviews.alerts()
        if as_json:
            typer.echo(json.dumps([alert.to_dict() for alert in found], indent=2, allow_nan=False))
        else:
            render_alerts(found, stdout())
        return
    answer = shop.reviews.answer(ReviewsRequest(item, brand, category, aspect))
    if as_json:
        typer.echo(json.dumps(answer.to_dict(), indent=2, allow_nan=False))
    else:
        render_reviews(answer, stdout())


def _searches(state: State, *, as_json: bool) -> None:
    """Print the failed searches by topic."""
    from features.ingest.table_store import load_optional
    from recsys.apps.search.topics import search_topics
    from recsys.cli.render import stdout
    from recsys.cli.reviews.render import render_topics

    shop = state.shop
    found = search_topics(shop.searcher, shop.settings.reviews.read_aspects(), load_optional(shop.workspace.data, "queries"))
    if as_json:
        typer.echo(json.dumps(found.to_dict(), indent=2, allow_nan=False))
    else:
        render_topics(found, stdout())


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
