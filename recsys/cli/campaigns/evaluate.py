"""Defines `recsys campaign evaluate`: what a campaign brought."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from recsys.cli.options import Json, state_of


def evaluate(
    context: typer.Context,
    name: Annotated[str, typer.Option("--campaign", metavar="ID", help="Of the ingested campaigns.")],
    holdout: Annotated[
        float | None, typer.Option(metavar="0..1", help="The planned share of its holdout.  [default: campaigns.holdout]")
    ] = None,
    as_json: Json = False,
) -> None:
    """What a campaign brought: those who were written to against its holdout.

    Purchases and spend in the days after sending, lift, cost and profit with intervals, by group. Without a holdout, responses alone.
    """
    from recsys.apps.campaigns.outcome import campaign_outcome

    state = state_of(context)
    found = campaign_outcome(state.workspace, state.settings, name, holdout)
    if as_json:
        typer.echo(json.dumps(found.to_dict(), indent=2, allow_nan=False))
        return
    for line in found.lines():
        typer.echo(line)
