"""Defines `recsys push` and `recsys pull`."""

from __future__ import annotations

from typing import Annotated

import typer

from recsys.cli.options import Every, state_of


def push(
    context: typer.Context,
    everything: Annotated[bool, typer.Option("--all", help="Send all contents again, for a store that has lost or damaged some.")] = False,
    replace: Annotated[
        bool, typer.Option("--replace", help="Publish also where the store has something newer that this workspace has not seen.")
    ] = False,
) -> None:
    """Publish what is in use here into the shared store.

    Commands that publish do it by themselves; this makes up for one that could not. Sends only what the store lacks, and removes what
    nothing there names any more. See docs/storage.md.
    """
    from recsys.progress import terminal_progress
    from recsys.remote.push import PushOptions
    from recsys.remote.push import push as push_workspace

    state = state_of(context)
    options = PushOptions(everything=everything, replace=replace, clean=True)
    typer.echo(push_workspace(state.workspace, state.settings, options, terminal_progress))


def pull(
    context: typer.Context,
    every: Every = None,
    replace: Annotated[bool, typer.Option("--replace", help="Take the store's in place of what was never published from here.")] = False,
) -> None:
    """Fetch what is in use in the shared store, and use it here.

    Fetches only what this workspace lacks, and checks it before it is used. A running service takes the new bundle into use.
    """
    from recsys.progress import terminal_progress
    from recsys.remote.follow import follow
    from recsys.remote.pull import pull as pull_workspace

    state = state_of(context)
    if every is None:
        typer.echo(pull_workspace(state.workspace, state.settings, replace=replace, progress=terminal_progress))
        return
    if replace:
        raise typer.BadParameter("it goes without --every: run it once first", param_hint="--replace")
    follow(state.workspace, state.settings, every.total_seconds())
