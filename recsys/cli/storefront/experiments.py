"""Defines `recsys experiment`: the live experiments, and what came of one."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Annotated

import typer

from recsys.cli.options import Json, state_of

if TYPE_CHECKING:
    from rich.console import Console

    from recsys.apps.storefront.experiments.answers import ReadOut

experiment = typer.Typer(
    rich_markup_mode=None, no_args_is_help=True, help="Live experiments of experiments.toml: who sees what, and what came of it."
)


@experiment.command("list")
def list_experiments(context: typer.Context, as_json: Json = False) -> None:
    """The experiments of the file, whether they run, and what is wrong with one."""
    from recsys.apps.storefront.experiments.listing import listed

    found = listed(state_of(context).workspace, int(time.time()))
    if as_json:
        typer.echo(json.dumps([one.to_dict() for one in found], indent=2, allow_nan=False))
        return
    for one in found:
        typer.echo(str(one))
        for problem in one.problems:
            typer.echo(f"note: {problem}", err=True)
    if not found:
        typer.echo(f"no experiments: write some to {state_of(context).workspace.experiments}, see docs/experiments.md")


@experiment.command("read-out")
def read_out_command(
    context: typer.Context, name: Annotated[str, typer.Argument(metavar="NAME", help="Of experiments.toml.")], as_json: Json = False
) -> None:
    """What an experiment brought so far: differences with intervals that hold however often one looks, the arms' sizes, guardrails.

    Also written to reports/, where the page of the service shows it.
    """
    from recsys.apps.storefront.experiments.listing import read_out_named

    found = read_out_named(state_of(context).workspace, name, int(time.time()))
    if as_json:
        typer.echo(json.dumps(found.to_dict(), indent=2, allow_nan=False))
    else:
        from recsys.cli.render import stdout

        _render(found, stdout())


def _render(found: ReadOut, console: Console) -> None:
    from rich.table import Table
    from rich.text import Text

    for note in found.notes:
        typer.echo(f"note: {note}", err=True)
    console.print(
        Text(f"{found.experiment}: {found.state}, from {found.begin} to {found.end}, by {found.unit}; {found.metric} on {found.now}")
    )
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("Arm", "Share", "Units", "Counted", "Mean", "Revenue", "Failed pages", "95% within"):
        table.add_column(heading, justify="left" if heading == "Arm" else "right")
    for arm in found.arms:
        figures = (f"{arm.share:.0%}", f"{arm.units:,}", f"{arm.counted:,}", _number(arm.mean), _number(arm.revenue))
        failed = "–" if arm.error_share is None else f"{arm.error_share:.2%}"
        table.add_row(arm.arm, *figures, failed, "–" if arm.latency_p95_ms is None else f"{arm.latency_p95_ms:,.0f} ms")
    console.print(table)
    for one in found.comparisons:
        if one.latest is not None:
            interval = "no interval yet" if one.latest.low is None else f"{one.latest.low:+.4g} to {one.latest.high:+.4g}"
            console.print(Text(f"{one.arm} - {found.control}: {one.latest.difference:+.4g} ({interval})"))
    for guardrail in found.guardrails:
        console.print(Text(str(guardrail)))
    console.print(Text(f"sizes: p {found.ratio_p:.3g}; {found.verdict}"))


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.4g}"
