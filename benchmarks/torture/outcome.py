"""The output of a torture program: a line of JSON for each test, and the exit code."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_failed: list[str] = []


def report(name: str, runs: int, failures: int, **figures: float) -> None:
    """Print the outcome of one test as a line of JSON: {"name", "runs", "failures"} and further figures."""
    if failures:
        _failed.append(name)
    rounded = {key: round(value, 3) for key, value in figures.items()}
    print(json.dumps({"name": name, "runs": runs, "failures": failures} | rounded), flush=True)


def show(wrong: Sequence[object]) -> None:
    """Print the first few failures."""
    for line in wrong[:5]:
        print(line)


def run(main: Callable[[], object]) -> None:
    """Run a program, and exit with code 1 if a test reported failures."""
    main()
    sys.exit(bool(_failed))
