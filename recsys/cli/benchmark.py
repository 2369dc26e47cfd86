"""The command `recsys benchmark`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from recsys.cli.options import Json, parse_files, state_of
from recsys.settings.names import Device, Preset, ShopName
from recsys.training.options import TrainOptions

WIDTH = 240  # of the table in a pipe or a file


def benchmark(
    context: typer.Context,
    name: Annotated[ShopName, typer.Argument(help="Which shop.", metavar="NAME")],
    data: Annotated[Path | None, typer.Option(metavar="DIR", help="Holds NAME/items.parquet and NAME/interactions.parquet.")] = None,
    preset: Annotated[Preset, typer.Option(help="How much to train: what two cores can do, or what a GPU can.")] = "quick",
    device: Annotated[Device, typer.Option(help="Where to train.")] = "auto",
    seed: Annotated[int, typer.Option(min=0, metavar="N", help="The same seed and data make the same model on one machine.")] = 0,
    max_users: Annotated[int, typer.Option(min=1, metavar="N", help="Judge on so many users, drawn at random.")] = 10_000,
    lists: Annotated[
        list[str] | None, typer.Option(metavar="NAME=FILE", help="A rival's lists, Parquet: user_id, item_id, rank. Any number of times.")
    ] = None,
    ablations: Annotated[bool, typer.Option("--ablations/--no-ablations", help="Ours without each of its parts, too.")] = True,
    as_json: Json = False,
) -> None:
    """Ours beside tuned baselines on a public shop.

    NAME: completejourney, which comes packaged; beauty, games or online_retail with --data.
    Trains and tunes everything on the same split, in a folder of its own below the workspace; what is done is not repeated.
    Prints one table, writes JSON and a page with plots to reports/.
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
