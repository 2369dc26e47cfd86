"""Defines `recsys impressions`: what pages showed, as a log for off-policy evaluation and as rates of clicks."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from features.names import CLICK
from recsys.cli.options import parse_moment, parse_out, state_of

if TYPE_CHECKING:
    import polars as pl

impressions = typer.Typer(
    rich_markup_mode=None, no_args_is_help=True, help="What the pages of the storefront showed, and what was done with it."
)
Since = Annotated[
    datetime | None, typer.Option("--since", parser=parse_moment, metavar="DATE", help="Pages from then on.  [default: all that are kept]")
]
Out = Annotated[Path, typer.Option(parser=parse_out, metavar="FILE", help="Where it goes: .csv, .jsonl or .parquet.")]


@impressions.command()
def export(
    context: typer.Context,
    out: Out,
    reward: Annotated[
        str, typer.Option(metavar="ACTION", help="What counts as 1: click, cart, purchase; or revenue, what was paid.")
    ] = CLICK,
    since: Since = None,
    experiment: Annotated[str | None, typer.Option(metavar="NAME", help="Pages of one arm of this experiment only; with --arm.")] = None,
    arm: Annotated[str | None, typer.Option(metavar="ARM", help="The arm of --experiment.")] = None,
) -> None:
    """Write the log that `recsys off-policy` reads: a row a place, with propensity and reward.

    It names users: keep it as the shop's own data. See docs/impressions.md.
    """
    from recsys.apps.storefront.impression_log import off_policy_log

    if (experiment is None) != (arm is None):
        raise typer.BadParameter("--experiment and --arm go together: name both, or neither for all pages")
    store, chosen = state_of(context).workspace.impressions, None if experiment is None or arm is None else (experiment, arm)
    frame = off_policy_log(store, reward, _seconds(since), chosen)
    _write(frame, out)
    drawn = frame.filter(frame["propensity"] < 1)["impression_id"].n_unique()
    lists = frame["impression_id"].n_unique()
    typer.echo(f"{len(frame):,} places of {lists:,} impressions in {out}; rewards {frame['reward'].sum():,.6g}")
    if not frame["reward"].sum():
        names = ", ".join(sorted(store.actions(_seconds(since))["action_name"].unique())) or "none"
        typer.echo(f"note: every reward is 0: nothing shown here has a {reward}; stored actions are {names}", err=True)
    if chosen is None and (arms := store.arms(_seconds(since))):
        named = f"--experiment {arms[0][0]} --arm {arms[0][1]}"
        mixed = f"note: the log mixes pages of {len(arms)} arms of experiments, with and without exploration"
        typer.echo(f"{mixed}: choose one, as {named}", err=True)
    if not drawn:
        typer.echo(
            "note: every propensity is 1, so the log says nothing of other lists: let an experiment's arm set exploration above 0", err=True
        )


@impressions.command()
def rates(context: typer.Context, out: Out, since: Since = None) -> None:
    """Write how often each item is clicked where it is looked at: lower places have fewer clicks for their place alone."""
    from recsys.apps.storefront.impression_log import click_rates

    frame, found = click_rates(state_of(context).workspace.impressions, _seconds(since))
    _write(frame, out)
    looked = ", ".join(f"{share:.2f}" for share in found.propensity[:10])
    typer.echo(f"{len(frame):,} items in {out}; looked at by place, against the first: {looked}")
    if not found.clicks.any():
        typer.echo(
            "note: no clicked item stood in several places of one row, so the shares by place are assumed: 1 / sqrt(place)", err=True
        )


def _write(frame: pl.DataFrame, out: Path) -> None:
    from features.errors import disk_errors

    with disk_errors(out, "written"):
        out.parent.mkdir(parents=True, exist_ok=True)
        {".csv": frame.write_csv, ".jsonl": frame.write_ndjson, ".parquet": frame.write_parquet}[out.suffix](out)


def _seconds(since: datetime | None) -> int:
    return 0 if since is None else int(since.replace(tzinfo=UTC).timestamp())
