"""Throughput and latency of the service over HTTP: how answers a second grow with cores and with workers.

    python -m benchmarks.throughput --workspace DIR [--seconds N]

Rows, of which the first needs two cores:

- throughput_two_cores: two workers on two cores over one worker on one core.
- throughput_two_workers: two workers over one, on all cores. One worker retrieves and ranks in two threads, so on two cores it leaves a
  second one little to do.
- tail_at_half_load: the 99th percentile of latency over the median, of one worker at half of its throughput.
- throughput_two_workers_cross_encoder: as the second, with the cross-encoder in every answer.

DIR holds a published bundle. Clients run in a separate process on the cores of the service; each sends its next request after its answer.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
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
    from collections.abc import Iterator, Sequence

ROUNDS, SECONDS, CLIENTS, USERS = 4, 10.0, 4, 500
PROGRAMS = {"throughput_two_workers": "recsys", "throughput_two_workers_cross_encoder": "benchmarks.reading"}
SERVE = {"rate_per_minute": 0, "budget_ms": 10_000}  # no request is turned away or cut short
TWICE, TAIL = 1.8, 3.0  # targets: throughput over that of one worker, and the 99th percentile over the median


@dataclass(frozen=True)
class Round:
    """The answers of one round, and the processor seconds of the service for them."""

    lines: list[Line]
    cpu_seconds: float


@dataclass(frozen=True)
class Side:
    """A service under load, and the cores that it and its clients run on.

    Attributes
    ----------
    users : the file of the users that clients ask for.
    seconds : of one round.
    """

    service: Served
    cores: frozenset[int]
    users: Path
    seconds: float

    def loaded(self, rate: float = 0) -> Round:
        """Put the load of one round on the service; with a rate, so many requests a second."""
        before = self.service.cpu_seconds
        with on_cores(self.cores), self.service.load(self.seconds, clients=CLIENTS, users=self.users, rate=rate) as load:
            pass
        return Round([line for line in load.lines if line["status"] == 200], self.service.cpu_seconds - before)

    def figures(self, rounds: Sequence[Round], workers: int) -> dict[str, float]:
        """Return latency percentiles, answers a second and cores in use over all rounds."""
        lines, seconds = [line for one in rounds for line in one.lines], len(rounds) * self.seconds
        values = {f"p{share}_ms": percentile(lines, share) for share in (50, 95, 99)} | {"a_second": len(lines) / seconds}
        values["cores"] = sum(one.cpu_seconds for one in rounds) / seconds
        return {f"{name}_{workers}": round(value, 2) for name, value in values.items()}


@contextlib.contextmanager
def on_cores(cores: frozenset[int]) -> Iterator[None]:
    """Have the processes that are started meanwhile run on these cores alone."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@dataclass(frozen=True)
class Bench:
    """One workspace, served by one worker and by two.

    Attributes
    ----------
    shops : the same shop in two folders, for a service of one worker and one of two.
    """

    shops: tuple[Small, Small]
    users: Path
    seconds: float

    @contextlib.contextmanager
    def sides(self, module: str, cores: tuple[frozenset[int], frozenset[int]]) -> Iterator[tuple[Side, Side]]:
        """Run a service of one worker and one of two, each on its cores."""
        with contextlib.ExitStack() as stack:
            found = []
            for shop, workers, some in zip(self.shops, (1, 2), cores, strict=True):
                with on_cores(some):
                    service = stack.enter_context(served(shop, ("-m", module), workers=workers, **SERVE))
                found.append(Side(service, some, self.users, self.seconds))
            yield found[0], found[1]

    def compare(self, row: str, one: Side, two: Side) -> dict[str, float]:
        """Print the row of two workers over one, and return the figures of the one."""
        one.loaded(), two.loaded()  # uncounted
        pairs = [(one.loaded(), two.loaded()) for _ in range(ROUNDS)]
        ones, twos = zip(*pairs, strict=True)
        alone, more = one.figures(ones, 1), two.figures(twos, 2)
        say(row, [len(b.lines) / len(a.lines) for a, b in pairs], TWICE, None, **alone, **more)
        return alone


def tail(side: Side, a_second: float) -> None:
    """Print the row of latency at half load."""
    rounds = [side.loaded(a_second / 2) for _ in range(ROUNDS)]
    ratios = [percentile(one.lines, 99) / percentile(one.lines, 50) for one in rounds]
    say("tail_at_half_load", ratios, TAIL, None, rate=round(a_second / 2, 1), **side.figures(rounds, 1))


def main() -> None:
    """Print the rows."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workspace", type=Path, default=Path("workspace"))
    parser.add_argument("--seconds", type=float, default=SECONDS, help=f"of a round; each side of a row has {ROUNDS + 1}")
    given = parser.parse_args()
    root = given.workspace.absolute()
    snapshot = open_recommender(Workspace(root)).snapshot
    ids, every = snapshot.log.user_ids, sorted(os.sched_getaffinity(0))
    reads = snapshot.tokens is not None
    del snapshot
    with tempfile.TemporaryDirectory(prefix="throughput-") as name:
        users = Path(name) / "users.json"
        users.write_text(json.dumps(np.random.default_rng(0).choice(ids, min(USERS, len(ids)), replace=False).tolist()))
        bench = Bench((shop_of(root, Path(name) / "1"), shop_of(root, Path(name) / "2")), users, given.seconds)
        if len(every) > 1:
            with bench.sides("recsys", (frozenset(every[:1]), frozenset(every[:2]))) as (one, two):
                bench.compare("throughput_two_cores", one, two)
        else:
            print("there is one core: throughput_two_cores is left out", file=sys.stderr)
        for row, module in PROGRAMS.items():
            if module != "recsys" and not reads:
                print(f"the bundle's cross-encoder is idle, so there is nothing for it to read: {row} is left out", file=sys.stderr)
                continue
            with bench.sides(module, (frozenset(every), frozenset(every))) as (one, two):
                alone = bench.compare(row, one, two)
                if module == "recsys":
                    tail(one, alone["a_second_1"])


def shop_of(root: Path, folder: Path) -> Small:
    """Return a shop over a workspace, whose service has its files in a folder of its own."""
    folder.mkdir()
    (folder / "workspace").symlink_to(root)
    return Small(folder, load_settings())


if __name__ == "__main__":
    main()
