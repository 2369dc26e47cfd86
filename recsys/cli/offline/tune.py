"""Defines `recsys tune`."""

from __future__ import annotations

from typing import Annotated

import typer

from recsys.cli.options import Json, Spread, parse_ids, state_of
from recsys.settings.names import Device, Preset
from recsys.training.options import TrainOptions

WIDTH = 160  # of the table in a pipe or a file


def tune(
    context: typer.Context,
    minutes: Annotated[
        float, typer.Option(min=0.01, metavar="N", help="How long to search; the comparison on the test comes on top.")
    ] = 30,
    trials: Annotated[int | None, typer.Option(min=1, metavar="N", help="At most so many trials a stage.  [default: no limit]")] = None,
    users: Annotated[int, typer.Option(min=10, metavar="N", help="Users of a window in trials of the ranking.")] = 2000,
    keep: Annotated[
        list[str] | None, typer.Option(metavar="KEYS", help="Keys to leave as they are, besides those that recsys.toml sets.")
    ] = None,
    test: Annotated[bool, typer.Option("--test/--no-test", help="Compare with the current settings on the test, once, at the end.")] = True,
    preset: Annotated[Preset, typer.Option(help="The preset to improve on.")] = "quick",
    device: Annotated[Device, typer.Option(help="Device to train on.")] = "auto",
    seed: Annotated[int, typer.Option(min=0, metavar="N", help="Seed of the trainings and of the search.")] = 0,
    cluster: Spread = None,
    as_json: Json = False,
) -> None:
    """Search better settings for this shop, on validation data only.

    Trains towers, then fits rankings and cross-encoders over them, each with other settings, the current ones first. Keys that recsys.toml
    sets stay. Goes on where an interrupted search ended. Says what each change gained, and what all of them gain on the last weeks of the
    log, which no trial has seen. The changes go to tuning/best.toml of the workspace. See docs/tune.md.
    """
    from recsys.cli.render import stdout
    from recsys.offline.tuning.report import table
    from recsys.offline.tuning.tune import TuneOptions
    from recsys.offline.tuning.tune import tune as search

    state = state_of(context)
    train = TrainOptions(None, preset, device, seed)
    with state.on_cluster(cluster) as workers:
        options = TuneOptions(minutes, trials, users, parse_ids(keep, "--keep"), test, train, workers)
        report = search(state.workspace, state.settings, options)
    typer.echo(report.to_json()) if as_json else stdout(WIDTH).print(table(report))
