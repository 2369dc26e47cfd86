"""Defines `recsys rules` and its commands: check, price and share."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from features.errors import DataError
from recsys.cli.options import Json, parse_moment, state_of
from recsys.settings.names import Preset

if TYPE_CHECKING:
    from recsys.apps.storefront.rule_price import RulePrices

WIDTH = 200  # of the table in a pipe or a file
rules = typer.Typer(
    rich_markup_mode=None,
    no_args_is_help=True,
    help="The rules of merchandising.toml: whether they hold together, their price, and their share of places.",
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


@rules.command()
def share(
    context: typer.Context,
    since: Annotated[
        datetime | None,
        typer.Option(parser=parse_moment, metavar="DATE", help="Pages from then on.  [default: all that are kept]"),
    ] = None,
    as_json: Json = False,
) -> None:
    """What share of the places each rule has taken since it holds, by row of the pages.

    From the impressions that the service stores. Rules that took no place are named too.
    """
    from rich.table import Table
    from rich.text import Text

    from features.text.plain import plain
    from ranking.merchandising.rules import MerchandisingRules
    from recsys.apps.storefront.rule_shares import rule_shares
    from recsys.cli.render import stdout
    from recsys.workspace.impression_columns import PAGE_ROW, RULE

    state = state_of(context)
    shown = state.workspace.impressions.frame(0 if since is None else int(since.replace(tzinfo=UTC).timestamp()))
    if shown.is_empty():
        raise DataError("nothing was shown yet: pages of `POST /v1/page` are stored as they are served; see docs/impressions.md")
    in_force = {rule.name: kind for kind, rule in MerchandisingRules.read(state.workspace.merchandising).named()}
    found = rule_shares(shown, in_force)
    if as_json:
        typer.echo(json.dumps({"places": len(shown), "rules": found.to_dicts()}, indent=2, allow_nan=False))
        return
    console = stdout(WIDTH)
    console.print(f"{len(shown):,} places were shown")
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("Rule", "Row", "Places", "Share", "Of the first three", "Mean position"):
        table.add_column(column, overflow="fold")
    for one in found.iter_rows(named=True):
        seen = "" if one["share_top"] is None else f"{one['share_top']:.1%}"
        mean = "" if one["mean_position"] is None else f"{one['mean_position']:.1f}"
        cells = (f"{one['places']:,}", f"{one['share']:.1%}", seen, mean)
        table.add_row(Text(plain(one[RULE])), one[PAGE_ROW] or "", *cells)
    console.print(table)


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
