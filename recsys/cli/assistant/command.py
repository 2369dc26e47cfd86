"""Defines `recsys assistant`, a conversation on the terminal, and `recsys assistant ask`, one message."""

from __future__ import annotations

import json
import secrets
from typing import TYPE_CHECKING, Annotated

import typer

from features.errors import DataError
from recsys.cli.options import Json, State, state_of

if TYPE_CHECKING:
    from recsys.apps.assistant.request import AssistantRequest

assistant = typer.Typer(rich_markup_mode=None)
User = Annotated[str | None, typer.Option(metavar="ID", help="Whom the shop has signed in; without it, a visitor.")]


@assistant.callback(invoke_without_command=True)
def converse(context: typer.Context, user: User = None) -> None:
    """A conversation with the assistant, on the terminal or line by line from a pipe.

    Answers from what the shop knows; what it does not know it hands over. Ctrl-D or "exit" ends it. Conversations are counted and kept as
    those of the service.
    """
    if context.invoked_subcommand is not None:
        if user is not None:
            raise typer.BadParameter("it goes after the command: recsys assistant ask TEXT --user ID", param_hint="--user")
        return
    from recsys.cli.assistant.terminal import messages, show
    from recsys.cli.render import stdout

    state = state_of(context)
    _check(state, user)
    conversation, answering, console = secrets.token_urlsafe(24), state.shop.assistant, stdout()
    for text in messages():
        try:
            request = _request(text, conversation, user)
        except DataError as error:
            typer.echo(f"note: {error}", err=True)
            continue
        show(answering.answer(request), console)


@assistant.command()
def ask(
    context: typer.Context,
    text: Annotated[str, typer.Argument(help="The message, in plain words.")],
    user: User = None,
    as_json: Json = False,
) -> None:
    """One message, and the reply.

    docs/json.md lists the keys of --json.
    """
    from recsys.cli.assistant.terminal import show
    from recsys.cli.render import stdout

    state = state_of(context)
    try:
        request = _request(text, secrets.token_urlsafe(24), user)
    except DataError as error:
        raise typer.BadParameter(str(error), param_hint="TEXT") from None
    _check(state, user)
    reply = state.shop.assistant.answer(request)
    if as_json:
        typer.echo(json.dumps(reply.to_dict(), indent=2, allow_nan=False))
    else:
        show(reply, stdout())


def _request(text: str, conversation: str, user: str | None) -> AssistantRequest:
    from recsys.apps.assistant.request import AssistantRequest

    return AssistantRequest(text, conversation, user)


def _check(state: State, user: str | None) -> None:
    """Refuse to keep a conversation of an erased customer."""
    from features.ingest.erased_users import ErasedUsers

    if user is not None and ErasedUsers.read(state.workspace.erased).has(user):
        raise DataError(f"the customer {user!r} has been erased: leave out --user")
