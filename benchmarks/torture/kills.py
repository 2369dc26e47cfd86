"""Kills a refresh at each named point and at random moments.

Either the old or the new bundle is in use, intact, and the next refresh needs no help. Meanwhile eight clients use the
service: no request fails, and each answer is that of its bundle.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.torture.client import USERS
from benchmarks.torture.outcome import report, run
from benchmarks.torture.served import Oracle, served
from benchmarks.torture.small import Small, child, count, ended, small, tried
from features.ingest.table_versions import versions
from recsys.artifacts.bundle import current_id

# Calls that change the disk: the process dies before the n-th call.
POINTS: tuple[tuple[Any, str], ...] = (
    (os, "fsync"),
    (os, "link"),
    (os, "rename"),
    (os, "replace"),
    (Path, "mkdir"),
    (Path, "rename"),
    (shutil, "rmtree"),
)
RATE = 20  # requests a second, by eight clients; the refreshes need the machine too


def die_before(owner: Any, name: str, call: int) -> None:
    """Kill this process before the n-th call of a function."""
    original, calls = getattr(owner, name), 0

    def counted(*args: Any, **kwargs: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == call:
            os.kill(os.getpid(), signal.SIGKILL)
        return original(*args, **kwargs)

    setattr(owner, name, counted)


def killed_at(shop: Small, point: int, call: int) -> bool:
    """Refresh in a process that dies at a point. Return whether it got that far."""
    return ended(child(_dying, shop, point, call)) == -signal.SIGKILL


def _dying(shop: Small, point: int, call: int) -> None:
    die_before(*POINTS[point], call)
    shop.refresh()


def survives(shop: Small, before: str, number: int, oracle: Oracle) -> None:
    """Check that the bundle in use is intact, and that the next refresh publishes."""
    shop.whole()
    oracle.learn()
    shop.change(number)
    shop.refresh()
    assert shop.whole() != before
    oracle.learn()
    data, bundles = shop.workspace.data, shop.workspace.bundles
    left = [path.name for folder in (data, bundles) for path in folder.glob(".tmp-*")]
    assert not left, left
    assert len(versions(data)) <= 2


def killings(shop: Small, wanted: int, oracle: Oracle) -> int:
    """Kill at all named points, then at random moments, `wanted` times. Return the failures."""
    runs, failures, rng = 0, 0, random.Random(0)
    points = [(point, call) for call in (1, 2, 3, 5, 8, 13, 21) for point in range(len(POINTS))]
    while runs < wanted:
        before = current_id(shop.workspace.bundles)
        shop.change(1_000 + 2 * runs)
        if points:
            point, call = points.pop(0)
            name = POINTS[point][1]
            if not killed_at(shop, point, call):
                oracle.learn()
                continue  # it has fewer such calls, and completed
        else:
            process = child(shop.refresh)
            time.sleep(rng.uniform(0, 0.8))
            process.kill()
            ended(process)
            name, call = "random moment", runs
        runs += 1
        failures += not tried(f"killed at {name} {call}", lambda: survives(shop, before, 1_001 + 2 * runs, oracle))  # noqa: B023
    return failures


def main() -> None:
    """Print two lines: the kills, and the answers of the clients."""
    wanted = count(40, 300, "kills")
    with small() as shop, served(shop, queue=256) as service:
        oracle = Oracle(shop, USERS)
        oracle.learn()
        with service.load(wanted * 120, rate=RATE) as load:
            failures = killings(shop, wanted, oracle)
            service.wait(current_id(shop.workspace.bundles))
            load.stop()
    report("kill_refresh", wanted, failures)
    wrong = oracle.wrong(load.lines)
    for line in wrong[:5]:
        print(line, file=sys.stderr)
    report("kill_refresh_clients", len(load.lines), len(wrong), bundles=len({line.get("bundle") for line in load.lines}))


if __name__ == "__main__":
    run(main)
