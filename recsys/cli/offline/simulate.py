"""The commands `recsys simulate` and `recsys off-policy`."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal

import typer

from recsys.cli.options import Json, parse_moment, state_of
from recsys.settings.names import Preset
from recsys.training.options import TrainOptions

WIDTH = 160  # of the table in a pipe or a file


def simulate(
    context: typer.Context,
    a: Annotated[str, typer.Option("--a", metavar="CONFIG", help="The current arm: NAME.toml, ours, or a baseline such as popular.")],
    b: Annotated[str, typer.Option("--b", metavar="CONFIG", help="The arm that may be better.")],
    start: Annotated[
        datetime | None, typer.Option("--from", parser=parse_moment, metavar="DATE", help="The first day.  [default: where evaluate cuts]")
    ] = None,
    days: Annotated[int | None, typer.Option(min=1, metavar="N", help="The number of days.  [default: to the log's end]")] = None,
    users: Annotated[int | None, typer.Option(min=40, metavar="N", help="The number of users, drawn at random.  [default: all]")] = None,
    click_log: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write clicks of a click model on the lists, csv, for off-policy.")
    ] = None,
    preset: Annotated[Preset, typer.Option(help="The preset of the models that the arms use.")] = "quick",
    seed: Annotated[int, typer.Option(min=0, metavar="N", help="The seed of the models that the arms use.")] = 0,
    as_json: Json = False,
) -> None:
    """Compare two arms: is B better than A, for whom, and would an online test find it?

    Replays days of the log. Each arm sees only the past, refreshes on its schedule, and answers the users of each day. Its lists are
    compared with what they then bought. JSON and a page with plots go to reports/. An interrupted run resumes.
    """
    from recsys.offline.options import SimulateOptions
    from recsys.offline.simulate import simulate as replay

    state = state_of(context)
    train = TrainOptions(preset=preset, seed=seed)
    result = replay(state.workspace, state.settings, SimulateOptions(a, b, start, days, users, click_log, train))
    if as_json:
        typer.echo(result.to_json(), nl=False)
    else:
        from eval.reports.simulation import table
        from recsys.cli.render import stdout

        stdout(WIDTH).print(table(result))


def off_policy(
    log: Annotated[Path, typer.Argument(metavar="LOG", help="Impressions with propensities, csv or Parquet.")],
    target: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The target policy in full; it makes a reward model possible.")
    ] = None,
    slates: Annotated[
        Literal["independent", "cascade", "joint"], typer.Option(help="How the positions of a list are assumed to affect each other.")
    ] = "independent",
    as_json: Json = False,
) -> None:
    """Estimate what another policy would have earned, from a log with propensities.

    IPS, SNIPS, and with --target DM and DR, with 95% intervals. Too few effective impressions are an error. See docs/simulate.md.
    """
    from eval.off_policy.estimators import off_policy as estimate
    from eval.off_policy.log import read_log
    from eval.reports.off_policy import as_dict, table

    result = estimate(read_log(log, target), slates)
    if as_json:
        import json

        typer.echo(json.dumps(as_dict(result), indent=2, allow_nan=False))
    else:
        from recsys.cli.render import stdout

        stdout(WIDTH).print(table(result))
