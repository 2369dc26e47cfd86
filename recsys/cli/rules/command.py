"""Defines `recsys rules` and its commands: check and price."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from recsys.cli.options import Json, state_of
from recsys.settings.names import Preset

if TYPE_CHECKING:
    from recsys.apps.storefront.rule_price import RulePrices

WIDTH = 200  # of the table in a pipe or a file
rules = typer.Typer(
    rich_markup_mode=None, no_args_is_help=True, help="The rules of merchandising.toml: whether they hold together, and their price."
)


@rules.command()
def check(context: typer.Context, as_json: Json = False) -> None:
    """Whether the rules can be read and do not contradict each other.

    What each is about, whether it holds now, and which do nothing. A contradiction is an error that names both rules.
    """
    from recsys.apps.storefront.rule_check import rules_state

    found = rules_state(state_of(context).shop.recommender)
    if as_json:
        typer.echo(json.dumps(found.to_dict(), indent=2, allow_nan=False))
        return
    for line in found.lines():
        typer.echo(line)


@rules.command()
def price(
    context: typer.Context,
    rule: Annotated[str | None, typer.Option("--rule", metavar="NAME", help="This rule alone.  [default: each, and all together]")] = None,
    preset: Annotated[Preset, typer.Option(help="The preset that the model was trained with.")] = "quick",
    seed: Annotated[int, typer.Option(min=0, metavar="N", help="The seed that the model was trained with.")] = 0,
    as_json: Json = False,
) -> None:
    """What each rule costs or brings, before it goes live.

    Lists with the rule and without it, judged on what users bought in the last weeks of the log, which the model has not seen: NDCG,
    revenue and profit with 95% intervals. Without --rule also written to reports/, where the page of the service shows it. See
    docs/merchandising.md.
    """
    from recsys.apps.storefront.rule_price import rule_prices
    from recsys.training.options import TrainOptions

    state = state_of(context)
    found = rule_prices(state.workspace, state.settings, rule, TrainOptions(preset=preset, seed=seed))
    if as_json:
        typer.echo(found.to_json())
        return
    _show(found)


def _show(found: RulePrices) -> None:
    from rich.table import Table
    from rich.text import Text

    from features.text.plain import plain
    from recsys.cli.render import stdout

    names = list(found.rules[0].change) if found.rules else []
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("Rule", "Kind", "Lists changed", *(f"{name}, change" for name in names)):
        table.add_column(column, overflow="fold")
    for one in found.rules:
        cells = [f"{change.value:+.4f} [{change.low:+.4f}, {change.high:+.4f}]" for change in one.change.values()]
        table.add_row(Text(plain(one.name)), one.kind, f"{one.lists:.0%}", *cells)
    console = stdout(WIDTH)
    console.print(
        f"{found.users:,} users, purchases from {found.cut[:10]} on; metric with the rule minus metric without rules, a list of 10"
    )
    console.print(table)
    if found.rules:
        before = ", ".join(f"{name} {value.value:.4f}" for name, value in found.rules[-1].before.items())
        console.print(Text(f"without rules: {before}"))
    for note in found.notes:
        console.print(Text(plain(note)))
