"""A conversation on the terminal. Text of the shop is escaped: control characters have no effect."""

from __future__ import annotations

import io
import sys
from typing import TYPE_CHECKING

import typer
from rich.text import Text

from features.text.plain import plain
from recsys.apps.assistant.answers import Answer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import Console

    from recsys.apps.assistant.answers import Reply

LEAVE = {"exit", "quit"}


def messages() -> Iterator[str]:
    """Yield what is typed, or the lines of a pipe, until Ctrl-D, the end, or "exit"."""
    reader = _typed() if sys.stdin.isatty() else _piped()
    for line in reader:
        if line.strip().casefold() in LEAVE:
            return
        if line.strip():
            yield line.strip()


def show(reply: Reply, console: Console) -> None:
    """Print a reply on stdout, wrapped on a terminal, and on stderr where it comes from."""
    for line in reply.text.split("\n"):
        console.print(Text(plain(line))) if console.is_terminal else typer.echo(plain(line))
    if not console.is_terminal:
        sys.stdout.flush()  # whoever reads the pipe waits for the answer
    for note in notes(reply):
        typer.echo(f"note: {plain(note)}", err=True)


def notes(reply: Reply) -> Iterator[str]:
    """Yield where the statements come from, and that a person takes over."""
    if isinstance(reply.content, Answer):
        facts = [fact for one in reply.content.statements for fact in one.message.facts]
        if sources := dict.fromkeys(fact.source for fact in facts if fact.source):
            yield f"from {', '.join(sources)}"
    if reply.newly_handed_over:
        yield f"a person takes over, because: {reply.state.handed_over}"


def _typed() -> Iterator[str]:
    import readline  # noqa: F401  gives `input` its editing keys

    while True:
        try:
            yield input("> ")
        except EOFError:
            typer.echo()
            return


def _piped() -> Iterator[str]:
    if isinstance(sys.stdin, io.TextIOWrapper):
        sys.stdin.reconfigure(errors="replace")
    yield from sys.stdin
