"""The commands `recsys simulate` and `recsys off-policy`."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal

import typer

from recsys.cli.options import Json, parse_moment, state_of

WIDTH = 160  # of the table in a pipe or a file


def simulate(
    context: typer.Context,
    a: Annotated[str, typer.Option("--a", metavar="CONFIG", help="The arm that is there: NAME.toml, ours, or a baseline such as popular.")],
    b: Annotated[str, typer.Option("--b", metavar="CONFIG", help="The arm that might be better.")],
    start: Annotated[
        datetime | None, typer.Option("--from", parser=parse_moment, metavar="DATE", help="The first day.  [default: where evaluate cuts]")
    ] = None,
    days: Annotated[int | None, typer.Option(min=1, metavar="N", help="How many days.  [default: to the log's end]")] = None,
    users: Annotated[int | None, typer.Option(min=40, metavar="N", help="Ask so many users, drawn at random.  [default: all]")] = None,
    click_log: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write what a click model makes of the lists, csv, for off-policy.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Is B better than A, for whom, and would an online test find it?

    Replays days of the log: each arm sees only the past, refreshes on its schedule, answers who comes, and is judged by what was bought.
    JSON and a page with plots go to reports/. A run that was cut off goes on.
    """
    from recsys.offline.options import SimulateOptions
    from recsys.offline.simulate import simulate as replay

    state = state_of(context)
    found = replay(state.workspace, state.settings, SimulateOptions(a, b, start, days, users, click_log))
    if as_json:
        typer.echo(found.to_json(), nl=False)
    else:
        from eval.reports.simulation import table
        from recsys.cli.render import stdout

        stdout(WIDTH).print(table(found))


def off_policy(
    log: Annotated[Path, typer.Argument(metavar="LOG", help="Impressions with propensities, csv or Parquet.")],
    target: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The policy to be judged in full; with it, a reward model helps.")
    ] = None,
    slates: Annotated[
        Literal["independent", "cascade", "joint"], typer.Option(help="How places of a list are assumed to act on each other.")
    ] = "independent",
    as_json: Json = False,
) -> None:
    """What another policy would have earned, from a log with propensities.

    IPS, SNIPS, and with --target DM and DR, with 95% intervals. Refuses to answer from too few effective impressions. See docs/simulate.md.
    """
    from eval.off_policy.estimators import off_policy as judge
    from eval.off_policy.log import read_log
    from eval.reports.off_policy import as_dict, table

    found = judge(read_log(log, target), slates)
    if as_json:
        import json

        typer.echo(json.dumps(as_dict(found), indent=2, allow_nan=False))
    else:
        from recsys.cli.render import stdout

        stdout(WIDTH).print(table(found))
