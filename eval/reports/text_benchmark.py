"""Presents a benchmark of texts: a table on the terminal, and a section of docs/benchmarks.md."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rich.box import SIMPLE_HEAD
from rich.console import Group
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class TextBenchmark:
    """What a benchmark of texts found, ready to be shown.

    Attributes
    ----------
    data : what it ran on.
    metric : what the table on the terminal adds to that; empty if the headings say it.
    headings : of the columns after that of the name.
    rows : name -> value and interval of each column.
    ours : name of the row that is ours; of several with "name: part", the name.
    notes : lines below the table.
    """

    data: str
    metric: str
    headings: list[str]
    rows: Mapping[str, list[tuple[str, str]]]
    ours: str
    notes: list[str]

    def table(self) -> Group:
        """Return what the command prints."""
        title = f"{self.data}: {self.metric}" if self.metric else self.data
        grid = Table(title=title, box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
        grid.add_column("", no_wrap=True)
        for heading in self.headings:
            grid.add_column(heading, justify="right")
        for name, cells in self.rows.items():
            style = "bold" if name.split(": ")[0] == self.ours else ""
            grid.add_row(name, *("\n".join(cell) for cell in cells), style=style)
        return Group(grid, *(Text(note) for note in self.notes))

    def markdown(self, about: str, **facts: Mapping[str, Any]) -> str:
        """Return the section of docs/benchmarks.md.

        Parameters
        ----------
        about : a paragraph on how it is measured.
        facts : versions and machine.
        """
        lines = ["", *self.headings], *([name, *map(_cell, cells)] for name, cells in self.rows.items())
        head, *rows = ("| " + " | ".join(line) + " |" for line in lines)
        text = [f"## {self.data}", "", about, "", head, "|---" * (len(self.headings) + 1) + "|", *rows, ""]
        text += [*(f"- {note}" for note in self.notes), ""]
        told = (f"{name.title()}: {', '.join(f'{key} {value}' for key, value in values.items())}." for name, values in facts.items())
        return "\n".join([*text, *told, ""])


def _cell(cell: tuple[str, str]) -> str:
    value, low_high = cell
    return f"{value} [{low_high}]" if low_high else value
