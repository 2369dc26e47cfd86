"""Defines `recsys reviews`: what customers say of an item, a brand, a category or the shop, and surges of complaints."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from recsys.cli.options import Json, state_of


def reviews(
    context: typer.Context,
    item: Annotated[str | None, typer.Option(metavar="ID", help="Of this item.")] = None,
    brand: Annotated[str | None, typer.Option(help="Of this brand.")] = None,
    category: Annotated[str | None, typer.Option(help="Of this category.")] = None,
    aspect: Annotated[str | None, typer.Option(help="Only this aspect, such as delivery.")] = None,
    alerts: Annotated[bool, typer.Option("--alerts", help="Surges of complaints that have not ended.")] = False,
    as_json: Json = False,
) -> None:
    """What customers praise and complain of.

    Without --item, --brand or --category, of the whole shop, with the categories, brands and items that are most complained of.
    """
    from recsys.apps.reviews.request import ReviewsRequest
    from recsys.cli.render import stdout
    from recsys.cli.render_reviews import render_alerts, render_reviews

    if sum(option is not None for option in (item, brand, category)) > 1:
        raise typer.BadParameter("give one of --item, --brand and --category", param_hint="--item")
    shop = state_of(context).shop
    if alerts:
        found = shop.review_alerts()
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
