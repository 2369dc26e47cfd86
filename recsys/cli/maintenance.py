"""Defines `recsys verify`, `recsys rollback` and `recsys erase`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from recsys.cli.options import state_of


def verify(context: typer.Context) -> None:
    """Check that all bundles are as they were published.

    Reads every file. The exit code is 1 if one is damaged.
    """
    from recsys.artifacts.check import check_all

    lines, problems = check_all(state_of(context).workspace.bundles)
    typer.echo("\n".join([*lines, *problems]))
    if problems:
        raise typer.Exit(1)


def rollback(context: typer.Context) -> None:
    """Put the previous bundle into use again, here and in the shared store of [storage]."""
    from recsys.artifacts import publish
    from recsys.remote.push import share

    state = state_of(context)
    settings = state.settings
    typer.echo(f"bundle {publish.rollback(state.workspace.bundles)} is in use now")
    share(state.workspace, settings)


def erase(
    context: typer.Context,
    user: Annotated[list[str] | None, typer.Option(metavar="ID", help="User to erase; may be given more than once.")] = None,
    users_file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="File with users to erase: a column user_id, or one id per line.")
    ] = None,
) -> None:
    """Remove users from the workspace, all stored bundles and the shared store of [storage].

    They stay erased when the same sources are read again. Models trained with them are marked for retraining: see
    docs/privacy.md.
    """
    from recsys.cli.list_files import read_users
    from recsys.remote.publishing import erase_everywhere

    if not user and not users_file:
        raise typer.BadParameter("no user is given: add --user ID or --users-file FILE")
    listed, notes = read_users(users_file) if users_file else ([], ())
    for note in notes:
        typer.echo(note, err=True)
    state = state_of(context)
    for done in erase_everywhere(state.workspace, state.settings, *(user or ()), *listed):
        if done is not None:
            typer.echo(done)
