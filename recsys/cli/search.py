"""Defines `recsys search`, of one query on the terminal or a file of queries, and `recsys similar`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from features.errors import DataError
from recsys.apps.search.request import SearchOptions, checked_text
from recsys.cli.options import Count, Json, PerGroup, State, parse_ids, parse_out, state_of
from recsys.recommend.request import MAX_PER_GROUP

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from recsys.apps.search.answers import SearchAnswer


def search(
    context: typer.Context,
    text: Annotated[str | None, typer.Argument(help="What to look for, in plain words.")] = None,
    user: Annotated[str | None, typer.Option(metavar="ID", help="For whom; without it, for an unknown visitor.")] = None,
    k: Count = 10,
    as_json: Json = False,
    category: Annotated[str | None, typer.Option(help="Only items of this category.")] = None,
    brand: Annotated[str | None, typer.Option(help="Only items of this brand.")] = None,
    praised: Annotated[str | None, typer.Option(metavar="ASPECT", help="Only items that reviews praise for this, such as quality.")] = None,
    min_price: Annotated[float | None, typer.Option(min=0, metavar="P", help="Only items that cost no less.")] = None,
    max_price: Annotated[float | None, typer.Option(min=0, metavar="P", help="Only items that cost no more.")] = None,
    in_stock: Annotated[bool, typer.Option("--in-stock", help="Only items that are available.")] = False,
    exclude: Annotated[list[str] | None, typer.Option(metavar="ID,ID", help="Not these items.")] = None,
    ignore: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KEY", help="A filter that is not to be read from the words, such as max_price:3; may be given more than once."
        ),
    ] = None,
    verbatim: Annotated[bool, typer.Option("--verbatim", help="Take the words as typed, without mended spelling.")] = False,
    max_per_group: PerGroup = MAX_PER_GROUP,
    explain: Annotated[bool, typer.Option("--explain", help="Say what each feature added to the score.")] = False,
    queries_file: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Answer all queries of a file: columns query and user_id, or one query a line. Needs --out."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(parser=parse_out, metavar="FILE", help="Where their lists go: .csv, .jsonl or .parquet.")
    ] = None,
) -> None:
    """Items that some words ask for.

    Mends spelling, and reads prices, brands and categories from the words as filters; --ignore removes one. For a known user the user's
    own purchases count. Give either TEXT or --queries-file.
    """
    if (text is None) == (queries_file is None):
        raise typer.BadParameter("give either TEXT or --queries-file FILE", param_hint="TEXT")
    if (queries_file is None) != (out is None):
        raise typer.BadParameter("--queries-file and --out go together: the one says what to look for, the other where the lists go")
    if queries_file and (user is not None or as_json or explain):
        raise typer.BadParameter("--queries-file goes without --user, --json and --explain: its column user_id names users")
    state = state_of(context)
    options = SearchOptions(
        k=k,
        category=category,
        brand=brand,
        praised=praised,
        min_price=min_price,
        max_price=max_price,
        in_stock=in_stock,
        exclude=parse_ids(exclude, "--exclude"),
        ignore=tuple(ignore or ()),
        verbatim=verbatim,
        max_per_group=max_per_group,
        explain=explain,
    )
    if queries_file and out:
        _search_to_file(state, options, queries_file, out)
        return
    (answer,) = state.shop.search_answers(options, [(_checked(text or ""), user)])
    if as_json:
        typer.echo(json.dumps(answer.to_dict(), indent=2, allow_nan=False))
    else:
        from recsys.cli.render import render_found, stdout

        render_found(answer, stdout())


def similar(
    context: typer.Context,
    item: Annotated[str, typer.Option(metavar="ID", help="The item.")],
    k: Count = 10,
    as_json: Json = False,
    max_per_group: PerGroup = MAX_PER_GROUP,
    variants: Annotated[bool, typer.Option("--variants", help="Its own variants too (sizes, colours).")] = False,
) -> None:
    """Items nearest to an item."""
    matches = state_of(context).shop.recommender.similar(item, k, max_per_group, variants=variants)
    if as_json:
        typer.echo(json.dumps(matches.to_dict(), indent=2, allow_nan=False))
    else:
        from recsys.cli.render import render_matches, stdout

        render_matches(matches, stdout())


def _checked(text: str) -> str:
    try:
        return checked_text(text)
    except DataError as error:
        raise typer.BadParameter(str(error), param_hint="TEXT") from None


def _search_to_file(state: State, options: SearchOptions, queries_file: Path, out: Path) -> None:
    from recsys.cli.list_files import read_queries, write_found

    queries, notes = read_queries(queries_file)
    for note in notes:
        typer.echo(note, err=True)
    without = 0

    def counted(answers: Iterable[SearchAnswer]) -> Iterator[SearchAnswer]:
        nonlocal without
        for answer in answers:
            without += not answer.items
            yield answer

    rows = write_found(counted(state.shop.search_answers(options, queries)), out)
    typer.echo(f"{len(queries):,} queries, {without:,} of them without an item, {rows:,} rows in {out}")
