"""Defines `recsys benchmark`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from features.errors import DataError
from recsys.cli.options import Json, State, parse_files, state_of
from recsys.settings.names import BenchmarkName, Device, Preset
from recsys.training.options import TrainOptions

WIDTH = 240  # columns of the table in a pipe or a file


def benchmark(
    context: typer.Context,
    name: Annotated[BenchmarkName, typer.Argument(help="Public dataset.", metavar="NAME")],
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
    product-qa, with --data, is about questions and their answers in passages; it takes only --device, --seed and --json.
    aspects, likewise, is about whether a sentence of a review praises or blames a term in it.
    Trains and tunes all systems on the same split, in a subfolder of the workspace; finished steps are not repeated.
    Prints one table; writes JSON and a page with plots to reports/.
    """
    state = state_of(context)
    if name == "product-qa":
        _product_qa(state, data, device, seed, as_json)
        return
    if name == "aspects":
        _aspects(state, data, device, seed, as_json)
        return
    from recsys.offline.benchmark import run_benchmark
    from recsys.offline.options import BenchmarkOptions

    options = BenchmarkOptions(name, data, TrainOptions(None, preset, device, seed), max_users, parse_files(lists, "--lists"), ablations)
    result = run_benchmark(state.workspace, state.settings, options)
    if as_json:
        typer.echo(result.to_json(), nl=False)
    else:
        from eval.reports.benchmark import table
        from recsys.cli.render import stdout

        stdout(WIDTH).print(table(result))


def _product_qa(state: State, data: Path | None, device: Device, seed: int, as_json: bool) -> None:
    from recsys.offline.product_qa.benchmark import run_product_qa
    from recsys.offline.product_qa.dataset import FILE
    from recsys.offline.product_qa.dataset import NAME as FOLDER

    if data is None:
        raise DataError(f"product-qa is not packaged: give --data DIR, a folder that holds {FOLDER}/{FILE}")
    result = run_product_qa(state.workspace, state.settings, data, device, seed)
    if as_json:
        typer.echo(result.to_json(), nl=False)
    else:
        from recsys.cli.render import stdout
        from recsys.offline.product_qa.result import table

        stdout(WIDTH).print(table(result))


def _aspects(state: State, data: Path | None, device: Device, seed: int, as_json: bool) -> None:
    from recsys.offline.aspect_polarity.benchmark import run_aspects
    from recsys.offline.aspect_polarity.dataset import FILE
    from recsys.offline.aspect_polarity.dataset import NAME as FOLDER

    if data is None:
        raise DataError(f"aspects is not packaged: give --data DIR, a folder that holds {FOLDER}/{FILE}")
    result = run_aspects(state.workspace, state.settings, data, device, seed)
    if as_json:
        typer.echo(result.to_json(), nl=False)
    else:
        from recsys.cli.render import stdout
        from recsys.offline.aspect_polarity.result import table

        stdout(WIDTH).print(table(result))
