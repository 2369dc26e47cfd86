"""Paired measurements: two ways of doing one thing run in turn, so that other load on the machine slows both.

A program prints a JSON line for each row: {"name", "ratio", "low", "high", "target", "kept"} and further figures.
`ratio` is the median over the pairs, and `low` and `high` are its 95% interval. `target` is what the ratio should
reach. `kept` is the quality that remains: the overlap with the reference's answers, or NDCG@10 over that of the
reference.
"""

from __future__ import annotations

import json
import os
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from scipy.stats import binom
from threadpoolctl import threadpool_limits

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import TracebackType

ROOT = Path(__file__).resolve().parent.parent
ROUNDS = 15
threadpool_limits(1, "blas")  # as the command line does; an environment variable has no effect once numpy is loaded


def alternate(first: Callable[[], object], second: Callable[[], object], rounds: int = ROUNDS) -> tuple[np.ndarray, np.ndarray]:
    """Return the seconds of each, float64 (rounds,), run as A B A B; a first run of each is not counted."""
    first(), second()
    pairs = np.array([[timed(first), timed(second)] for _ in range(rounds)])
    return pairs[:, 0], pairs[:, 1]


def timed(work: Callable[[], object]) -> float:
    """Return the seconds of wall clock that a call takes."""
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def as_users_have_it() -> dict[str, str]:
    """Return the environment without PYTHONDONTWRITEBYTECODE, so that libraries are compiled only once."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


def median_interval(values: np.ndarray) -> tuple[float, float, float]:
    """Return the median and its 95% interval by order statistics, which assume no distribution.

    With fewer than six values, the interval is their whole range.

    References
    ----------
    Conover (1999), Practical Nonparametric Statistics, section 3.2.
    """
    ordered, n = np.sort(values), len(values)
    least = max(0, int(binom.ppf(0.025, n, 0.5)) - 1)
    low, high = (ordered[least], ordered[n - 1 - least]) if n >= 6 else (ordered[0], ordered[-1])
    return float(np.median(ordered)), float(low), float(high)


def say(name: str, ratios: np.ndarray | Sequence[float], target: float | None, kept: float | None, **more: Any) -> None:
    """Print one row as JSON; `more` holds further figures."""
    middle, low, high = median_interval(np.asarray(ratios, dtype=np.float64))
    figures = {"ratio": middle, "low": low, "high": high, "target": target, "kept": kept}
    row = {"name": name} | {key: value if value is None else round(value, 4) for key, value in figures.items()}
    print(json.dumps(row | {"pairs": len(ratios)} | more), flush=True)


class Rival:
    """A program of benchmarks/rivals/ in a separate environment. Each request and each answer is a JSON line.

    Raises
    ------
    FileNotFoundError: its environment is missing; `make bench` sets it up.
    """

    def __init__(self, script: str, environment: str) -> None:
        python = Path(os.environ.get(environment, ROOT / f".{environment.lower()}" / "bin" / "python"))
        if not python.exists():
            raise FileNotFoundError(
                f"{python} does not exist: run `make bench`, or set {environment} to a Python with benchmarks/rivals/ requirements"
            )
        path = ROOT / "benchmarks" / "rivals" / script
        self._process = subprocess.Popen([python, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, **request: Any) -> dict[str, Any]:
        """Send a request and return the answer.

        Raises
        ------
        RuntimeError: the program has ended.
        """
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError("the rival program has ended; its output is above")
        return json.loads(line)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        assert self._process.stdin
        self._process.stdin.close()
        self._process.wait()
