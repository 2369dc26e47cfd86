"""A ranker that is slow, fails, returns nan or loses threads: requests are answered in retrieval order, in time."""

from __future__ import annotations

import os

from benchmarks.torture.outcome import report, run, show
from benchmarks.torture.served import p99, served
from benchmarks.torture.small import Small, count, small

FAULTS = ("slow", "raising", "nan", "killed")
BUDGET_MS, OVER_MS = 200.0, 50.0


def faulty(shop: Small, fault: str, wanted: int) -> None:
    """Send requests by two clients, with the circuit breaker and without."""
    os.environ["FAULT"] = fault
    for failures in (5, 10**6):
        program = ("-m", "benchmarks.torture.faulty")
        with (
            served(shop, program, budget_ms=BUDGET_MS, breaker_failures=failures) as service,
            service.load(600, clients=2, most=wanted) as load,
        ):
            pass
        lines = load.lines
        bad = [line for line in lines if line["status"] != 200 or not line["degraded"] or not line["items"]]
        show(bad)
        slowest = p99(lines)
        late = slowest > BUDGET_MS + OVER_MS
        figures = {"wrong": len(bad), "p99_ms": slowest, "budget_ms": BUDGET_MS, "breaker": int(failures == 5)}
        report(f"ranker_{fault}", len(lines), len(bad) + late + (len(lines) != wanted), **figures)


def main() -> None:
    """Print two lines for each fault."""
    wanted = count(200, 1_000, "requests of each fault, with the circuit breaker and without")
    with small(trained=True) as shop:
        for fault in FAULTS:
            faulty(shop, fault, wanted)


if __name__ == "__main__":
    run(main)
