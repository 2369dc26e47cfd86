"""Prints `recsys evaluate assistant`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from pathlib import Path

    from recsys.cli.options import State


def replay(state: State, dialogues: Path | None, *, as_json: bool) -> None:
    """Replay a file of dialogues, and print the report."""
    from recsys.apps.assistant.evaluation.evaluate import evaluate_assistant
    from recsys.cli.render import stdout

    if dialogues is None:
        raise typer.BadParameter("expected a file of dialogues, see docs/assistant.md: add --dialogues FILE", param_hint="--dialogues")
    report = evaluate_assistant(state.workspace, state.settings, dialogues)
    if as_json:
        typer.echo(report.to_json(), nl=False)
        return
    stdout().print(report.table())
    for line in report.failure_lines():
        typer.echo(line)
