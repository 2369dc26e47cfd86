"""Defines `recsys serve` and `recsys keys`."""

from __future__ import annotations

from typing import Annotated

import typer

from recsys.cli.options import state_of
from recsys.settings.names import Scope

keys = typer.Typer(rich_markup_mode=None, no_args_is_help=True, help="The API keys of `recsys serve`.")
Scopes = Annotated[
    list[Scope],
    typer.Option(
        metavar="SCOPE",
        help="read: lists and metrics. write: events, prices and stock. admin: both, and erasing users. storefront: pages and actions, for "
        "a key that browsers of visitors hold. May be given more than once.",
    ),
]
Name = Annotated[str, typer.Argument(metavar="NAME", help="Name of the key.")]


@keys.command()
def add(context: typer.Context, name: Name, scope: Scopes) -> None:
    """Create a key and print it once: only its hash is stored."""
    from recsys.service.access.keys import Keys

    path = state_of(context).workspace.service / "keys.json"
    with Keys.changing(path):
        known, secret = Keys.read(path).added(name, tuple(dict.fromkeys(scope)))
        known.write(path)
    typer.echo(secret)


@keys.command("list")
def show(context: typer.Context) -> None:
    """List keys with their scopes and dates."""
    from recsys.service.access.keys import Keys

    for key in Keys.read(state_of(context).workspace.service / "keys.json").keys:
        typer.echo(f"{key.name}\t{','.join(key.scopes)}\t{key.created:%Y-%m-%d}")


@keys.command()
def remove(context: typer.Context, name: Name) -> None:
    """Remove a key; a running service refuses it from the next request on."""
    from recsys.service.access.keys import Keys

    path = state_of(context).workspace.service / "keys.json"
    with Keys.changing(path):
        Keys.read(path).without(name).write(path)


def serve(
    context: typer.Context,
    host: Annotated[str | None, typer.Option(metavar="ADDRESS", help="Address to listen on.  [default: 127.0.0.1]")] = None,
    port: Annotated[int | None, typer.Option(min=0, max=65_535, metavar="N", help="[default: 8000]")] = None,
    workers: Annotated[int | None, typer.Option(min=1, max=64, metavar="N", help="Number of processes.  [default: 1]")] = None,
) -> None:
    """Answer over HTTP.

    Switches to new bundles as they are published, here or in the shared store of [storage]. Addresses other than loopback need an API key:
    see `recsys keys`.
    """
    from recsys.remote.follow import following
    from recsys.service.run import serve as run_service

    state = state_of(context)
    given = {name: value for name, value in (("host", host), ("port", port), ("workers", workers)) if value is not None}
    settings = state.settings
    settings = settings.model_copy(update={"serve": settings.serve.model_copy(update=given)})
    with following(state.workspace, settings) as follower:
        run_service(state.workspace, settings, follower)
