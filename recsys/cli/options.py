"""Defines what the commands share: the global options, and parsers of option values."""

from __future__ import annotations

import csv
import re
import sys
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from recsys.moments import utc_moment

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from recsys.compute.job import Cluster
    from recsys.settings.settings import Settings
    from recsys.shop import Shop
    from recsys.workspace.workspace import Workspace

OUT_SUFFIXES = (".csv", ".jsonl", ".parquet")
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


@dataclass
class State:
    """The options before the command. Settings and workspace are created on access, so that `--help` imports little."""

    root: Path = Path("workspace")
    config: Path | None = None
    verbose: bool = False

    @property
    def workspace(self) -> Workspace:
        from recsys.workspace.workspace import Workspace

        return Workspace(self.root)

    @property
    def settings(self) -> Settings:
        """The settings of the configuration file; raises ConfigError."""
        from recsys.settings.settings import load_settings

        return load_settings(self.config)

    @property
    def shop(self) -> Shop:
        """The public face over both; commands call nothing below it that it offers. Raises ConfigError."""
        from recsys.shop import Shop

        return Shop(self.workspace, self.settings)

    @contextmanager
    def on_cluster(self, address: str | None) -> Iterator[Cluster | None]:
        """Have the cluster of the option `--cluster` until the context ends. Raises ClusterError where nothing answers.

        What is printed until then goes to stderr: Ray tells of dead workers on stdout, which carries answers.
        """
        if address is None:
            yield None
            return
        from recsys.compute.ray import open_cluster

        with redirect_stdout(sys.stderr), open_cluster(address, self.settings.cluster, self.workspace.cache) as cluster:
            yield cluster


def state_of(context: typer.Context) -> State:
    """Return the global options of this call."""
    return context.find_object(State) or State()


def parse_ids(values: Sequence[str] | None, option: str) -> tuple[str, ...]:
    """Parse lists of ids between commas; an id that holds a comma is in double quotes, as in csv."""
    ids = tuple(item.strip() for value in values or () for item in next(csv.reader([value], skipinitialspace=True)) or [""])
    if not all(ids):
        raise typer.BadParameter(f"{', '.join(values or ())!r} is not a list of ids: give them as A,B,C", param_hint=option)
    return ids


def parse_moment(value: str) -> datetime:
    """Parse an ISO 8601 date or time to UTC without zone. A date is its midnight; a time without zone is UTC."""
    try:
        return utc_moment(value)
    except ValueError:
        raise typer.BadParameter(f"{value!r} is not a date: give it as 2026-01-31 or 2026-01-31T18:00:00+01:00") from None


def parse_interval(value: str) -> timedelta:
    """Parse a whole number and s, m, h or d."""
    found = re.fullmatch(r"([1-9]\d{0,5})([smhd])", value, re.ASCII)
    if not found:
        raise typer.BadParameter(f"{value!r} is not an interval: give a whole number and s, m, h or d, as in 15m")
    return timedelta(seconds=int(found[1]) * _UNITS[found[2]])


def parse_out(value: str) -> Path:
    """Check that a file name ends in one of `OUT_SUFFIXES`."""
    path = Path(value)
    if path.suffix not in OUT_SUFFIXES:
        raise typer.BadParameter(f"{value!r} must end in one of {', '.join(OUT_SUFFIXES)}")
    return path


def parse_files(values: Sequence[str] | None, option: str) -> tuple[tuple[str, Path], ...]:
    """Parse pairs NAME=FILE."""
    pairs = [value.partition("=") for value in values or ()]
    for value, (name, _, path) in zip(values or (), pairs, strict=True):
        if not name or not path:
            raise typer.BadParameter(f"{value!r} is not a name and a file: give it as NAME=FILE", param_hint=option)
    return tuple((name, Path(path)) for name, _, path in pairs)


Count = Annotated[int, typer.Option("-k", min=1, metavar="N", help="Number of items.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
Every = Annotated[
    timedelta | None, typer.Option(parser=parse_interval, metavar="INTERVAL", help="Do it again and again: 30s, 15m, 2h, 1d.")
]
Spread = Annotated[
    str | None,
    typer.Option("--cluster", metavar="local|ADDRESS", help="Spread the work over Ray: on this machine, or on the cluster at HOST:PORT."),
]
PerGroup = Annotated[int, typer.Option(min=1, metavar="N", help="At most so many variants of a product (group_id).")]
