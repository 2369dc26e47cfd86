"""Defines `recsys benchmark`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from recsys.cli.options import Json, parse_files, state_of
from recsys.settings.names import Device, Preset, ShopName
from recsys.training.options import TrainOptions

WIDTH = 240  # columns of the table in a pipe or a file


def benchmark(
    context: typer.Context,
    name: Annotated[ShopName, typer.Argument(help="Public dataset.", metavar="NAME")],
    data: Annotated[Path | None, typer.Option(metavar="DIR", help="Folder with NAME/items.parquet and NAME/interactions.parquet.")] = None,
    preset: Annotated[Preset, typer.Option(help="Amount of training: quick suits two cores, full a GPU.")] = "quick",
    device: Annotated[Device, typer.Option(help="Device to train on.")] = "auto",
    seed: Annotated[int, typer.Option(min=0, metavar="N", help="The same seed and data give the same model on one machine.")] = 0,
    max_users: Annotated[int, typer.Option(min=1, metavar="N", help="Evaluate on this many users, drawn at random.")] = 10_000,
    lists: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=FILE", help="Lists of another recommender as Parquet: user_id, item_id, rank. May be given more than once."
        ),
    ] = None,
    ablations: Annotated[bool, typer.Option("--ablations/--no-ablations", help="Also evaluate ours without each of its parts.")] = True,
    as_json: Json = False,
) -> None:
    """Compare ours with tuned baselines on a public dataset.

    NAME is completejourney, which is packaged, or beauty, games or online_retail with --data.
    Trains and tunes all systems on the same split, in a subfolder of the workspace; finished steps are not repeated.
    Prints one table; writes JSON and a page with plots to reports/.
    """
    from recsys.offline.benchmark import run_benchmark
    from recsys.offline.options import BenchmarkOptions

    state = state_of(context)
    options = BenchmarkOptions(name, data, TrainOptions(None, preset, device, seed), max_users, parse_files(lists, "--lists"), ablations)
    result = run_benchmark(state.workspace, state.settings, options)
    if as_json:
        typer.echo(result.to_json(), nl=False)
    else:
        from eval.reports.benchmark import table
        from recsys.cli.render import stdout

        stdout(WIDTH).print(table(result))
