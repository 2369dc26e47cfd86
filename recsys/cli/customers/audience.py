"""Defines `recsys audience`: the customers who are most likely to buy a product."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from recsys.cli.options import Json, parse_out, state_of

if TYPE_CHECKING:
    from rich.console import Console

    from recsys.apps.customers.audience.answers import Audience

SHOWN = 20  # customers on the terminal; a file has all of them


def audience(
    context: typer.Context,
    item: Annotated[str | None, typer.Option(metavar="ID", help="For this item, sold or not.")] = None,
    category: Annotated[str | None, typer.Option(help="For anything of this category.")] = None,
    text: Annotated[str | None, typer.Option(help="For a product in words, such as one that is not in the catalogue yet.")] = None,
    k: Annotated[int, typer.Option("-k", min=1, metavar="N", help="Number of customers.")] = 100,
    budget: Annotated[float | None, typer.Option(metavar="B", help="At most as many letters as this pays for.")] = None,
    out: Annotated[
        Path | None, typer.Option(parser=parse_out, metavar="FILE", help="Where the list goes: .csv, .jsonl or .parquet.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Who is most likely to buy a product within 28 days.

    Give one of --item, --category and --text. Each customer with the calibrated chance and the reason, and how many of them will buy, with
    an 80% interval. Customers who have opted out, gave no consent, or have enough of the product are left out and counted.
    """
    if out and as_json:
        raise typer.BadParameter("--out and --json go one without the other: the one writes a file, the other prints", param_hint="--out")
    if sum(option is not None for option in (item, category, text)) != 1:
        raise typer.BadParameter("give one of --item, --category and --text", param_hint="--item")
    from recsys.apps.customers.audience.open import open_audience
    from recsys.apps.customers.audience.request import AudienceRequest
    from recsys.cli.render import stdout

    request = AudienceRequest(item, category, text, k, budget)
    state = state_of(context)
    found = open_audience(state.shop.recommender, state.workspace, state.settings).answer(request)
    if as_json:
        typer.echo(json.dumps(found.to_dict(), indent=2, allow_nan=False))
        return
    if out:
        from recsys.cli.list_files import write_audience

        rows = write_audience(found, out)
        for note in found.notes:
            typer.echo(f"note: {note}", err=True)
        typer.echo(f"{rows:,} customers in {out}; {told(found)}")
        for gap in found.exposure:
            typer.echo(gap.exposure("into the audience", found.exposure_limit))
        return
    render(found, stdout())


def told(found: Audience) -> str:
    """Return what is expected of the customers and who was left out, in one line."""
    left_out = "".join(f"; left out: {count:,} {reason}" for reason, count in found.left_out.items())
    if found.sales is None:
        return f"no chances are known{left_out}"
    sales = found.sales
    return f"{sales.expected:,.1f} of them will buy within {found.days} days (80% interval {sales.low:,} to {sales.high:,}){left_out}"


def render(found: Audience, console: Console) -> None:
    """Print a table of the best customers."""
    from rich.table import Table
    from rich.text import Text

    from features.text.plain import plain

    for note in found.notes:
        typer.echo(f"note: {note}", err=True)
    console.print(Text(f"For {plain(found.product)}, from bundle {found.bundle_id}"))
    console.print(Text(f"{len(found.members):,} of {found.customers:,} customers; {told(found)}"))
    for gap in found.exposure:
        console.print(Text(gap.exposure("into the audience", found.exposure_limit)))
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("#", "Customer", "Chance", "Why"):
        table.add_column(name, overflow="fold", justify="right" if name in ("#", "Chance") else "left")
    for one in found.members[:SHOWN]:
        chance = "" if one.probability is None else f"{one.probability:.1%}"
        table.add_row(str(one.rank), Text(plain(one.user_id)), chance, Text(plain(one.reason)))
    console.print(table)
    if len(found.members) > SHOWN:
        console.print(f"and {len(found.members) - SHOWN:,} more: --out FILE writes all")
