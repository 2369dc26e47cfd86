"""Defines `recsys page`: the rows that a visitor of a page sees."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from ranking.merchandising.place import ROWS, PageKind, RowName
from recsys.cli.options import Json, parse_ids, state_of

if TYPE_CHECKING:
    from rich.console import Console

    from recsys.apps.storefront.answers import PageAnswer


def page(
    context: typer.Context,
    kind: Annotated[PageKind, typer.Argument(help="The page.")] = "home",
    user: Annotated[str | None, typer.Option(metavar="ID", help="For whom; without it, for an unknown visitor.")] = None,
    item: Annotated[str | None, typer.Option(metavar="ID", help="The item of a product page.")] = None,
    category: Annotated[str | None, typer.Option(help="The category of a category page.")] = None,
    basket: Annotated[list[str] | None, typer.Option(metavar="ID,ID", help="Items in the basket, oldest first.")] = None,
    viewed: Annotated[list[str] | None, typer.Option(metavar="ID,ID", help="Items that the visitor looked at, oldest first.")] = None,
    rows: Annotated[list[str] | None, typer.Option(metavar="NAME,NAME", help="These rows, from top to bottom.")] = None,
    k: Annotated[int | None, typer.Option("-k", min=1, max=100, metavar="N", help="Items of a row.")] = None,
    max_price: Annotated[float | None, typer.Option(min=0, metavar="P", help="Only items that cost no more.")] = None,
    place: Annotated[str | None, typer.Option(help="Where the visitor is; without it, what the table of customers says.")] = None,
    unavailable: Annotated[bool, typer.Option("--unavailable", help="Also items that are not available.")] = False,
    as_json: Json = False,
) -> None:
    """The rows that a visitor of a page sees.

    Each with its items and their reasons. No product stands on a page twice.
    """
    from recsys.apps.storefront.request import PageRequest, RowRequest
    from recsys.cli.render import stdout

    state = state_of(context)
    config = state.settings.storefront
    asked = PageRequest(
        kind,
        user,
        parse_ids(basket, "--basket") if basket else (),
        item,
        category,
        parse_ids(viewed, "--viewed") if viewed else (),
        tuple(RowRequest(name, k) for name in (_parse_rows(rows) or config.rows_of(kind))),
        in_stock=not unavailable,
        max_price=max_price,
        place=place,
    )
    answer = state.shop.storefront.answer(asked)
    if as_json:
        typer.echo(json.dumps(answer.to_dict(), indent=2, allow_nan=False))
        return
    render(answer, stdout())


def _parse_rows(values: list[str] | None) -> list[RowName]:
    known: dict[str, RowName] = {row: row for row in ROWS}
    names = parse_ids(values, "--rows") if values else ()
    wrong = [name for name in names if name not in known]
    if wrong:
        raise typer.BadParameter(f"{wrong[0]!r} is no row: the rows are {', '.join(ROWS)}", param_hint="--rows")
    return [known[name] for name in names]


def render(answer: PageAnswer, console: Console) -> None:
    """Print the rows one below the other."""
    from rich.table import Table
    from rich.text import Text

    from features.text.plain import plain

    for note in answer.notes:
        typer.echo(f"note: {note}", err=True)
    for row in answer.rows:
        follow = f", {row.more} more follow" if row.more else ""
        console.print(Text(f"{plain(row.title)} ({row.name}{follow})", style="bold"))
        table = Table(box=None, pad_edge=False, show_header=False)
        for justify in ("right", "left", "left", "right", "right", "left"):
            table.add_column(overflow="fold", justify=justify)
        for placed in row.items:
            price = "" if placed.price is None else f"{placed.price:,.2f}"
            chance = "" if placed.probability is None else f"{placed.probability:.1%}"
            table.add_row(
                str(placed.position), Text(plain(placed.item_id)), Text(plain(placed.title)), price, chance, Text(plain(placed.reason))
            )
        console.print(table)
    for name, why in answer.left_out.items():
        typer.echo(f"note: no row {name}: {why}", err=True)
