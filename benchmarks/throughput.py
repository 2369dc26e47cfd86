"""Throughput and latency of the service over HTTP: one worker against two, with and without the cross-encoder.

A third row has the 99th percentile of latency over the median, of one worker at half of its throughput.

    python -m benchmarks.throughput --workspace DIR

DIR holds a published bundle. Clients run in a separate process on the same cores; each sends its next request after its
answer.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.paired import say
from benchmarks.torture.served import Line, Served, percentile, served
from benchmarks.torture.small import Small
from recsys.recommend.open import open_recommender
from recsys.settings.settings import load_settings
from recsys.workspace.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Sequence

ROUNDS, SECONDS, CLIENTS, USERS = 4, 10.0, 4, 500
PROGRAMS = {"throughput_two_workers": "recsys", "throughput_two_workers_cross_encoder": "benchmarks.reading"}


TWICE, TAIL = 1.8, 3.0  # targets: throughput of two workers over one, and the 99th percentile over the median


@dataclass(frozen=True)
class Round:
    """The answers of one round, and the processor seconds of the service for them."""

    lines: list[Line]
    cpu_seconds: float


def loaded(service: Served, users: Path, rate: float = 0) -> Round:
    """Put the load of one round on the service."""
    before = service.cpu_seconds
    with service.load(SECONDS, clients=CLIENTS, users=users, rate=rate) as load:
        pass
    return Round([line for line in load.lines if line["status"] == 200], service.cpu_seconds - before)


def figures(rounds: Sequence[Round], workers: int) -> dict[str, float]:
    """Return latency percentiles, answers a second and cores in use over all rounds."""
    lines, seconds = [line for one in rounds for line in one.lines], len(rounds) * SECONDS
    values = {f"p{share}_ms": percentile(lines, share) for share in (50, 95, 99)} | {"a_second": len(lines) / seconds}
    values["cores"] = sum(one.cpu_seconds for one in rounds) / seconds
    return {f"{name}_{workers}": round(value, 2) for name, value in values.items()}


def tail(service: Served, users: Path, a_second: float) -> None:
    """Print the row of latency at half load."""
    rounds = [loaded(service, users, a_second / 2) for _ in range(ROUNDS)]
    ratios = [percentile(one.lines, 99) / percentile(one.lines, 50) for one in rounds]
    say("tail_at_half_load", ratios, TAIL, None, rate=round(a_second / 2, 1), **figures(rounds, 1))


def main() -> None:
    """Print three rows: requests a second of two workers over those of one, without and with the cross-encoder, and the tail."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--workspace", type=Path, default=Path("workspace"))
    root = parser.parse_args().workspace.absolute()
    snapshot = open_recommender(Workspace(root)).snapshot
    ids = snapshot.log.user_ids
    if snapshot.tokens is None:
        print("the bundle's cross-encoder is idle, so there is nothing for it to read: its row is left out", file=sys.stderr)
    programs = {row: module for row, module in PROGRAMS.items() if module == "recsys" or snapshot.tokens is not None}
    with tempfile.TemporaryDirectory(prefix="throughput-") as name:
        shops = []
        for workers in (1, 2):
            folder = Path(name) / str(workers)
            folder.mkdir()
            (folder / "workspace").symlink_to(root)
            shops.append(Small(folder, load_settings()))
        users = Path(name) / "users.json"
        users.write_text(json.dumps(np.random.default_rng(0).choice(ids, min(USERS, len(ids)), replace=False).tolist()))
        for row, module in programs.items():
            options = {"rate_per_minute": 0, "budget_ms": 10_000}
            with served(shops[0], ("-m", module), **options) as one, served(shops[1], ("-m", module), workers=2, **options) as two:
                loaded(one, users), loaded(two, users)  # uncounted
                pairs = [(loaded(one, users), loaded(two, users)) for _ in range(ROUNDS)]
                ones, twos = zip(*pairs, strict=True)
                say(row, [len(b.lines) / len(a.lines) for a, b in pairs], TWICE, None, **figures(ones, 1), **figures(twos, 2))
                if module == "recsys":
                    tail(one, users, figures(ones, 1)["a_second_1"])


if __name__ == "__main__":
    main()
