"""What keeps a workspace whole: checking, going back, erasing."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from recsys.cli.options import state_of


def verify(context: typer.Context) -> None:
    """Compare all bundles with what was published.

    Reads every file. Exit code 1 if one of them is damaged.
    """
    from recsys.artifacts.bundle import check_all

    lines, problems = check_all(state_of(context).workspace.bundles)
    typer.echo("\n".join([*lines, *problems]))
    if problems:
        raise typer.Exit(1)


def rollback(context: typer.Context) -> None:
    """Go back to the bundle before this one."""
    from recsys.artifacts import publish

    typer.echo(f"bundle {publish.rollback(state_of(context).workspace.bundles)} is in use now")


def erase(
    context: typer.Context,
    user: Annotated[list[str] | None, typer.Option(metavar="ID", help="Whom to erase; may be given more than once.")] = None,
    users_file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="All users of a file: a column user_id, or one id a line.")
    ] = None,
) -> None:
    """Remove a user from the workspace and every kept bundle.

    They stay away when the same sources are read again. Models trained with them are marked for training anew: see docs/privacy.md.
    """
    from recsys.cli.user_files import read_users
    from recsys.privacy.erasure import erase as erase_users

    if not user and not users_file:
        raise typer.BadParameter("say whom to erase: --user ID, or --users-file FILE")
    typer.echo(erase_users(state_of(context).workspace, *(user or ()), *(read_users(users_file) if users_file else ())))
