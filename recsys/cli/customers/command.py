"""Defines `recsys customers`: segments, cohorts, movements, and one customer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from recsys.cli.options import Json, State, parse_out, state_of

if TYPE_CHECKING:
    from recsys.apps.customers.answers import Answer
    from recsys.apps.customers.reader import CustomersReader


def customers(
    context: typer.Context,
    segment: Annotated[str | None, typer.Option(metavar="S", help="The customers of this segment, such as 'drifting away'.")] = None,
    user: Annotated[str | None, typer.Option(metavar="ID", help="One customer: what is expected, the taste, what changed lately.")] = None,
    cohorts: Annotated[bool, typer.Option("--cohorts", help="By month of the first purchase: who came back, and what they spent.")] = False,
    movements: Annotated[bool, typer.Option("--movements", help="Who moved between segments since the last refresh, and alerts.")] = False,
    k: Annotated[int, typer.Option("-k", min=1, metavar="N", help="Number of customers or movements.")] = 20,
    out: Annotated[
        Path | None,
        typer.Option(parser=parse_out, metavar="FILE", help="Write all customers, or those of --segment: .csv, .jsonl or .parquet."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Who the customers are: segments with their rules, sizes and expected spend.

    Segments are rules on recency against the customer's own rhythm, on frequency and on value. See docs/customers.md.
    """
    given = {"--segment": segment is not None, "--user": user is not None, "--cohorts": cohorts, "--movements": movements}
    named = [option for option, is_given in given.items() if is_given]
    if len(named) > 1:
        raise typer.BadParameter(f"give one of {', '.join(given)}", param_hint=named[1])
    if out is not None and (as_json or user is not None or cohorts or movements):
        raise typer.BadParameter("goes without --user, --cohorts, --movements and --json", param_hint="--out")
    state = state_of(context)
    reader = state.shop.customers
    if out is not None:
        _write(reader, segment, out)
        return
    _show(state, _answer(reader, segment, user, k, cohorts=cohorts, movements=movements), k, as_json=as_json)


def _answer(reader: CustomersReader, segment: str | None, user: str | None, k: int, *, cohorts: bool, movements: bool) -> Answer:
    if user is not None:
        return reader.customer(user)
    if segment is not None:
        return reader.of_segment(segment, k)
    if cohorts:
        return reader.cohorts()
    return reader.movements() if movements else reader.segments()


def _show(state: State, answer: Answer, k: int, *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(answer.to_dict(), indent=2, allow_nan=False))
        return
    from recsys.cli.customers.render import render
    from recsys.cli.render import stdout

    render(answer, stdout(), k)


def _write(reader: CustomersReader, segment: str | None, out: Path) -> None:
    from recsys.cli.list_files import write_customers

    rows = write_customers(reader.rows(segment), out)
    typer.echo(f"{rows:,} customers in {out}")
