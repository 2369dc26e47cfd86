"""Defines `recsys campaign copy`: texts of a campaign, and the shares of their variants from what came of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from recsys.cli.options import Json, state_of

if TYPE_CHECKING:
    from rich.console import Console

    from recsys.apps.campaigns.copy.answers import Copy
    from recsys.apps.campaigns.copy.results import VariantTest


def copy(
    context: typer.Context,
    item: Annotated[str | None, typer.Option(metavar="ID", help="The product.")] = None,
    offer: Annotated[str | None, typer.Option(metavar="TEXT", help='What is offered, such as "10% off all teas".')] = None,
    segment: Annotated[str | None, typer.Option(help="The segment of customers, as in `recsys customers`.")] = None,
    language: Annotated[str, typer.Option(help="en, de, fr, es or zh.")] = "en",
    channel: Annotated[str | None, typer.Option(help="email, push or sms.  [default: all]")] = None,
    results: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="What came of variants: columns variant, clicked and share, a row a letter, oldest first."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Subject, text, push and SMS from what the catalogue and the reviews say of a product.

    Each variant names the facts that it states. With --results FILE: the share that each variant gets next, and whether one has won.
    """
    from recsys.cli.render import stdout

    if results is not None:
        if any(option is not None for option in (item, offer, segment, channel)):
            raise typer.BadParameter("goes without --item, --offer, --segment and --channel", param_hint="--results")
        from recsys.apps.campaigns.copy.results import read_results

        test = read_results(results)
        typer.echo(json.dumps(test.to_dict(), indent=2, allow_nan=False)) if as_json else _render_results(test, stdout())
        return
    from recsys.apps.campaigns.copy.open import open_copy
    from recsys.apps.campaigns.copy.request import CopyRequest

    request, state = CopyRequest(item, offer, segment, language, channel), state_of(context)
    # An offer alone needs no bundle.
    found = open_copy(state.settings).write(request, None if item is None else state.shop.recommender)
    if as_json:
        typer.echo(json.dumps(found.to_dict(), indent=2, allow_nan=False, ensure_ascii=False))
    else:
        _render(found, stdout())


def _render(found: Copy, console: Console) -> None:
    from rich.text import Text

    from features.text.plain import plain

    for note in found.notes:
        typer.echo(f"note: {note}", err=True)
    for one in found.variants:
        facts = ", ".join(f"{fact.name} ({fact.source})" for fact in one.facts)
        console.print(Text(f"{one.name} ({len(one.text)} characters): {plain(one.text)}"))
        console.print(Text(f"  from {facts}{'; reworded by the language model' if one.reworded else ''}"))


def _render_results(test: VariantTest, console: Console) -> None:
    from rich.table import Table
    from rich.text import Text

    from features.text.plain import plain

    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("Variant", "Sent", "Clicked", "Rate", "Next share"):
        table.add_column(name, justify="left" if name == "Variant" else "right")
    for one in test.variants:
        table.add_row(
            Text(plain(one.name)), f"{one.sent:,}", f"{one.clicked:,}", f"{one.clicked / max(one.sent, 1):.1%}", f"{one.share:.1%}"
        )
    console.print(table)
    console.print(Text(test.told))
