"""Progress bars on stderr, drawn only on a terminal and removed when the work ends."""

from __future__ import annotations

from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from features.progress import Step


@contextmanager
def terminal_progress(label: str, total: int) -> Iterator[Step]:
    """Draw a bar for one piece of work; implements `features.progress.Progress`."""
    with open_bar(label, total) as update:

        def step(advance: int = 1, note: str = "") -> None:
            update(advance=advance, note=note)

        yield step


@contextmanager
def open_bar(label: str, total: int | None) -> Iterator[Callable[..., None]]:
    """Draw a bar until the context ends.

    Yields
    ------
    update : `rich.progress.Progress.update` of this bar; `note` is the text at its end.
    """
    # Labels and notes may hold names that a user chose, and these may look like markup.
    columns = [
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}", markup=False),
    ]
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        yield partial(bar.update, bar.add_task(label, total=total, note=""))
