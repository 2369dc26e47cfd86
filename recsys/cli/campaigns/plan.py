"""Defines `recsys campaign plan`: who gets which offer under a budget."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from recsys.cli.options import Json, parse_moment, parse_out, state_of


def plan(
    context: typer.Context,
    offers: Annotated[Path, typer.Option(metavar="FILE", help="The offers: .toml or .csv.")],
    budget: Annotated[float, typer.Option(metavar="B", help="Of sending and of discounts together, as expected.")],
    holdout: Annotated[
        float | None,
        typer.Option(metavar="0..1", help="Share of the chosen who are not written to, drawn by chance.  [default: campaigns.holdout]"),
    ] = None,
    contacts: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Only customers who were written to less often.  [default: campaigns.contacts]")
    ] = None,
    within: Annotated[
        int | None, typer.Option(min=1, metavar="DAYS", help="Within so many days.  [default: campaigns.within_days]")
    ] = None,
    min_group: Annotated[int, typer.Option(min=1, metavar="N", help="An offer goes to so many customers at least, or to nobody.")] = 1,
    name: Annotated[str, typer.Option("--campaign", metavar="ID", help="Its name.  [default: by the day of sending]")] = "",
    send_at: Annotated[
        datetime | None,
        typer.Option("--send-at", parser=parse_moment, metavar="DATE", help="When it is sent.  [default: the day after the log ends]"),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, metavar="N", help="The same seed and data make the same plan on one machine.")] = 0,
    out: Annotated[
        Path | None, typer.Option(parser=parse_out, metavar="FILE", help="Where the plan goes: .csv, .jsonl or .parquet.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Who gets which offer: the highest expected profit within the budget and all limits.

    A holdout is drawn by default, or nobody could tell later what the campaign brought. After sending, fill redeemed_at in the file of
    --out and ingest it as campaigns.
    """
    from recsys.apps.campaigns.planning.offers import read_offers
    from recsys.apps.campaigns.planning.plan import plan_campaign
    from recsys.apps.campaigns.planning.request import PlanRequest

    state = state_of(context)
    share = state.settings.campaigns.holdout if holdout is None else holdout
    request = PlanRequest(
        tuple(read_offers(offers, state.workspace.load_catalog())),
        budget,
        share,
        name,
        contacts,
        within,
        min_group=min_group,
        send_at=send_at,
        seed=seed,
    )
    found = plan_campaign(state.workspace, state.settings, request)
    if out is not None:
        from recsys.apps.campaigns.planning.plan_file import write_plan

        write_plan(found.frame, out)
    if as_json:
        typer.echo(json.dumps(found.report.to_dict(), indent=2, allow_nan=False))
        return
    for line in found.report.lines():
        typer.echo(line)
    typer.echo(
        f"the plan is in {out}" if out is not None else "note: the plan is not kept: name a file with --out to send and to ingest it"
    )
