"""How a torture program says what came of it."""

from __future__ import annotations

import json


def report(name: str, runs: int, failures: int) -> None:
    """Print the outcome of one test as a line of JSON: {"name", "runs", "failures"}."""
    print(json.dumps({"name": name, "runs": runs, "failures": failures}), flush=True)
