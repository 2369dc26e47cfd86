"""Defines `recsys benchmark`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast, get_args

import typer

from features.errors import DataError
from recsys.cli.options import Json, State, parse_files, state_of
from recsys.settings.names import BenchmarkName, Device, Preset, ShopName
from recsys.training.options import TrainOptions

if TYPE_CHECKING:
    from collections.abc import Callable

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
    So do reviews and reviews-zh, about the sentiment of reviews; reviews-zh needs a multilingual encoder.model.
    aspects, likewise, is about whether a sentence of a review praises or blames a term in it.
    intents, likewise, is about what a customer wants, and whether it is none of the intents.
    Trains and tunes all systems on the same split, in a subfolder of the workspace; finished steps are not repeated.
    Prints one table; writes JSON and a page with plots to reports/.
    """
    state = state_of(context)
    if name in get_args(ShopName):
        from eval.reports.benchmark import table
        from recsys.offline.benchmark import run_benchmark
        from recsys.offline.options import BenchmarkOptions

        train = TrainOptions(None, preset, device, seed)
        options = BenchmarkOptions(cast("ShopName", name), data, train, max_users, parse_files(lists, "--lists"), ablations)
        result = run_benchmark(state.workspace, state.settings, options)
    else:
        result, table = _of_texts(state, name, data, device, seed)
    if as_json:
        typer.echo(result.to_json(), nl=False)
    else:
        from recsys.cli.render import stdout

        stdout(WIDTH).print(table(result))


def _of_texts(state: State, name: str, data: Path | None, device: Device, seed: int) -> tuple[Any, Callable[[Any], Any]]:
    """Run a benchmark of texts, and return its result with what makes a table of it."""
    if name == "product-qa":
        from recsys.offline.product_qa.benchmark import run_product_qa as run_it
        from recsys.offline.product_qa.dataset import FILE, NAME
        from recsys.offline.product_qa.result import table
    elif name == "aspects":
        from recsys.offline.aspect_polarity.benchmark import run_aspects as run_it
        from recsys.offline.aspect_polarity.dataset import FILE, NAME
        from recsys.offline.aspect_polarity.result import table
    elif name == "intents":
        from recsys.offline.intents.benchmark import run_intents as run_it
        from recsys.offline.intents.dataset import FILE, NAME
        from recsys.offline.intents.result import table
    else:
        return _of_reviews(state, name, data, device, seed)
    if data is None:
        raise DataError(f"{name} is not packaged: give --data DIR, a folder that holds {NAME}/{FILE}")
    return run_it(state.workspace, state.settings, data, device, seed), table


def _of_reviews(state: State, name: str, data: Path | None, device: Device, seed: int) -> tuple[Any, Callable[[Any], Any]]:
    from recsys.offline.review_sentiment.benchmark import run_reviews
    from recsys.offline.review_sentiment.dataset import FILES
    from recsys.offline.review_sentiment.result import table

    language = "en" if name == "reviews" else "zh"
    if data is None:
        raise DataError(f"{name} is not packaged: give --data DIR, a folder that holds {FILES[language]}")
    return run_reviews(state.workspace, state.settings, state.settings.reviews.sentiment, data, language, (device, seed)), table
